"""What the tables of a caught-up system must say, compared with the world they are of."""

from datetime import date, datetime, timedelta

import polars as pl

from evaluator.domain import ids
from evaluator.domain.schema import Table
from evaluator.domain.tables.history import FILLS
from evaluator.domain.tables.registry import TABLES
from evaluator.settings import Settings
from evaluator.stages import quality
from evaluator.store.snapshot import Snapshot
from evaluator.venue import opening

DATED = {
    "wallet_features": "feature_date",
    "wallet_scores": "score_date",
    "wallet_personas": "persona_date",
}
"""Tables with a row per wallet and day, and the column of the day."""

SAME_TRADE = ["proxy_wallet", "token_id", "side", "filled_at", "size_shares"]


def duplicates(now: Snapshot) -> dict[str, int]:
    """Rows too many by table."""
    found = {table.name: quality.unique_key(now, table) for table in TABLES}
    return {name: each.figures["duplicate_count"] for name, each in found.items() if not each.is_ok}


def column(now: Snapshot, query: str, *given: object) -> list:
    return now.sql(query, list(given)).to_series().to_list()


def wallets_of(now: Snapshot, table: Table) -> set[int]:
    return set(now.read(table, columns=["proxy_wallet"])["proxy_wallet"])


def fills_of_world(settings: Settings, until: datetime) -> pl.DataFrame:
    """All that was traded strictly before an instant, by anybody, ids as the lake keeps them."""
    world = opening.world(settings.sim.rules(), settings.home / "world")
    fills = world.history(until).fills
    return fills.select(
        ids.surrogates(fills["proxy_wallet"]),
        ids.surrogates(fills["token_id"]),
        "side",
        pl.col("filled_at").cast(pl.Datetime("us", "UTC")),
        "size_shares",
    )


def fills_of_lake(now: Snapshot) -> pl.DataFrame:
    return now.read(FILLS, columns=SAME_TRADE).with_columns(pl.col("side").cast(pl.String))


def counted(fills: pl.DataFrame) -> pl.DataFrame:
    """How often each trade occurs."""
    return fills.group_by(SAME_TRADE).len().sort(SAME_TRADE)


def unexplained_buys(now: Snapshot) -> pl.DataFrame:
    """Bought fills whose shares are not those of their closed and open lots together."""
    return now.stored_sql(
        """
        WITH lots AS (
            SELECT open_fill_id, size_shares FROM closed_lots
            UNION ALL SELECT open_fill_id, size_shares FROM open_lots
        ), pieces AS (
            SELECT open_fill_id, sum(size_shares)::BIGINT AS explained FROM lots GROUP BY 1
        )
        SELECT fill_id, size_shares, coalesce(explained, 0) AS explained
        FROM fills LEFT JOIN pieces ON open_fill_id = fill_id
        WHERE side = 0 AND size_shares <> coalesce(explained, 0)"""
    )


def more_than_there_are(fills: pl.DataFrame, world: pl.DataFrame) -> pl.DataFrame:
    """Trades that occur more often among the fills than in the world, or only there."""
    both = counted(fills).join(counted(world), on=SAME_TRADE, how="left", suffix="_of_world")
    return both.filter(pl.col("len") > pl.col("len_of_world").fill_null(0))


def finality(now: Snapshot, day: date) -> dict[str, set[bool]]:
    """Which values `is_final` has on a day, by table; an empty set where there is no row."""
    return {
        table: set(column(now, f"SELECT DISTINCT is_final FROM {table} WHERE {name} = ?", day))
        for table, name in DATED.items()
    }


def windows(now: Snapshot, day: date) -> list[int]:
    """The windows that a day has scores over."""
    query = "SELECT DISTINCT window_days FROM wallet_scores WHERE score_date = ? ORDER BY 1"
    return column(now, query, day)


def rows_by_cell(now: Snapshot, table: str, day: str) -> dict[tuple[date, int], int]:
    rows = now.sql(f"SELECT {day}, window_days, count(*) FROM {table} GROUP BY ALL").rows()
    return {(when, window): count for when, window, count in rows}


def without_verdict(now: Snapshot, day: date) -> list[str]:
    """Discovered wallets that nobody has judged on a day."""
    return column(
        now,
        """
        SELECT proxy_wallet FROM wallets WHERE proxy_wallet NOT IN (
            SELECT proxy_wallet FROM wallet_personas WHERE persona_date = ?)""",
        day,
    )


def age_of_newest_fill(now: Snapshot, at: datetime) -> timedelta:
    newest = quality.newest_fill(now)
    assert newest is not None
    return at - newest
