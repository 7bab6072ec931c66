"""The implementation run end to end, in memory, over a `World` of the oracle.

`Run` turns a world into the frames that the store would give, computes ledger, features, scores
and verdicts, and gives them back under the texts of the world. Nothing is asserted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from evaluator.domain import ids, markets, prices, scores
from evaluator.domain.features.career import career
from evaluator.domain.features.compute import feature_rows
from evaluator.domain.features.history import (
    CLOSED_COLUMNS,
    FILL_COLUMNS,
    OPEN_COLUMNS,
    Bucket,
    Cell,
    Market,
    market_of,
    prepare,
)
from evaluator.domain.fills import transaction_keys
from evaluator.domain.ledger import legs
from evaluator.domain.ledger.lots import Ledger, build_ledger
from evaluator.domain.personas.clusters import find_clusters, order_buckets
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.personas.verdicts import Verdicts, classify
from evaluator.domain.schema import INSTANT, MICRO
from evaluator.domain.tables.history import ACTIVITY, FILLS
from evaluator.domain.tables.market_data import PRICES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tests.oracle.world import Activity, Fill, World
    from tests.oracle.world import Market as ListedMarket

WINDOWS = (7, 30, 90)
ID_COLUMNS = ("proxy_wallet", "condition_id", "token_id", "event_slug", "domain")
REF_COLUMNS = ("open_fill_id", "close_id", "ref")

Row = dict[str, Any]
Price = tuple[str, datetime, float]  # of the venue's series: token, instant, price


def fills_frame(fills: Sequence[Fill]) -> pl.DataFrame:
    """Rows of `fills`, in the order of their file."""
    columns: dict[str, list[Any]] = {
        "fill_id": [fill.fill_id for fill in fills],
        "proxy_wallet": [fill.proxy_wallet for fill in fills],
        "condition_id": [fill.condition_id for fill in fills],
        "token_id": [fill.token_id for fill in fills],
        "side": [fill.side for fill in fills],
        "size_shares": [fill.size for fill in fills],
        "price": [fill.notional / fill.size for fill in fills],
        "notional_usdc": [fill.notional for fill in fills],
        "fee_usdc": [fill.fee for fill in fills],
        "is_fee_included": [fill.is_fee_included for fill in fills],
        "role": [fill.role for fill in fills],
        "filled_at": [fill.at for fill in fills],
        "source_sequence": [fill.seq for fill in fills],
        "transaction_hash": [fill.transaction_hash for fill in fills],
        "ordinal": [fill.ordinal for fill in fills],
    }
    frame = _declared(columns, FILLS.schema, "fill_id")
    return frame.sort("proxy_wallet", "token_id", "filled_at", maintain_order=True)


def activity_frame(activity: Sequence[Activity]) -> pl.DataFrame:
    """Rows of `activity`."""
    columns: dict[str, list[Any]] = {
        "activity_id": [event.activity_id for event in activity],
        "proxy_wallet": [event.proxy_wallet for event in activity],
        "kind": [event.kind for event in activity],
        "condition_id": [event.condition_id for event in activity],
        "token_id": [event.token_id for event in activity],
        "size_shares": [event.size for event in activity],
        "amount_usdc": [event.usdc for event in activity],
        "happened_at": [event.at for event in activity],
        "transaction_hash": [event.transaction_hash for event in activity],
        "ordinal": [event.ordinal for event in activity],
    }
    return _declared(columns, ACTIVITY.schema, "activity_id")


def _declared(columns: dict[str, list[Any]], schema: pl.Schema, key: str) -> pl.DataFrame:
    """Columns in the declared types: ids as surrogates, transactions as keys."""
    given = {name: dtype for name, dtype in schema.items() if name in columns}
    texts = [name for name in (key, *ID_COLUMNS) if name in given]
    frame = pl.DataFrame(columns, schema={**given, **dict.fromkeys(texts, pl.String())})
    keyed = frame.with_columns(
        *(ids.surrogates(frame[name]).alias(name) for name in texts),
        transaction_keys(frame["transaction_hash"]),
    )
    missing = [pl.lit(None, schema[name]).alias(name) for name in schema.names()
               if name not in keyed.columns]  # fmt: skip
    return keyed.with_columns(missing).select(schema.names())


def tokens_frame(listed: Iterable[ListedMarket], neg_risk: Collection[str] = ()) -> pl.DataFrame:
    """One row per token of the listed markets; `neg_risk` names the neg-risk events."""
    rows = [
        {
            "snapshot_date": date(2026, 1, 1),
            "condition_id": ids.surrogate(one.condition_id),
            "event_slug": ids.surrogate(one.event_slug) if one.event_slug else None,
            "domain": one.domain,
            "end_at": one.end_at,
            "token_ids": list(one.token_ids),
            "payouts": list(one.payouts) if one.payouts else None,
            "resolved_at": one.resolved_at,
            "tick": one.tick,
            "neg_risk": one.event_slug in neg_risk,
        }
        for one in listed
    ]
    schema = {
        "snapshot_date": pl.Date(), "condition_id": pl.Int64(), "event_slug": pl.Int64(),
        "domain": pl.String(), "end_at": INSTANT.frame, "token_ids": pl.List(pl.String()),
        "payouts": pl.List(pl.Float64()), "resolved_at": INSTANT.frame, "tick": pl.Float64(),
        "neg_risk": pl.Boolean(),
    }  # fmt: skip
    return markets.tokens(pl.LazyFrame(rows, schema=schema)).collect()


def series_frame(series: Iterable[Price]) -> pl.DataFrame:
    """Rows of the table `prices`."""
    rows = [(ids.surrogate(token), at, price, "test") for token, at, price in series]
    return pl.DataFrame(rows, schema=PRICES.schema, orient="row")


@dataclass(frozen=True)
class Run:
    """The implementation over one world; `series` are prices of the venue's own series."""

    world: World
    series: tuple[Price, ...] = ()
    neg_risk: frozenset[str] = frozenset()

    @cached_property
    def fills(self) -> pl.DataFrame:
        """The table `fills`."""
        return fills_frame(self.world.fills)

    @cached_property
    def activity(self) -> pl.DataFrame:
        """The table `activity`."""
        return activity_frame(self.world.activity)

    @cached_property
    def tokens(self) -> pl.DataFrame:
        """What is known of each token."""
        return tokens_frame(self.world.markets, self.neg_risk)

    @cached_property
    def texts(self) -> dict[int | None, str | None]:
        """The text behind each surrogate."""
        known: set[str | None] = set()
        for fill in self.world.fills:
            known |= {fill.fill_id, fill.proxy_wallet, fill.condition_id, fill.token_id}
        for event in self.world.activity:
            known |= {event.activity_id, event.proxy_wallet, event.condition_id, event.token_id}
        for market in self.world.markets:
            known |= {market.condition_id, market.event_slug, market.domain, *market.token_ids}
            known |= {ids.resolution_ref(token) for token in market.token_ids}
        return {None: None, **{ids.surrogate(text): text for text in known if text is not None}}

    def named(self, frame: pl.DataFrame) -> list[Row]:
        """Rows with texts in place of surrogates."""
        rows = frame.to_dicts()
        for name in {*ID_COLUMNS, *REF_COLUMNS}.intersection(frame.columns):
            if frame.schema[name] == pl.Int64:
                for row in rows:
                    row[name] = self.texts.get(row[name], row[name])
        return rows

    @cached_property
    def legs(self) -> pl.DataFrame:
        """Fills and activity as legs."""
        traded = legs.fill_legs(self.fills.select(legs.LEG_FILL_COLUMNS), self.tokens)
        if not self.world.activity:
            return traded
        asked = legs.price_questions(self.activity, self.tokens)
        known = self.fills.select(prices.PRICE_COLUMNS)
        answers = prices.fills_before(asked, known)
        return pl.concat([traded, legs.activity_legs(self.activity, self.tokens, answers)])

    @cached_property
    def disposed(self) -> pl.DataFrame:
        """Shares that activity disposed of."""
        if self.world.activity:
            return legs.disposed_shares(self.activity, self.tokens)
        return self.legs.select("proxy_wallet", "at", "quantity").clear()

    @cached_property
    def ledger(self) -> Ledger:
        """The lots of everyone."""
        return build_ledger(self.legs, self.tokens)

    @cached_property
    def bucket(self) -> Bucket:
        """All wallets as one bucket."""
        wallets = pl.concat([self.fills["proxy_wallet"], self.activity["proxy_wallet"]]).unique()
        return Bucket(
            fills=self.fills.select(FILL_COLUMNS),
            closed_lots=self.ledger.closed_lots.select(CLOSED_COLUMNS),
            open_lots=self.ledger.open_lots.select(OPEN_COLUMNS),
            disposed=self.disposed,
            ingested=pl.DataFrame({"proxy_wallet": wallets}).with_columns(
                history_complete=pl.lit(self.world.history_complete)
            ),
        )

    def market(self, cells: Sequence[Cell]) -> Market:
        """Marks over the windows of the cells, and closing lines, from two parts of the fills."""
        first, as_of = min(cell.start for cell in cells), max(cell.as_of for cell in cells)
        last = prices.LastPrices(self.tokens, first=first, as_of=as_of)
        known, half = self.fills.select(prices.PRICE_COLUMNS), self.fills.height // 2
        for part in (known[half:], known[:half]):
            last.add(part)
        series = series_frame(self.series).filter(pl.col("priced_at") < as_of)
        return market_of(self.tokens, last, series)

    def features(
        self, days: Iterable[date], windows: Iterable[int] = WINDOWS,
        wallets: Collection[str] | None = None,
    ) -> dict[Cell, pl.DataFrame]:  # fmt: skip
        """Feature rows of each day and window, of exactly the wallets asked for if any are."""
        sizes = tuple(windows)
        cells = [Cell(day, size) for day in days for size in sizes]
        prepared = prepare(self.bucket, self.market(cells))
        asked = None
        if wallets is not None:
            asked = pl.DataFrame({"proxy_wallet": [ids.surrogate(one) for one in wallets]})
        return {
            cell: feature_rows(prepared, cell, career(self.bucket, cell).collect(), asked)
            for cell in cells
        }

    def row(self, wallet: str, day: date, window: int = 30) -> Row:
        """The features of one wallet, whatever it did."""
        (frame,) = self.features([day], [window], [wallet]).values()
        return self.named(frame)[0]

    def clusters(self, as_of: datetime, rules: PersonaRules | None = None) -> dict[str, int]:
        """The size of the cluster of each wallet joined with another."""
        bounds = rules or PersonaRules()
        found = find_clusters(order_buckets(self.fills, as_of, bounds), bounds)
        return {row["proxy_wallet"]: row["cluster_size"] for row in self.named(found)}

    def judged(self, day: date, wallets: Collection[str], *, with_stage_1: bool = True) -> Verdicts:
        """The verdicts on some wallets at the end of a day."""
        cell = Cell(day, 30)
        rows = self.features([day], [30], wallets)[cell]
        sizes = self.clusters(cell.as_of)
        size = [sizes.get(row["proxy_wallet"], 1) for row in self.named(rows)]
        return classify(with_facts(rows, size), PersonaRules(), with_stage_1=with_stage_1)


