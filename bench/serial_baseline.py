"""The serial per-wallet design on the same data: one query and a Python loop for each wallet.

Two ways: `fair`, a table sorted by wallet read over one connection; `connecting`, a connection
opened for each wallet. Timed on a sample, extrapolated to all wallets by fills within strata of
like wallets. Marks, closing lines, personas and the writing of results are given to it for free.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import isclose
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import polars as pl

from bench.serial_features import Row, features, wscore
from bench.serial_ledger import Fill, Token, walk
from bench.stages import WINDOWS, cells
from evaluator.domain.features.history import Market, microseconds
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.domain.tables.history import FILLS
from evaluator.stages import history
from evaluator.store import partitions
from evaluator.store.lake import Lake

STRATA = (0, 2, 5, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 10**12)
"""Bounds of fills a wallet that make strata."""

FILLS_A_STRATUM = 200_000
"""A stratum's sample stops here, but has two wallets at least."""

MUST_AGREE = ("fill_count", "realised_pnl_usdc", "win_rate")
"""Features in which every sampled wallet must equal the pipeline's row; others are counted."""

TOLERANCE = 1e-9
"""Relative and absolute: sums of floats in another order. Money is summed in micro-units."""

_DEFAULT_TICK = 0.001
_COLUMNS = {
    "token_id": "token_id", "condition_id": "condition_id", "filled_at": "epoch_us(filled_at)",
    "side": "side", "size_shares": "size_shares", "price": "price",
    "notional_usdc": "notional_usdc", "fee_usdc": "coalesce(fee_usdc, 0)",
    "is_fee_included": "is_fee_included", "role": "role",
}  # fmt: skip
_QUERY = (
    f"SELECT {', '.join(_COLUMNS)} FROM fills WHERE proxy_wallet = ? AND filled_at < ? "  # noqa: S608
    "ORDER BY filled_at, side, transaction_key"
)

Query = Callable[[int], list[tuple[Any, ...]]]


class DifferentResultsError(Exception):
    """The baseline does not compute what the pipeline does, so that its time says nothing."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Wallets of like activity, and those of them that are sampled."""

    wallets: int
    fills: int
    sample: list[int]
    sampled_fills: int


@dataclass(frozen=True, slots=True)
class Serial:
    """What the serial design takes: the sample as measured, all wallets as extrapolated."""

    way: str
    sampled_wallets: int
    sampled_fills: int
    sample_s: float
    all_wallets_s: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rows compared with the pipeline's, and how many differ by feature (rounding apart)."""

    rows: int
    differing: dict[str, int]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Both ways on the same sample, each the median of its repetitions."""

    ways: list[Serial]
    agreement: Agreement


def run(lake: Lake, table: Path, day: date, sample: int, repeats: int) -> Baseline:
    """Time both ways and compare their rows with `wallet_features` of the lake."""
    with lake.snapshot() as now:
        if not table.exists():
            _write_table(lake, table)
        market = history.market(now, cells(day))
        tokens = _tokens(market)
        strata = _strata(table, sample)
        chosen = [wallet for stratum in strata for wallet in stratum.sample]
        published = {
            window: now.read(
                WALLET_FEATURES, partitions=[partitions.day_window(day, window)]
            ).filter(pl.col("proxy_wallet").is_in(chosen))
            for window in WINDOWS
        }
    evaluation = _Evaluation(
        tokens, microseconds(market.marks.first), microseconds(cells(day)[0].as_of)
    )
    agreement = _compared(_rows(table, evaluation, chosen), published)
    ways = [
        _extrapolated(way, strata, [_timed(way, table, evaluation, strata) for _ in range(repeats)])
        for way in ("fair", "connecting")
    ]
    return Baseline(ways, agreement)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """What is done for one wallet, apart from the query."""

    tokens: dict[int, Token]
    first: int
    as_of: int

    def rows(self, answer: Iterable[tuple[Any, ...]]) -> dict[int, Row | None]:
        """Ledger, features and score of every window."""
        fills = [Fill(*row) for row in answer]
        books = walk(fills, self.tokens, self.first, self.as_of)
        rows = {
            window: features(fills, books, self.tokens, self.as_of, window) for window in WINDOWS
        }
        for row in rows.values():
            if row is not None:
                row["wscore"] = wscore(row)
        return rows


def _write_table(lake: Lake, path: Path) -> None:
    """All fills as one table sorted by wallet and instant, as a careful serial design keeps them."""
    aside = path.with_suffix(".part")
    aside.unlink(missing_ok=True)
    columns = ", ".join(f"{how} AS {name}" for name, how in _COLUMNS.items())
    with lake.snapshot() as now, closing(duckdb.connect(aside)) as connection:
        files = [str(lake.folder.path(entry)) for entry in now.files(FILLS)]
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(
            f"CREATE TABLE fills AS SELECT proxy_wallet, transaction_key, {columns} "  # noqa: S608
            "FROM read_duckdb(?, table_name = 'fills') ORDER BY proxy_wallet, filled_at",
            [files],
        )
    aside.rename(path)


def _tokens(market: Market) -> dict[int, Token]:
    """What the loop knows of tokens; plain Python values, because numpy's are slow one by one."""
    marks = market.marks.prices.astype(object)
    marks[np.isnan(market.marks.prices)] = None
    prices = marks.tolist()
    columns = market.tokens.select(
        "token_id", "event_slug", "domain", "token_rank", pl.col("tick").fill_null(_DEFAULT_TICK),
        pl.when(pl.col("payout").is_not_null()).then(pl.col("resolved_at").cast(pl.Int64)),
        pl.col("payout").fill_null(0.0), "clv_price",
    )  # fmt: skip
    return {
        row[0]: Token(*row[1:3], row[3], *row[4:], marks=prices[row[3]])
        for row in columns.iter_rows()
    }


