"""What a run says of a mistake, and what it keeps from being computed on bad data."""

from dataclasses import replace

import polars as pl
import pytest

from evaluator.domain.errors import PermanentError, TransientError
from evaluator.domain.features.history import Cell
from evaluator.domain.schema import Table
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_PERSONAS, WALLET_SCORES
from evaluator.domain.tables.history import RESOLUTIONS
from evaluator.stages import features, quality
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator_assets import errors


class OnceBusyError(TransientError):
    """The test's own."""

    code = "once_busy"
    hint = "wait"


class NeverError(PermanentError):
    """The test's own."""

    code = "never"
    hint = "give up"


def lenient(table: Table, *key: str) -> Table:
    """The table as a writer with a faulty declaration sees it: any column may be null."""
    columns = tuple(replace(column, null="any") for column in table.columns)
    return replace(table, columns=columns, key=(*table.key, *key))


def plant(lake: Lake, table: Table, partition: str, rows: pl.DataFrame) -> None:
    lake.commit(replace={(table, partition): rows})


def test_a_mistake_of_the_user_fails_the_asset_with_its_hint(empty_home, day, tmp_path):
    (tmp_path / "empty").mkdir()
    overrides = {"archive": {"folder": str(tmp_path / "empty")}}
    ran = empty_home.run("discovery", empty_home.on(day), **overrides)
    assert not ran.success
    (text,) = ran.failures().values()
    assert "hint:" in text
    assert "markets_fomc.parquet" in text or "trades_fomc.parquet" in text


def test_a_transient_error_is_tried_again(scored_home, day, monkeypatch):
    tries = []

    def flaky(*arguments):
        tries.append(1)
        if len(tries) < 3:
            raise OnceBusyError("busy")
        return compute(*arguments)

    compute = features.compute
    monkeypatch.setattr(features, "compute", flaky)
    monkeypatch.setattr(errors, "PAUSE_S", 0.01)
    assert scored_home.run("scoring", scored_home.all_windows(day)).success
    assert len(tries) == 3


@pytest.mark.parametrize(("error", "tries"), [(NeverError, 1), (OnceBusyError, 3)])
def test_an_error_that_stays_is_shown_with_its_hint(scored_home, day, monkeypatch, error, tries):
    seen = []

    def failing(*_):
        seen.append(1)
        raise error("no way")

    monkeypatch.setattr(features, "compute", failing)
    monkeypatch.setattr(errors, "PAUSE_S", 0.01)
    ran = scored_home.run("scoring", scored_home.all_windows(day))
    assert not ran.success
    assert len(seen) == tries
    assert ran.failures()["wallet_features"] == f"no way\nhint: {error.hint}"


def test_scores_wait_for_features_of_every_wallet(ledger_home, day, monkeypatch):
    """A wallet without a row blocks the scores, which would rank without it."""

    def forgetful(lake, cells, stamp):
        compute(lake, cells, stamp)
        where = partitions.day_window(day, 30)
        with lake.snapshot() as now:
            rows = now.read(WALLET_FEATURES, partitions=[where])
            return lake.commit(replace={(WALLET_FEATURES, where): rows[1:]}, base=now)

    compute = features.compute
    monkeypatch.setattr(features, "compute", forgetful)
    ran = ledger_home.run("scoring", ledger_home.all_windows(day))
    assert not ran.checks()["wallet_features.window_completeness"]
    assert "wallet_scores" not in ran.materialized()
    assert not ran.success


def test_a_payout_given_twice_fails_the_check_of_keys(ledger_home):
    lake, table = ledger_home.lake(), lenient(RESOLUTIONS, "payout")
    with lake.snapshot() as now:
        rows = now.read(RESOLUTIONS)
        assert quality.unique_key(now, RESOLUTIONS).is_ok
    twice = rows[:1].with_columns(pl.col("payout") + 1)
    plant(lake, table, partitions.SINGLE, pl.concat([rows, twice]))
    with lake.snapshot() as now:
        found = quality.unique_key(now, RESOLUTIONS)
    assert (found.is_ok, found.figures) == (False, {"duplicate_count": 1})


def test_a_null_where_none_may_be_fails_the_check_of_nulls(ledger_home):
    lake, table = ledger_home.lake(), lenient(RESOLUTIONS)
    with lake.snapshot() as now:
        rows = now.read(RESOLUTIONS)
    holed = rows.with_columns(
        pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("payout").alias("payout")
    )
    plant(lake, table, partitions.SINGLE, holed)
    with lake.snapshot() as now:
        found = quality.declared_nulls(now, RESOLUTIONS)
    assert (found.is_ok, found.figures) == (False, {"null_count": 2, "payout": 2})


def test_an_infinite_score_fails_the_check_of_numbers(scored_home, day, monkeypatch):
    lake, where = scored_home.lake(), partitions.day_window(day, 30)
    with lake.snapshot() as now:
        rows = now.read(WALLET_SCORES, partitions=[where])
    monkeypatch.setattr("evaluator.store.frames._check_finite", lambda *_: None)
    plant(lake, WALLET_SCORES, where, rows.with_columns(edge=pl.lit(float("inf"))))
    with lake.snapshot() as now:
        found = quality.finite_values(now, WALLET_SCORES)
        assert quality.finite_values(now, WALLET_FEATURES).is_ok
    assert not found.is_ok
    assert found.figures["edge"] == rows.height


def test_a_wallet_without_a_verdict_is_named(scored_home, day):
    assert scored_home.run("personas", scored_home.on(day)).success
    lake, where = scored_home.lake(), partitions.day(day)
    with lake.snapshot() as now:
        assert quality.persona_completeness(now, day).is_ok
        rows = now.read(WALLET_PERSONAS, partitions=[where])
    plant(lake, WALLET_PERSONAS, where, rows[1:])
    with lake.snapshot() as now:
        found = quality.persona_completeness(now, day)
        texts = dict(now.texts().iter_rows())
    assert not found.is_ok
    assert found.figures["missing_count"] == 1
    assert found.figures["examples"] == texts[rows["proxy_wallet"][0]]


def test_a_ledger_without_fills_has_no_newest_fill(tmp_path, day):
    with Lake(tmp_path).snapshot() as now:
        assert quality.newest_fill(now) is None
        assert quality.repeated_fills(now).is_ok
        assert quality.coverage(now).is_ok
        assert quality.window_completeness(now, Cell(day, 30)).is_ok
