"""Verdicts against the planted truth of a simulated world. Nothing else reads that truth."""

from datetime import date

import polars as pl

from evaluator.domain import ids, validation
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import PERSONA_VALIDATION, WALLET_PERSONAS
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot

NOTHING_PLANTED = "nothing planted"
"""Expected label of wallets without a style; a verdict on them counts against its precision."""


def validate(lake: Lake, truth: pl.DataFrame, stamp: Stamp) -> Commit:
    """Replace the newest verdict day's rows of `persona_validation`.

    `truth` has proxy_wallet (text) and expected_label.
    """
    with lake.snapshot() as now:
        day = newest_day(now)
        matrix = validation.confusion(pairs(now, day, truth)) if day else None
    if day is None or matrix is None:
        return lake.commit(what="nothing")
    rows = matrix.with_columns(
        pl.lit(day).alias("persona_date"),
        config_hash=pl.lit(stamp.config_hash),
        computed_at=pl.lit(stamp.now),
    )
    place = (PERSONA_VALIDATION, partitions.SINGLE)
    columns = PERSONA_VALIDATION.schema.names()
    return lake.commit(upsert={place: rows.select(columns)}, what="validation")


def newest_day(now: Snapshot) -> date | None:
    """The newest day that has verdicts; None without any."""
    days = now.partitions(WALLET_PERSONAS)
    return date.fromisoformat(max(days).removeprefix("date=")) if days else None


def pairs(now: Snapshot, day: date, truth: pl.DataFrame) -> pl.DataFrame:
    """expected_label and persona of every discovered wallet with a verdict on the day."""
    verdicts = now.read(
        WALLET_PERSONAS, partitions=[partitions.day(day)], columns=["proxy_wallet", "persona"]
    )
    discovered = now.read(WALLETS, columns=["proxy_wallet"]).unique()
    planted = truth.select(
        ids.surrogates(truth["proxy_wallet"]), pl.col("expected_label").fill_null(NOTHING_PLANTED)
    )
    known = verdicts.join(discovered, on="proxy_wallet", how="semi")
    return known.join(planted, on="proxy_wallet").select("expected_label", "persona")


def agreement(now: Snapshot) -> pl.DataFrame:
    """Precision and recall by label on the newest validated day; see `validation.agreement`."""
    rows = now.read(PERSONA_VALIDATION)
    newest = rows.filter(pl.col("persona_date") == pl.col("persona_date").max())
    return validation.agreement(newest.select("expected_label", "persona", "wallet_count"))
