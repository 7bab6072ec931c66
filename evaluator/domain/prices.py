"""Last known prices of outcome tokens: daily marks, closing lines, the price before an instant.

The price of a token is the last of the venue's price series where it has one, else that of the
last fill by anyone, in the total order of fills.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from evaluator.domain.order import Keys, fixed, float_keys

FILL_ORDER = (
    "filled_at",
    "has_no_sequence",
    "source_sequence",
    "side",
    "transaction_key",
    "price",
    "size_shares",
    "ordinal",
)
"""Order of the fills of one token by anyone; `side` ranks acquisitions before disposals."""

PRICE_COLUMNS = (
    "token_id",
    "filled_at",
    "source_sequence",
    "side",
    "transaction_key",
    "price",
    "size_shares",
    "ordinal",
)
"""Columns of `fills` that prices need."""

CLOSING_LINE = timedelta(hours=1)
"""How long before the earlier of a market's end and resolution its line closes."""

_DAY = 86_400_000_000
_LAST = np.iinfo(np.int64).max
_FIRST = np.iinfo(np.int64).min
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Marks:
    """Price of every token at each midnight.

    `prices[i, k]` is the last one known strictly before `first + k` days, NaN where there is
    none; row i is the token of `token_rank` i, and the last row, of no token, is empty.
    """

    first: datetime
    prices: Floats


@njit(cache=True, nogil=True)
def _is_later(best: Ints, keys: Keys, row: int) -> bool:
    for place, key in enumerate(keys):
        if best[place] != key[row]:
            return bool(best[place] < key[row])
    return False


@njit(cache=True, nogil=True)
def _keep_last(best: Ints, prices: Floats, cells: Ints, keys: Keys, given: Floats) -> None:
    """Per cell the largest of the keys and its price; negative cells are none."""
    for row in range(cells.size):
        cell = cells[row]
        if cell >= 0 and _is_later(best[cell], keys, row):
            for place, key in enumerate(keys):
                best[cell, place] = key[row]
            prices[cell] = given[row]


class LastPrices:
    """The last fill of each token on each day, and up to its closing line.

    Fills are added part by part, in any order; memory is one row of keys per token and day
    from `first` to `as_of`, whatever the fills.
    """

    def __init__(self, tokens: pl.DataFrame, *, first: datetime, as_of: datetime) -> None:
        """`tokens` is one row per token (`markets.tokens`) in the order of token_rank."""
        self.first, self.as_of, self.days = first, as_of, (as_of - first).days
        line = pl.min_horizontal("end_at", "resolved_at") - CLOSING_LINE
        self._tokens = tokens.select("token_id", "token_rank", line.alias("line_at"))
        # Column 0 stands for all time before `first`, the last one for the closing line.
        self._width = self.days + 2
        cells = (tokens.height + 1) * self._width
        self._best = np.full((cells, len(PRICE_COLUMNS) - 1), _FIRST)
        self._prices = np.full(cells, np.nan)

    def add(self, fills: pl.DataFrame) -> None:
        """Take in fills with `PRICE_COLUMNS`; those at or after as_of change nothing."""
        known = fills.filter(pl.col("filled_at") < self.as_of).join(self._tokens, on="token_id")
        day = (pl.col("filled_at").cast(pl.Int64) - _microseconds(self.first)).floordiv(_DAY)
        row = pl.col("token_rank") * self._width
        is_before_line = pl.col("filled_at") <= pl.col("line_at")
        cells = known.select(
            (row + (day + 1).clip(0)).alias("day"),
            pl.when(is_before_line).then(row + self._width - 1).otherwise(-1).alias("line"),
        )
        keys = _order_keys(known)
        for name in ("day", "line"):
            _keep_last(
                self._best, self._prices, cells[name].to_numpy(), keys, known["price"].to_numpy()
            )

    def marks(self, series: pl.DataFrame) -> Marks:
        """Marks at each midnight from `first` to `as_of`; `series` is the table `prices`."""
        by_fill = _filled_forward(self._grid()[:, :-1])
        if series.is_empty():
            return Marks(self.first, by_fill)
        by_series = _filled_forward(self._series_grid(series))
        return Marks(self.first, np.where(np.isnan(by_series), by_fill, by_series))

    def closing_lines(self, series: pl.DataFrame) -> pl.DataFrame:
        """Per token its last price up to an hour before the end: token_id, clv_price or null."""
        by_fill = self._tokens.select(
            "token_id", pl.Series("fill_price", self._grid()[:-1, -1]).fill_nan(None)
        )
        by_series = (
            series.join(self._tokens, on="token_id")
            .filter((pl.col("priced_at") <= pl.col("line_at")) & (pl.col("priced_at") < self.as_of))
            .sort("priced_at")
            .group_by("token_id")
            .agg(pl.col("price").last().alias("series_price"))
        )
        return by_fill.join(by_series, on="token_id", how="left", maintain_order="left").select(
            "token_id", pl.coalesce("series_price", "fill_price").alias("clv_price")
        )

    def _grid(self) -> Floats:
        return self._prices.reshape(-1, self._width)

    def _series_grid(self, series: pl.DataFrame) -> Floats:
        """The series' last price of each day, in the columns of the grid of fills."""
        grid = np.full((self._tokens.height + 1, self.days + 1), np.nan)
        day = (pl.col("priced_at") - self.first).dt.total_microseconds().floordiv(_DAY)
        ends = (
            series.filter(pl.col("priced_at") < self.as_of)
            .join(self._tokens, on="token_id")
            .with_columns((day + 1).clip(0).alias("column"))
            .sort("priced_at")
            .unique(["token_rank", "column"], keep="last", maintain_order=True)
        )
        grid[ends["token_rank"].to_numpy(), ends["column"].to_numpy()] = ends["price"].to_numpy()
        return grid


def _microseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _order_keys(fills: pl.DataFrame) -> Keys:
    """Keys of the total order of fills of one token; no sequence comes last."""
    keys = fills.select(
        pl.col("filled_at").cast(pl.Int64),
        pl.col("source_sequence").fill_null(_LAST),
        pl.col("side").to_physical().cast(pl.Int64),
        "transaction_key",
        pl.Series("price", float_keys(fills["price"])),
        "size_shares",
        pl.col("ordinal").cast(pl.Int64),
    )
    return tuple(map(fixed, keys))


def _filled_forward(grid: Floats) -> Floats:
    """Each column with the prices of the columns before it where it has none."""
    filled = grid.copy()
    for column in range(1, filled.shape[1]):
        missing = np.isnan(filled[:, column])
        filled[missing, column] = filled[missing, column - 1]
    return filled


def fills_before(questions: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """The questions (token_id, at) with `price`: of the last fill strictly before `at`, or null."""
    known = (
        fills.filter(pl.col("token_id").is_in(questions["token_id"].unique().implode()))
        .with_columns(pl.col("source_sequence").is_null().alias("has_no_sequence"))
        .sort(FILL_ORDER)
        .select("token_id", pl.col("filled_at").alias("at"), "price")
    )
    return questions.sort("at").join_asof(
        known,
        on="at",
        by="token_id",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
