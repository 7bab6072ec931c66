"""Taker fees that the simulated venue charges: shares × rate × p(1 − p), by domain and date."""

from datetime import UTC, datetime, timedelta

from evaluator.venue.sim.events import Plan
from evaluator.venue.sim.rules import WorldRules

FEE_EXPONENT = 1.0

_FEES_START = datetime(2026, 3, 30, tzinfo=UTC)
_SPORTS_RISE = datetime(2026, 7, 10, tzinfo=UTC)
_RATES = {
    "Sports": 0.03,
    "Politics": 0.04,
    "Crypto": 0.07,
    "Economics": 0.05,
    "Culture": 0.05,
    "Tech": 0.04,
    "Geopolitics": 0.0,
}
_SPORTS_RATE_RISEN = 0.05


def fee_rate(rules: WorldRules, plan: Plan) -> float:
    """The rate of a market, which it keeps from its opening on."""
    opened_at = rules.start + timedelta(seconds=plan.opens)
    if opened_at < _FEES_START:
        return 0.0
    if plan.domain_name == "Sports" and opened_at >= _SPORTS_RISE:
        return _SPORTS_RATE_RISEN
    return _RATES[plan.domain_name]