def _strata(table: Path, sample: int) -> list[Stratum]:
    """Every n-th wallet of each stratum, in the order of fills; the same for both ways."""
    with closing(duckdb.connect(table, read_only=True)) as connection:
        counts = connection.execute(
            "SELECT proxy_wallet, count(*) FROM fills GROUP BY ALL ORDER BY 2, 1"
        ).fetchall()
    groups = [
        [(wallet, fills) for wallet, fills in counts if low < fills <= high]
        for low, high in pairwise(STRATA)
    ]
    groups = [group for group in groups if group]
    strata = []
    for group in groups:
        total = sum(fills for _, fills in group)
        affordable = max(2, int(FILLS_A_STRATUM / (total / len(group))))
        wanted = min(-(-sample // len(groups)), affordable, len(group))
        places = np.linspace(0, len(group) - 1, wanted + 2)[1:-1].round().astype(int)
        chosen = [group[place] for place in sorted(set(places))]
        strata.append(
            Stratum(
                len(group), total, [wallet for wallet, _ in chosen],
                sum(fills for _, fills in chosen),
            )
        )  # fmt: skip
    return strata


def _timed(way: str, table: Path, evaluation: _Evaluation, strata: list[Stratum]) -> list[float]:
    """Seconds of each stratum's sample."""
    if way == "fair":
        with closing(duckdb.connect(table, read_only=True)) as connection:
            query = _over(connection, evaluation.as_of)
            query(0)
            return [_seconds(query, evaluation, stratum) for stratum in strata]

    def connecting(wallet: int) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(table, read_only=True)) as connection:
            return _over(connection, evaluation.as_of)(wallet)

    return [_seconds(connecting, evaluation, stratum) for stratum in strata]


def _over(connection: duckdb.DuckDBPyConnection, as_of: int) -> Query:
    return lambda wallet: connection.execute(_QUERY, [wallet, as_of]).fetchall()


def _seconds(query: Query, evaluation: _Evaluation, stratum: Stratum) -> float:
    started = time.perf_counter()
    for wallet in stratum.sample:
        evaluation.rows(query(wallet))
    return time.perf_counter() - started


def _extrapolated(way: str, strata: list[Stratum], runs: list[list[float]]) -> Serial:
    """A stratum's seconds grow with its fills."""
    seconds = [median(run[place] for run in runs) for place in range(len(strata))]
    return Serial(
        way=way,
        sampled_wallets=sum(len(stratum.sample) for stratum in strata),
        sampled_fills=sum(stratum.sampled_fills for stratum in strata),
        sample_s=round(sum(seconds), 3),
        all_wallets_s=round(
            sum(
                spent * stratum.fills / stratum.sampled_fills
                for spent, stratum in zip(seconds, strata, strict=True)
            ),
            1,
        ),
    )


def _rows(
    table: Path, evaluation: _Evaluation, wallets: list[int]
) -> dict[int, dict[int, Row | None]]:
    with closing(duckdb.connect(table, read_only=True)) as connection:
        query = _over(connection, evaluation.as_of)
        return {wallet: evaluation.rows(query(wallet)) for wallet in wallets}


def _compared(
    found: dict[int, dict[int, Row | None]], published: dict[int, pl.DataFrame]
) -> Agreement:
    """Raises DifferentResultsError where a row is missing or an exact feature differs."""
    rows, differing = 0, Counter[str]()
    for window, frame in published.items():
        theirs = {row["proxy_wallet"]: row for row in frame.iter_rows(named=True)}
        mine = {wallet: each[window] for wallet, each in found.items() if each[window]}
        if theirs.keys() != mine.keys():
            odd = sorted(theirs.keys() ^ mine.keys())
            raise DifferentResultsError(
                f"window {window}: only one of the two has wallets {odd[:3]}"
            )
        for wallet, row in mine.items():
            rows += 1
            differing.update(_differences(row, theirs[wallet]))
    if wrong := {name: differing[name] for name in MUST_AGREE if differing[name]}:
        raise DifferentResultsError(f"of {rows} rows of the sample these differ: {wrong}")
    return Agreement(rows, dict(differing))


def _differences(mine: Row, theirs: dict[str, object]) -> list[str]:
    return [
        name for name, value in mine.items()
        if name in theirs and not _is_equal(value, theirs[name])
    ]  # fmt: skip


def _is_equal(mine: object, theirs: object) -> bool:
    if not isinstance(mine, int | float) or not isinstance(theirs, int | float):
        return mine == theirs
    return isclose(mine, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
