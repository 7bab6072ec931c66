"""Everything known about one wallet: scores, verdict with margins, features, last lots."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from evaluator.domain import ids
from evaluator.domain.errors import InvalidArgumentError, PermanentError
from evaluator.domain.schema import MICRO, MONEY, Table
from evaluator.domain.tables.evaluation import (
    WALLET_EXCLUSIONS,
    WALLET_FEATURES,
    WALLET_PERSONAS,
    WALLET_SCORES,
    WALLET_TRAITS,
)
from evaluator.domain.tables.history import FILLS
from evaluator.domain.tables.ledger import CLOSED_LOTS
from evaluator.reports import places
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot

KEY_FEATURES = (
    "fill_count",
    "market_count",
    "settled_count",
    "win_rate",
    "realised_pnl_usdc",
    "roi",
    "max_drawdown",
    "hold_hours_mean",
    "maker_share",
    "coverage",
)
LAST_LOTS = 10

_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_LOT_COLUMNS = (
    "closed_at",
    "event_slug",
    "close_kind",
    "size_shares",
    "open_price",
    "close_price",
    "cost_usdc",
    "realised_pnl_usdc",
)

Row = dict[str, Any]


class WalletUnknownError(PermanentError):
    """No table names the wallet."""

    code = "wallet_unknown"
    hint = "check that this is the proxy wallet, not the signing key"

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(f"no fills of {address}")


@dataclass(frozen=True, slots=True)
class WalletReport:
    """One wallet on the newest day computed."""

    address: str
    day: date | None
    fills: int
    scores: list[Row]
    verdict: Row | None
    exclusions: list[Row]
    traits: list[Row]
    features: list[Row]
    last_closed_lots: list[Row]


def wallet_report(now: Snapshot, address: str) -> WalletReport:
    """Raises InvalidArgumentError for what is no address, WalletUnknownError for a stranger."""
    wallet = address.lower()
    if not _ADDRESS.fullmatch(wallet):
        raise InvalidArgumentError(
            "wallet", address, "is no address", "an address is 0x and 40 hex digits"
        )
    key = ids.surrogate(wallet)
    bucket = [partitions.bucket(ids.bucket_of(key))]
    fills = _of(now, FILLS, key, bucket, ["fill_id"]).height
    verdict = _of(now, WALLET_PERSONAS, key, _last(now, WALLET_PERSONAS))
    if not fills and verdict.is_empty():
        raise WalletUnknownError(wallet)
    scores = _of(now, WALLET_SCORES, key, _last(now, WALLET_SCORES)).sort("window_days")
    features = _of(now, WALLET_FEATURES, key, _last(now, WALLET_FEATURES)).sort("window_days")
    known = places.days(now, WALLET_SCORES)
    return WalletReport(
        address=wallet,
        day=known[-1] if known else None,
        fills=fills,
        scores=scores.drop("proxy_wallet", "computed_at").to_dicts(),
        verdict=_verdict(verdict),
        exclusions=_of(now, WALLET_EXCLUSIONS, key, _last(now, WALLET_EXCLUSIONS))
        .drop("proxy_wallet", "persona_date")
        .to_dicts(),
        traits=_of(now, WALLET_TRAITS, key, _last(now, WALLET_TRAITS))
        .drop("proxy_wallet", "persona_date")
        .to_dicts(),
        features=features.select("window_days", *KEY_FEATURES).to_dicts(),
        last_closed_lots=_lots(now, key, bucket),
    )


def _of(
    now: Snapshot, table: Table, key: int, where: list[str], columns: list[str] | None = None
) -> pl.DataFrame:
    return now.read(
        table, partitions=where, columns=columns, where="proxy_wallet = ?", parameters=[key]
    )


def _last(now: Snapshot, table: Table) -> list[str]:
    """The partitions of the newest day of a table by day."""
    known = places.days(now, table)
    return [
        name
        for name in now.partitions(table)
        if known and (name + "/").startswith(f"{partitions.day(known[-1])}/")
    ]


def _verdict(rows: pl.DataFrame) -> Row | None:
    if rows.is_empty():
        return None
    row = rows.drop("proxy_wallet", "computed_at").row(0, named=True)
    margins = row["margins"] or []
    return row | {"margins": {part["key"]: part["value"] for part in margins}}


def _lots(now: Snapshot, key: int, bucket: list[str]) -> list[Row]:
    """The lots closed last, the newest first, money in USDC and shares."""
    lots = _of(now, CLOSED_LOTS, key, bucket, [*_LOT_COLUMNS, "close_order"])
    last = lots.sort("closed_at", "close_order", descending=True).head(LAST_LOTS)
    money = [name for name in _LOT_COLUMNS if CLOSED_LOTS.column(name).dtype is MONEY]
    return (
        places.in_words(now, last, "event_slug")
        .select(_LOT_COLUMNS)
        .with_columns(pl.col(money) / MICRO)
        .to_dicts()
    )
