"""Which values the settings may have, beyond their types.

A value out of bounds is a ConfigurationError that names its key.
"""

import math
import re
from dataclasses import asdict, fields, replace

from evaluator.domain.errors import ConfigurationError
from evaluator.domain.personas.detectors import detectors
from evaluator.domain.personas.rules import Condition, Either, PersonaRules
from evaluator.domain.scores import VERSION, ScoreRules
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.stages.retention import RetentionRules

_MAY_BE_NEGATIVE = frozenset(
    {
        "personas.min_all_time_roi",
        "personas.min_recent_pnl_usdc",
        "personas.accumulator_min_roi",
        "personas.followable_min_roi",
        "personas.generalist_min_sharpe",
    }
)
_MUST_BE_POSITIVE = frozenset(
    {
        "scoring.full_roi",
        "scoring.full_stdev",
        "scoring.full_timing_cents",
        "personas.window_days",
        "personas.parallel_tasks",
        "personas.sybil_window_days",
        "personas.sybil_bucket_s",
        "personas.confidence_half",
    }
)
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
Rules = ScoreRules | PersonaRules | IngestionRules | OnDemandRules | RetentionRules
_RATIO = re.compile(r"(coverage|win_rate|_share|_jaccard|_concentration|_burstiness|_balance)$")
"""Names of bounds that no ratio of 0 to 1 exceeds; ratios are not percent."""


def check_windows(windows: tuple[int, ...]) -> None:
    """Windows are different whole days, in order."""
    if not windows or min(windows) < 1 or list(windows) != sorted(set(windows)):
        problem = f"should be different whole days, shortest first, not {list(windows)}"
        raise ConfigurationError("windows", problem)


def check_limits(table: str, rules: Rules) -> None:
    """Counts and durations are finite; but for what `retention` keeps for ever, none is 0."""
    _check_numbers(table, rules)
    for name, value in asdict(rules).items():
        if table != "retention" and value == 0:
            raise ConfigurationError(f"{table}.{name}", "should be more than 0, not 0")


def check_scoring(rules: ScoreRules) -> None:
    """Numbers are in range, the formula exists, some weight counts."""
    _check_numbers("scoring", rules)
    if rules.version != VERSION:
        problem = f"there is no formula {rules.version!r}; there is {VERSION}"
        raise ConfigurationError("scoring.version", problem)
    if not sum(value for name, value in asdict(rules).items() if name.startswith("weight_")):
        raise ConfigurationError("scoring.weight_edge", "all weights are 0")


def check_personas(rules: PersonaRules) -> None:
    """Numbers are in range, bots are addresses, no margin is divided by 0."""
    _check_numbers("personas", rules)
    for address in rules.known_bots:
        if not _ADDRESS.fullmatch(address):
            problem = f"should be addresses of 0x and 40 lower-case hex digits, not {address!r}"
            raise ConfigurationError("personas.known_bots", problem)
    for field in fields(rules):
        value = getattr(rules, field.name)
        if value == 0 and not isinstance(value, bool) and _divides(field.name):
            problem = "must not be 0: margins are distances divided by it"
            raise ConfigurationError(f"personas.{field.name}", problem)


def _check_numbers(table: str, rules: Rules) -> None:
    """Every number is finite; what cannot be negative or zero is not; a ratio is at most 1."""
    for name, value in asdict(rules).items():
        key = f"{table}.{name}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            raise ConfigurationError(key, f"should be a finite number, not {value}")
        if key in _MUST_BE_POSITIVE and value <= 0:
            raise ConfigurationError(key, f"should be more than 0, not {value:g}")
        if key not in _MAY_BE_NEGATIVE and value < 0:
            raise ConfigurationError(key, f"should be 0 or more, not {value:g}")
        if value > 1 and _RATIO.search(name):
            raise ConfigurationError(key, f"should be a ratio of at most 1, not {value:g}")


def _divides(name: str) -> bool:
    """Whether a margin is divided by this bound."""
    zeroed = detectors(replace(PersonaRules(), **{name: 0}))  # type: ignore[arg-type]
    conditions = [part for detector in zeroed for part in detector.conditions]
    return any(not threshold for part in conditions for threshold in _thresholds(part))


def _thresholds(part: Condition | Either) -> tuple[float, ...]:
    if isinstance(part, Either):
        return part.first.threshold, part.second.threshold
    return (part.threshold,)
