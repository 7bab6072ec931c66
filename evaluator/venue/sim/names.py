"""What events, markets and outcomes are called: invented names that follow from the numbers."""

from dataclasses import dataclass

from evaluator.venue.sim.events import Kind, Plan
from evaluator.venue.sim.rules import WorldRules
from evaluator.venue.sim.seeds import Draw, hex_name, stream, token_name

_SUBJECTS = {
    "Sports": ("Harbor Kings", "Red Foxes", "Northgate", "Lakeside", "Iron Bay", "Summit Rovers"),
    "Politics": ("Avery Stone", "Mara Lind", "Jonas Reyes", "Ida Falk", "Omar Quist", "Lea Brandt"),
    "Crypto": ("Bitcoin", "Ethereum", "Solana", "Ripple", "Dogecoin", "Avalanche"),
    "Economics": ("no change", "25 bps", "50 bps", "75 bps", "100 bps", "an increase"),
    "Culture": ("Paper Moons", "The Long Tide", "Glass Orchard", "Nine Rivers", "Ember", "Halcyon"),
    "Tech": ("Nimbus", "Quanta", "Heliox", "Vertex Labs", "Openfield", "Arcline"),
    "Geopolitics": ("a ceasefire", "a summit", "new sanctions", "a treaty", "an embargo", "talks"),
}
_CONTESTS = {
    "Sports": "the cup tie",
    "Politics": "the runoff",
    "Crypto": "the weekly race",
    "Economics": "the rate decision",
    "Culture": "the award",
    "Tech": "the launch contest",
    "Geopolitics": "the next announcement",
}
_MANY = ("Home", "Draw", "Away", "Abandoned")


@dataclass(frozen=True, slots=True)
class Names:
    """Names and ids of one event; lists are by market."""

    event_id: str
    event_slug: str
    event_title: str
    market_ids: tuple[str, ...]
    condition_ids: tuple[str, ...]
    slugs: tuple[str, ...]
    questions: tuple[str, ...]
    outcomes: tuple[tuple[str, ...], ...]
    token_ids: tuple[tuple[str, ...], ...]


def names(rules: WorldRules, plan: Plan) -> Names:
    """The names of an event; no two events or markets share an id or slug."""
    number, markets = plan.number, range(len(plan.counts))
    rng = stream(rules.seed, Draw.PLAN, number, 1)
    subjects = _SUBJECTS[plan.domain_name]
    drawn = [subjects[place] for place in rng.permutation(len(subjects))]
    contest = f"{_CONTESTS[plan.domain_name]} no. {number + 1}"
    title = {
        Kind.BINARY: f"{drawn[0]} in {contest}?",
        Kind.MANY: f"How does {contest} end?",
        Kind.NEG_RISK: f"Who or what wins {contest}?",
        Kind.SEPARATE: f"{drawn[0]} and {contest}",
    }[plan.kind]
    slug = f"{plan.domain_name.lower()}-{plan.kind.name.lower().replace('_', '-')}-{number + 1}"
    key = (rules.seed, "event", number)
    return Names(
        event_id=str(20_000 + number),
        event_slug=slug,
        event_title=title,
        market_ids=tuple(str(500_000 + 8 * number + market) for market in markets),
        condition_ids=tuple(hex_name(32, *key, market) for market in markets),
        slugs=tuple(f"{slug}-{market + 1}" for market in markets) if len(markets) > 1 else (slug,),
        questions=tuple(_question(plan.kind, title, contest, drawn, market) for market in markets),
        outcomes=tuple(_outcomes(plan, market) for market in markets),
        token_ids=tuple(
            tuple(token_name(*key, market, place) for place in range(plan.counts[market]))
            for market in markets
        ),
    )


def _question(kind: Kind, title: str, contest: str, drawn: list[str], market: int) -> str:
    if kind is Kind.NEG_RISK:
        subject = drawn[market] if market < len(drawn) else "anything else"
        return f"Will {subject} win {contest}?"
    if kind is Kind.SEPARATE:
        return f"{title}: condition {market + 1} met?"
    return title


def _outcomes(plan: Plan, market: int) -> tuple[str, ...]:
    if plan.kind is Kind.MANY:
        return _MANY[: plan.counts[market]]
    return ("Up", "Down") if plan.domain_name == "Crypto" else ("Yes", "No")
