"""Archives for tests: the real one beside the repository, and tiny ones made of rows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evaluator.venue.archive import Archive

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "polymarket"
REQUIRED = "EVALUATOR_REQUIRE_ARCHIVE"

WALLET = "0x" + "a1" * 20
OTHER = "0x" + "b2" * 20
CONDITION = "0x" + "c3" * 32
YES, NO = "7" * 77, "8" * 77
NOON = 1_740_052_800  # 2025-02-20 12:00:00 UTC


def real_archive() -> Path:
    """The folder of real history; skips the test without it, or fails where it is required."""
    if REAL.is_dir():
        return REAL
    reason = f"the real archive is not at {REAL}"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason}, and {REQUIRED}=1 requires it")
    pytest.skip(reason)


def trade(**fields: Any) -> dict[str, Any]:
    """One trade row: a taker buys 10 YES at 0.40."""
    return {
        "proxyWallet": WALLET,
        "side": "BUY",
        "asset": YES,
        "conditionId": CONDITION,
        "size": 10.0,
        "price": 0.4,
        "usdcSize": 4.0,
        "timestamp": NOON,
        "outcomeIndex": 0,
        "transactionHash": "0x" + "d4" * 32,
        "orderKey": "e5e5e5e5e5e5e",
        "isTaker": True,
        "fee": 0.0,
        "seq": 0,
        "slug": "will-it",
        "eventSlug": "it",
    } | fields


def market(**fields: Any) -> dict[str, Any]:
    """One market row: YES has won."""
    return {
        "conditionId": CONDITION,
        "slug": "will-it",
        "title": "Will it?",
        "eventSlug": "it",
        "endDate": "2025-02-21T00:00:00Z",
        "volume": 10.0,
        "outcomes": '["Yes", "No"]',
        "clobTokenIds": f'["{YES}", "{NO}"]',
        "outcomePrices": '["1", "0"]',
        "closed": True,
    } | fields


def position(**fields: Any) -> dict[str, Any]:
    """One official position: 10 YES held at 0.40, now worth 1."""
    return {
        "proxyWallet": WALLET,
        "asset": YES,
        "conditionId": CONDITION,
        "eventSlug": "it",
        "amount": 10.0,
        "avgPrice": 0.4,
        "realizedPnl": 0.0,
        "totalBought": 10.0,
        "curPrice": 1.0,
    } | fields


def archive(
    folder: Path,
    rows: Sequence[dict[str, Any]] = (),
    listed: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> Archive:
    """An archive of these rows, written to the folder; by default one trade of one market."""
    _write(folder / "trades_fomc.parquet", rows or [trade()])
    _write(folder / "markets_fomc.parquet", listed or [market()])
    return Archive(folder, **options)


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The row without some of its columns."""
    return {name: value for name, value in row.items() if name not in names}


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    pl.DataFrame(rows, infer_schema_length=None, strict=False).write_parquet(path)
