"""The ledger of real history against the venue's own numbers, and its cash law per position."""

from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.tables.history import FILLS
from evaluator.domain.tables.ledger import (
    CLOSED_LOTS,
    OPEN_LOTS,
    RECONCILIATION,
    RECONCILIATION_EVENTS,
)
from evaluator.stages import history, ledger
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive
from tests.stages import pipeline

PAIR = ("proxy_wallet", "token_id")


@pytest.fixture(scope="module")
def lake(archive_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return pipeline.ingest_archive(tmp_path_factory.mktemp("lake"), Archive(archive_folder))


@pytest.fixture(scope="module")
def by_token(lake: Lake) -> pl.DataFrame:
    """Tokens with fills of the wallet: 43,992 positions."""
    with lake.snapshot() as now:
        return now.read(RECONCILIATION).filter(pl.col("fill_count") > 0)


@pytest.fixture(scope="module")
def by_event(lake: Lake) -> pl.DataFrame:
    with lake.snapshot() as now:
        return now.read(RECONCILIATION_EVENTS)


def share(rows: pl.DataFrame) -> float:
    return float(rows["is_match"].sum() / rows.height)


def test_pnl_per_wallet_and_event_is_the_venues(by_event: pl.DataFrame):
    assert by_event.height == 34_692
    assert share(by_event) >= 0.985
    assert share(by_event.filter("is_clean")) >= 0.995


def test_pnl_per_wallet_and_token_is_the_venues(by_token: pl.DataFrame):
    assert by_token.height == 43_992
    assert share(by_token) >= 0.95
    assert share(by_token.filter("is_clean")) >= 0.97


def test_every_miss_has_a_reason_that_the_inputs_give(
    by_token: pl.DataFrame, by_event: pl.DataFrame
):
    for rows in (by_token, by_event):
        assert (rows["is_match"] == (rows["reason"] == "matched")).all()
        assert (rows["reason"] == "other").sum() <= 0.005 * rows.height


def test_realised_less_open_cost_and_unexplained_is_the_cash_of_every_position(lake: Lake):
    is_buy = pl.col("side") == "BUY"
    fee = pl.col("fee_usdc").fill_null(0)
    with lake.snapshot() as now:
        known = history.tokens(now)
        unexplained = pl.concat(
            ledger.bucket_ledger(now, number, known).unexplained for number in history.ALL_BUCKETS
        )
        cash = now.read(FILLS).select(
            *PAIR,
            pl.when(is_buy)
            .then(-pl.col("notional_usdc") - fee)
            .otherwise(pl.col("notional_usdc") - fee)
            .alias("cash"),
        )
        closed, left = now.read(CLOSED_LOTS), now.read(OPEN_LOTS)
    paid_out = closed.filter(pl.col("close_kind") == "RESOLVE").select(
        *PAIR, pl.col("proceeds_usdc").alias("cash")
    )
    booked = pl.concat(
        [
            closed.select(*PAIR, pl.col("realised_pnl_usdc").alias("booked")),
            left.select(*PAIR, -pl.col("cost_usdc").alias("booked")),
            unexplained.select(*PAIR, pl.col("proceeds").alias("booked")),
        ]
    )
    compared = (
        pl.concat([cash, paid_out])
        .group_by(PAIR)
        .agg(pl.col("cash").sum())
        .join(booked.group_by(PAIR).agg(pl.col("booked").sum()), on=PAIR, how="full")
    )
    assert compared.height == 43_992
    assert compared.filter(pl.col("cash").ne_missing(pl.col("booked"))).is_empty()
