"""Comments on events: what wallets say about the news, from templates."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from evaluator.venue.sim import frames
from evaluator.venue.sim.agents import Population
from evaluator.venue.sim.events import Plan
from evaluator.venue.sim.names import Names
from evaluator.venue.sim.paths import Path
from evaluator.venue.sim.rules import GRID_S, WorldRules
from evaluator.venue.sim.seeds import Draw, stream

_GOOD = (
    "Great news for {outcome}, strong and confident here.",
    "Huge win coming, {outcome} looks like a lock. Bullish.",
    "{outcome} is surging, love this move up.",
    "Excellent report, {outcome} clearly ahead now.",
)
_BAD = (
    "Terrible news for {outcome}, this is collapsing.",
    "Bad sign. {outcome} looks weak, I fear a loss.",
    "{outcome} is crashing, awful, selling everything.",
    "Disappointing. {outcome} is doomed after this.",
)
_NEUTRAL = (
    "Anyone following {outcome} today?",
    "Still waiting for the next update on {outcome}.",
    "What is the source for the resolution?",
    "Volume on {outcome} is picking up.",
)
_RELATED, _HONEST = 0.65, 0.85
_PER_NEWS, _PER_DAY = 2.5, 0.25
_DAY_PLACES = 86_400 // GRID_S
_REACTION_S = 7_200
_ID_ROOM = 10_000


def comments(
    rules: WorldRules,
    plans: Sequence[Plan],
    named: Sequence[Names],
    paths: Sequence[Path],
    population: Population,
    limit: int,
) -> pl.DataFrame:
    """comment_id, event_slug, author, text, posted_at of comments posted before the limit."""
    rows = [
        row
        for plan, names, path in zip(plans, named, paths, strict=True)
        for row in _of_event(rules, plan, names, path, population)
        if row[-1] < limit
    ]
    columns = ("comment_id", "event_slug", "agent", "text", "second")
    types = (pl.String(), pl.String(), pl.Int64(), pl.String(), pl.Int64())
    frame = pl.DataFrame(rows, schema=dict(zip(columns, types, strict=True)), orient="row")
    authors = population.addresses(int(np.max(frame["agent"].to_numpy(), initial=-1)) + 1)
    return frame.sort("second", "comment_id").select(
        "comment_id",
        "event_slug",
        authors.gather(frame.sort("second", "comment_id")["agent"]).alias("author"),
        "text",
        frames.instant(rules.start, pl.col("second")).alias("posted_at"),
    )


def _of_event(
    rules: WorldRules, plan: Plan, names: Names, path: Path, population: Population
) -> list[tuple[str, str, int, str, int]]:
    """Rows of one event: reactions to its news, and talk at any time."""
    rng = stream(rules.seed, Draw.COMMENTS, plan.number)
    reactions = rng.poisson(_PER_NEWS, len(plan.news))
    after = np.repeat(np.array(plan.news_at), reactions)
    after = after + rng.exponential(_REACTION_S, len(after)).astype(np.int64)
    places = np.repeat(np.array(plan.news), reactions)
    rises = path.prices[0, np.minimum(places + 1, plan.grid_size - 1)] > path.prices[0, places]
    moods = np.where(rng.random(len(after)) < _RELATED, np.where(rises, 1, -1), 0)
    moods = np.where(rng.random(len(after)) < _HONEST, moods, -moods)
    count = int(rng.poisson(_PER_DAY * plan.grid_size / _DAY_PLACES))
    talk = plan.opens + (rng.random(count) * (plan.closes - plan.opens)).astype(np.int64)
    seconds = np.concatenate([after, talk])
    moods = np.concatenate([moods, np.zeros(count, dtype=np.int64)])
    agents = population.before(plan.closes)
    known = np.searchsorted(agents.born, seconds)
    authors = (rng.random(len(seconds)) * known).astype(np.int64)
    words = rng.integers(len(_GOOD), size=len(seconds))
    templates = {1: _GOOD, -1: _BAD, 0: _NEUTRAL}
    outcome = names.outcomes[0][0]
    return [
        (
            str(plan.number * _ID_ROOM + place),
            names.event_slug,
            author,
            templates[mood][word].format(outcome=outcome),
            second,
        )
        for place, (author, mood, word, second) in enumerate(
            zip(authors.tolist(), moods.tolist(), words.tolist(), seconds.tolist(), strict=True)
        )
    ]
