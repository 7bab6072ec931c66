"""What retention deletes, and that it deletes nothing else."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.domain.schema import Partitioning, Table
from evaluator.domain.tables.evaluation import WALLET_EXCLUSIONS, WALLET_PERSONAS, WALLET_TRAITS
from evaluator.domain.tables.history import DEAD_LETTERS, QUARANTINE, VENUE_REQUESTS
from evaluator.domain.tables.market_data import BOOKS, PRICES
from evaluator.domain.tables.registry import TABLES
from evaluator.stages import retention
from evaluator.stages.retention import Report, RetentionRules
from evaluator.store import partitions
from evaluator.store.errors import StaleReplaceError
from evaluator.store.lake import Lake

TODAY = date(2026, 6, 30)
FOR_EVER = RetentionRules(**{each.name: 0 for each in fields(RetentionRules)})
NOTHING = Report({}, {})


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path, threads=1)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def start(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def refused(*seen: datetime) -> pl.DataFrame:
    rows = [("file", str(number), "rule", "{}", at) for number, at in enumerate(seen)]
    return pl.DataFrame(rows, schema=QUARANTINE.schema, orient="row")


def prices(day: date) -> pl.DataFrame:
    """One price at noon; of whichever table of one token and instant."""
    row = {"token_id": 1, "priced_at": start(day) + timedelta(hours=12), "price": 0.5}
    columns = {
        column.name: pl.Series([row.get(column.name)], dtype=column.dtype.frame)
        if column.name in row or column.null
        else pl.Series([_any(column.dtype.frame)], dtype=column.dtype.frame)
        for column in PRICES.columns
    }
    return pl.DataFrame(columns)


def _any(dtype: pl.DataType) -> object:
    if isinstance(dtype, pl.Enum):
        return dtype.categories[0]
    return {pl.String: "x", pl.Datetime: start(TODAY)}.get(type(dtype), 1)


def empty(lake: Lake, table: Table, *days: date) -> None:
    """Days that have been computed and found nothing."""
    rows = table.schema.to_frame()
    lake.commit(replace={(table, partitions.day(day)): rows for day in days})


def days_of(lake: Lake, table: Table) -> list[str]:
    with lake.snapshot() as now:
        return [name.removeprefix("date=") for name in now.partitions(table)]


def test_days_older_than_their_rule_go_and_the_oldest_kept_stays(lake: Lake):
    for days in (31, 30, 29, 0):
        lake.commit(append={(PRICES, partitions.day(ago(days))): prices(ago(days))})
    empty(lake, BOOKS, ago(31), ago(400))
    rules = replace(FOR_EVER, prices_days=30)
    assert retention.apply(lake, rules, TODAY) == Report({"prices": 1}, {})
    assert days_of(lake, PRICES) == [str(ago(days)) for days in (30, 29, 0)]
    assert days_of(lake, BOOKS) == [str(ago(400)), str(ago(31))]
    with lake.snapshot() as now:
        assert now.read(PRICES)["priced_at"].min() == start(ago(30)) + timedelta(hours=12)
    assert retention.apply(lake, rules, TODAY) == NOTHING


def test_days_inside_a_month_file_go_too(lake: Lake):
    for days in range(60, 40, -1):
        lake.commit(append={(PRICES, partitions.day(ago(days))): prices(ago(days))})
    assert lake.fold_months(PRICES, TODAY).partitions > 0
    assert retention.apply(lake, replace(FOR_EVER, prices_days=45), TODAY).partitions == {
        "prices": 15
    }
    assert days_of(lake, PRICES) == [str(ago(days)) for days in range(45, 40, -1)]
    with lake.snapshot() as now:
        assert now.read(PRICES).height == 5


def test_verdicts_exclusions_and_traits_of_a_day_go_together(lake: Lake):
    together = (WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS)
    for table in together:
        empty(lake, table, ago(11), ago(1))
    before = lake.latest_commit_id()
    done = retention.apply(lake, replace(FOR_EVER, personas_days=10), TODAY)
    assert done.partitions == {table.name: 1 for table in together}
    assert lake.latest_commit_id() == before + 1
    assert {tuple(days_of(lake, table)) for table in together} == {(str(ago(1)),)}


def test_rows_older_than_their_rule_go_to_the_microsecond(lake: Lake):
    midnight = start(ago(90))
    kept = [midnight, start(TODAY)]
    gone = [midnight - timedelta(microseconds=1), start(ago(1000))]
    lake.commit(append={(QUARANTINE, "all"): refused(*kept, *gone)})
    assert retention.apply(lake, RetentionRules(), TODAY) == Report({}, {"quarantine": 2})
    with lake.snapshot() as now:
        assert sorted(now.read(QUARANTINE)["seen_at"]) == kept
    before = lake.latest_commit_id()
    assert retention.apply(lake, RetentionRules(), TODAY) == NOTHING
    assert lake.latest_commit_id() == before


def letter(event: str, failed: date) -> pl.DataFrame:
    row = (event, "a_sensor", None, "{}", "boom", 3, "dead", start(failed))
    return pl.DataFrame([row], schema=DEAD_LETTERS.schema, orient="row")


def test_a_row_that_was_superseded_by_a_younger_one_stays_in_its_younger_form(lake: Lake):
    lake.commit(upsert={(DEAD_LETTERS, "all"): letter("1", ago(200))})
    lake.commit(upsert={(DEAD_LETTERS, "all"): letter("2", ago(200))})
    lake.commit(upsert={(DEAD_LETTERS, "all"): letter("1", ago(2))})
    done = retention.apply(lake, RetentionRules(), TODAY)
    assert done == Report({}, {"dead_letters": 1})
    with lake.snapshot() as now:
        assert now.read(DEAD_LETTERS).select("event_id", "failed_at").rows() == [
            ("1", start(ago(2)))
        ]


def test_rows_that_arrive_meanwhile_are_not_lost(lake: Lake, monkeypatch):
    lake.commit(append={(QUARANTINE, "all"): refused(start(ago(300)))})
    commit, late = lake.commit, refused(start(ago(300)), start(TODAY))

    def interrupted(**changes):
        monkeypatch.undo()
        commit(append={(QUARANTINE, "all"): late})
        return commit(**changes)

    monkeypatch.setattr(lake, "commit", interrupted)
    assert retention.apply(lake, RetentionRules(), TODAY).rows == {"quarantine": 1}
    with lake.snapshot() as now:
        assert now.read(QUARANTINE)["seen_at"].to_list() == [start(TODAY)]


def test_a_table_that_others_change_all_the_time_is_an_error_that_may_be_tried_again(
    lake: Lake, monkeypatch
):
    lake.commit(append={(QUARANTINE, "all"): refused(start(ago(300)))})
    commit, tries = lake.commit, []

    def interrupted(**changes):
        tries.append(len(tries))
        seen = [start(ago(300))] * (len(tries) + 1)
        commit(append={(QUARANTINE, "all"): refused(*seen)})
        return commit(**changes)

    monkeypatch.setattr(lake, "commit", interrupted)
    with pytest.raises(StaleReplaceError):
        retention.apply(lake, RetentionRules(), TODAY)
    assert len(tries) == retention.TRIES
    with lake.snapshot() as now:
        assert now.read(QUARANTINE).height == retention.TRIES + 1


def test_by_default_no_number_of_history_is_ever_deleted(lake: Lake):
    daily = [
        table for table in TABLES if table.partitioned_by is Partitioning.DAY and table is not BOOKS
    ]
    for table in daily:
        empty(lake, table, date(2001, 1, 1))
    empty(lake, BOOKS, date(2001, 1, 1))
    assert retention.apply(lake, RetentionRules(), TODAY) == Report({"books": 1}, {})
    assert all(days_of(lake, table) == ["2001-01-01"] for table in daily)


def test_nothing_is_deleted_where_everything_is_kept_for_ever(lake: Lake):
    lake.commit(append={(QUARANTINE, "all"): refused(start(date(1999, 1, 1)))})
    empty(lake, BOOKS, date(1999, 1, 1))
    assert retention.apply(lake, FOR_EVER, TODAY) == NOTHING


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=6, unique=True),
    st.integers(1, 15),
    st.integers(0, 5),
)
def test_each_day_goes_once_it_is_older_than_the_days_kept(tmp_path_factory, ages, kept, passed):
    lake = Lake(tmp_path_factory.mktemp("lake"), threads=1)
    empty(lake, BOOKS, *(ago(age) for age in ages))
    rules = replace(FOR_EVER, books_days=kept)
    for today in (TODAY, TODAY + timedelta(days=passed)):
        retention.apply(lake, rules, today)
        left = sorted(str(ago(age)) for age in ages if today - ago(age) <= timedelta(days=kept))
        assert days_of(lake, BOOKS) == left


def test_a_rule_below_zero_is_refused(lake: Lake):
    with pytest.raises(ValueError, match="books_days should be 0 or more"):
        RetentionRules(books_days=-1)


def test_every_rule_says_what_it_keeps():
    assert all(each.metadata["doc"].endswith(".") for each in fields(RetentionRules))
    assert VENUE_REQUESTS.column("ended_at").null == ""
