"""The ledger against the venue's own positions: error and reason per token and per event.

The venue keeps a weighted-average price rounded to 10⁻⁶ at every buy, books a split or merge at
0.50, a conversion without any fill and no fee; over a resolved token its total PnL equals FIFO's. What
differs is explained from the inputs alone, in the order of `REASONS`.
"""

from dataclasses import dataclass

import polars as pl

from evaluator.domain.ledger.lots import Ledger
from evaluator.domain.schema import MICRO

FILL_COLUMNS = ("proxy_wallet", "token_id", "side", "size_shares", "fee_usdc")

ABSOLUTE_TOLERANCE_USDC = 0.01
RELATIVE_TOLERANCE = 0.001
PRICE_STEP = 1e-6
"""Step to which the venue rounds an average price at every buy."""

_KEY = ("proxy_wallet", "token_id")
_EVENT = ("proxy_wallet", "event_slug")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a PnL differs, and when that applies; the first that does names the row."""

    name: str
    applies: pl.Expr


def _within_tolerance(error: pl.Expr, official: pl.Expr) -> pl.Expr:
    return error.abs() <= ABSOLUTE_TOLERANCE_USDC + RELATIVE_TOLERANCE * official.abs()


_error, _official = pl.col("error_usdc"), pl.col("official_pnl_usdc")
_bought, _official_bought = pl.col("bought_shares"), pl.col("official_bought_shares")
_SHARE_CENT = MICRO // 100
# A disposal without a fill (merge, conversion, transfer) can be of shares that no fill sold, at a
# price in [0, 1]: the error cannot exceed those shares, nor have the other sign.
_held = (_bought - pl.col("sold_shares")) / MICRO
_at_other_price = (_error.abs() <= _held + ABSOLUTE_TOLERANCE_USDC) & (
    _error * (pl.col("current_price") - 0.5) >= 0
)

# A split, merge or conversion is divided among its tokens evenly there, by prices here: what one
# token has more the others have less.
_event_error, _event_official = _error.sum().over(_EVENT), _official.sum().over(_EVENT)
_is_event_equal = _within_tolerance(_event_error, _event_official)

REASONS = (
    Reason("matched", pl.col("is_match")),
    Reason("official_missing", pl.col("is_official_missing")),
    Reason("oversold", pl.col("unexplained_shares") > 0),
    Reason("split_or_conversion_unseen", _official_bought > _bought + _SHARE_CENT),
    Reason("bought_differs", _official_bought < _bought - _SHARE_CENT),
    Reason("price_rounding", _error.abs() <= PRICE_STEP * pl.col("lot_count") * _bought / MICRO),
    Reason("fee_unseen", _error.abs() <= pl.col("fees_usdc") / MICRO + ABSOLUTE_TOLERANCE_USDC),
    Reason("divided_differently", _is_event_equal),
    Reason("disposal_unseen", _at_other_price),
    Reason("other", pl.lit(value=True)),
)


def by_token(
    positions: pl.DataFrame, fills: pl.DataFrame, ledger: Ledger, known: pl.DataFrame
) -> pl.DataFrame:
    """One row per wallet and resolved token, in events with official numbers and own ones.

    `positions` are of one or more days, of which a wallet's newest counts; `known` is one row
    per token. A token that the venue lists and the wallet's history does not is a row too.
    """
    resolved = known.filter(pl.col("payout").is_not_null()).select(
        "token_id", "event_slug", pl.col("payout").alias("current_price")
    )
    official = _official_numbers(positions)
    rows = (
        official.join(_own_numbers(fills, ledger, known), on=_KEY, how="full", coalesce=True)
        .join(resolved, on="token_id")
        .with_columns(
            pl.col("official_pnl_usdc").is_null().alias("is_official_missing"),
            pl.col("official_pnl_usdc", "pnl_usdc").fill_null(0.0),
            pl.col(
                "official_bought_shares",
                "bought_shares",
                "sold_shares",
                "unexplained_shares",
                "fees_usdc",
                "lot_count",
                "fill_count",
            ).fill_null(0),
        )
        .filter(
            ((pl.col("fill_count") + pl.col("lot_count")).sum().over(_EVENT) > 0)
            & ~pl.col("is_official_missing").all().over(_EVENT)
        )
    )
    return _judged(rows).sort(_KEY)


def by_event(tokens: pl.DataFrame) -> pl.DataFrame:
    """One row per wallet and event; its reason is that of the token with the largest error."""
    worst = pl.col("reason").sort_by(_error.abs(), descending=True).first()
    rows = tokens.group_by(_EVENT).agg(
        pl.col("official_pnl_usdc", "pnl_usdc").sum(),
        (_bought.sum() - _official_bought.sum()).abs().le(_SHARE_CENT).alias("is_same_bought"),
        (pl.col("unexplained_shares").sum() == 0).alias("is_never_oversold"),
        worst.alias("worst"),
    )
    error = pl.col("pnl_usdc") - _official
    return (
        rows.with_columns(error.alias("error_usdc"))
        .with_columns(_within_tolerance(_error, _official).alias("is_match"))
        .select(
            *_EVENT,
            "official_pnl_usdc",
            "pnl_usdc",
            "error_usdc",
            "is_match",
            (pl.col("is_same_bought") & pl.col("is_never_oversold")).alias("is_clean"),
            # Tokens that match one by one can miss together by what rounding leaves in each.
            pl.when("is_match")
            .then(pl.lit("matched"))
            .when(pl.col("worst").cast(pl.String) == "matched")
            .then(pl.lit("price_rounding"))
            .otherwise(pl.col("worst").cast(pl.String))
            .alias("reason"),
        )
        .sort(_EVENT)
    )


def _official_numbers(positions: pl.DataFrame) -> pl.DataFrame:
    newest = positions.filter(
        pl.col("snapshot_date") == pl.col("snapshot_date").max().over("proxy_wallet")
    )
    marked = pl.col("size_shares") * (pl.col("current_price") - pl.col("average_price"))
    return newest.select(
        *_KEY,
        ((pl.col("realised_pnl_usdc") + marked) / MICRO).alias("official_pnl_usdc"),
        pl.col("bought_shares").alias("official_bought_shares"),
    )


def _own_numbers(fills: pl.DataFrame, ledger: Ledger, known: pl.DataFrame) -> pl.DataFrame:
    """One row per wallet and token with a fill or a lot; lots also come from splits and conversions."""
    is_buy = pl.col("side") == "BUY"
    traded = fills.group_by(_KEY).agg(
        pl.col("size_shares").filter(~is_buy).sum().alias("sold_shares"),
        pl.col("fee_usdc").fill_null(0).sum().alias("fees_usdc"),
        pl.len().cast(pl.Int64).alias("fill_count"),
    )
    closed = ledger.closed_lots.group_by(_KEY).agg(
        (pl.col("realised_pnl_usdc").sum() / MICRO).alias("pnl_usdc")
    )
    unexplained = ledger.unexplained.group_by(_KEY).agg(
        pl.col("quantity").sum().alias("unexplained_shares")
    )
    rows = traded
    for more in (_acquired(ledger, known), closed, unexplained):
        rows = rows.join(more, on=_KEY, how="full", coalesce=True)
    return rows


def _acquired(ledger: Ledger, known: pl.DataFrame) -> pl.DataFrame:
    """Shares and number of the lots that a wallet has opened; a resolution opens none of its own."""
    columns = (*_KEY, "open_fill_id", "size_shares")
    refs = known.select("token_id", pl.col("resolution_ref").alias("open_fill_id"))
    lots = pl.concat([ledger.closed_lots.select(columns), ledger.open_lots.select(columns)])
    return (
        lots.join(refs, on=["token_id", "open_fill_id"], how="anti")
        .group_by(_KEY)
        .agg(
            pl.col("size_shares").sum().alias("bought_shares"),
            pl.col("open_fill_id").n_unique().cast(pl.Int64).alias("lot_count"),
        )
    )


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    is_same_bought = (_official_bought - _bought).abs() <= _SHARE_CENT
    judged = rows.with_columns((pl.col("pnl_usdc") - _official).alias("error_usdc")).with_columns(
        _within_tolerance(_error, _official).alias("is_match"),
        (is_same_bought & (pl.col("unexplained_shares") == 0)).alias("is_clean"),
    )
    reason = pl.coalesce(pl.when(r.applies).then(pl.lit(r.name)) for r in REASONS)
    return judged.with_columns(reason.alias("reason"))