def with_facts(rows: pl.DataFrame, cluster_size: Sequence[int]) -> pl.DataFrame:
    """Feature rows with what the gates need beside them."""
    cost = pl.col("career_cost_usdc")
    return rows.with_columns(
        pl.when(cost != 0).then(pl.col("career_pnl_usdc") / cost).alias("career_roi"),
        pl.col("career_fill_count").fill_null(0),
        (pl.col("recent_pnl_usdc").fill_null(0) / MICRO).alias("recent_pnl_usdc"),
        pl.Series("cluster_size", cluster_size, pl.Int64),
        pl.lit(value=False).alias("is_known_bot"),
    )


def ranked_scores(
    rows: pl.DataFrame, addresses: dict[int | None, str | None],
    leaders: Collection[str] | None = None,
) -> list[Row]:  # fmt: skip
    """Scores of one cell with their ranks; `leaders` are the leaderboard's top, None unknown."""
    board = None
    if leaders is not None:
        board = pl.DataFrame(
            {"proxy_wallet": [ids.surrogate(one) for one in leaders]},
            schema={"proxy_wallet": pl.Int64},
        )
    found = scores.wallet_scores(rows, board, scores.ScoreRules())
    texts = pl.DataFrame(
        {"proxy_wallet": list(addresses), "address": list(addresses.values())},
        schema={"proxy_wallet": pl.Int64, "address": pl.String},
    ).drop_nulls()
    placed = scores.ranked(found, texts).to_dicts()
    return [{**row, "proxy_wallet": addresses[row["proxy_wallet"]]} for row in placed]
