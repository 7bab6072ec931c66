"""Wallets whose lots are older than what they are computed from.

Found by comparing two snapshots: the one that the lots were built from, and a newer one. Neither
instants nor commits of files would do: rows of one instant come in many commits, folding gives
old rows a new file, and lots are committed later than the snapshot they were computed from.
"""

from collections.abc import Iterator

import polars as pl

from evaluator.domain import prices
from evaluator.domain.ledger import legs
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import ACTIVITY, FILLS, RESOLUTIONS
from evaluator.stages import history
from evaluator.store.snapshot import Snapshot

_FACTS = [
    "token_id",
    "condition_id",
    "event_slug",
    "domain",
    "outcome_index",
    "neg_risk",
    "resolved_at",
    "payout",
]
"""What lots take from markets and resolutions."""

# Both tables are append-only: other rows are more rows.
_COUNTS = {
    FILLS.name: "SELECT proxy_wallet, count(*) AS n FROM fills GROUP BY proxy_wallet",
    ACTIVITY.name: "SELECT proxy_wallet, count(*) AS n FROM activity GROUP BY proxy_wallet",
}
_ALL = "SELECT proxy_wallet FROM fills UNION SELECT proxy_wallet FROM activity"
_TOUCHING = """
    SELECT proxy_wallet FROM fills WHERE token_id IN (SELECT unnest(CAST($1 AS BIGINT[])))
    UNION SELECT proxy_wallet FROM activity
    WHERE token_id IN (SELECT unnest(CAST($1 AS BIGINT[])))
       OR condition_id IN (SELECT unnest(CAST($2 AS BIGINT[])))"""
_FILLS_OF_TOKENS = """
    SELECT token_id, count(*) AS n FROM fills
    WHERE token_id IN (SELECT unnest(CAST($1 AS BIGINT[]))) GROUP BY token_id"""


def stale_wallets(now: Snapshot, since: Snapshot | None) -> pl.DataFrame:
    """One row per wallet (proxy_wallet, sorted) with other lots now than in `since`, or maybe so.

    Every wallet where `since` is None. Never misses one; may name one whose lots turn out equal.
    """
    if since is None:
        return now.stored_sql(_ALL).sort("proxy_wallet")
    return pl.concat(_stale(now, since)).unique().sort("proxy_wallet")


def _stale(now: Snapshot, since: Snapshot) -> Iterator[pl.DataFrame]:
    yield pl.DataFrame(schema={"proxy_wallet": pl.Int64})
    for table in (FILLS, ACTIVITY):
        if now.version(table) != since.version(table):
            counts = (at.stored_sql(_COUNTS[table.name]) for at in (now, since))
            yield _differing(*counts, on=["proxy_wallet", "n"]).select("proxy_wallet")
    if any(now.version(table) != since.version(table) for table in (MARKETS, RESOLUTIONS)):
        yield _touching_changed_tokens(now, since)
    if now.version(FILLS) != since.version(FILLS):
        yield _of_other_prices(now, since)


def _touching_changed_tokens(now: Snapshot, since: Snapshot) -> pl.DataFrame:
    """Wallets with fills in tokens, or movements in events, of which other facts are known."""
    known, before = (history.tokens(at).select(_FACTS) for at in (now, since))
    changed = pl.concat(
        [_differing(known, before, on=_FACTS), _differing(before, known, on=_FACTS)]
    )
    if changed.is_empty():
        return pl.DataFrame(schema={"proxy_wallet": pl.Int64})
    both = pl.concat([known, before])
    of_events = both.join(changed.select("event_slug").unique(), on="event_slug", how="semi")
    parameters = [changed["token_id"].unique(), of_events["condition_id"].unique()]
    return now.stored_sql(_TOUCHING, [keys.to_list() for keys in parameters])


def _of_other_prices(now: Snapshot, since: Snapshot) -> pl.DataFrame:
    """Wallets whose splits, merges or conversions are divided by other prices than before.

    The price is that of the last fill by anyone: an older history read later may change it.
    """
    activity = now.read(ACTIVITY)
    known = history.tokens(now)
    asked = legs.price_questions(activity, known)
    tokens = [asked["token_id"].unique().to_list()]
    counts = (at.stored_sql(_FILLS_OF_TOKENS, tokens) for at in (now, since))
    traded = _differing(*counts, on=["token_id", "n"])
    asked = asked.join(traded, on="token_id", how="semi")
    if asked.is_empty():
        return pl.DataFrame(schema={"proxy_wallet": pl.Int64})
    answers = (
        prices.fills_before(
            asked,
            history.fills_of_tokens(at, traded["token_id"], prices.PRICE_COLUMNS),
        )
        for at in (now, since)
    )
    other = _differing(*answers, on=["token_id", "at", "price"])
    events = known.select("token_id", "condition_id", "event_slug")
    moments = other.join(events, on="token_id").select("event_slug", happened_at="at").unique()
    return (
        activity.join(events.select("condition_id", "event_slug").unique(), on="condition_id")
        .join(moments, on=["event_slug", "happened_at"], how="semi")
        .select("proxy_wallet")
    )


def _differing(rows: pl.DataFrame, others: pl.DataFrame, *, on: list[str]) -> pl.DataFrame:
    """The rows that are not among the others."""
    return rows.join(others, on=on, how="anti", nulls_equal=True)
