import doctest
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.domain.schema import INT, Column, Table
from evaluator.store import months, partitions
from evaluator.store.catalog import FileEntry, Mode
from evaluator.store.commits import Upsert
from evaluator.store.errors import SchemaVersionError, StaleReplaceError
from evaluator.store.lake import Lake
from evaluator.store.months import SMALL_BYTES, MonthsFolded, worth_merging
from evaluator.store.published import write_sql_catalog
from evaluator.store.snapshot import Snapshot
from tests.store.processes import DAYS, generation, generations_seen, started
from tests.store.sample_tables import CELLS, DAILY, DIARY, NOTES, TABLES
from tests.store.test_crashes import check_nothing_is_left_of_the_dead

TODAY = date(2025, 6, 3)
OLD = tuple(partitions.day(date(2025, month, day)) for month in (4, 5) for day in (1, 2, 30))
PLACES = (*OLD, partitions.day(date(2025, 6, 1)), partitions.day(date(2025, 6, 2)))

Rows = dict[int, int]
Model = dict[str, Rows]

numbers = st.integers(0, 5)
rows = st.dictionaries(numbers, st.integers(0, 9), max_size=4)
places = st.sampled_from(PLACES)
steps = st.one_of(
    st.tuples(st.just("replace"), places, rows),
    st.tuples(st.just("append"), places, rows),
    st.tuples(st.just("upsert"), places, rows, st.sets(numbers, max_size=2)),
    st.tuples(st.just("drop"), places),
    st.tuples(st.just("fold")),
    st.tuples(st.just("fold_months")),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("remember")),
)


def diary(content: Rows) -> pl.DataFrame:
    return pl.DataFrame(list(content.items()), schema=DIARY.schema, orient="row")


def after(model: Model, step: tuple) -> Model:
    match step:
        case ("replace", place, new):
            return {**model, place: dict(new)}
        case ("append", place, new) if {**new, **model.get(place, {})} != model.get(place, {}):
            return {**model, place: {**new, **model.get(place, {})}}
        case ("upsert", place, new, gone):
            left = {n: a for n, a in model.get(place, {}).items() if n not in gone}
            return {**model, place: left | new}
        case ("drop", place):
            return {name: rows for name, rows in model.items() if name != place}
    return model


def apply(lake: Lake, step: tuple) -> None:
    match step:
        case ("replace", place, new):
            lake.commit(replace={(DIARY, place): diary(new)})
        case ("append", place, new):
            lake.commit(append={(DIARY, place): diary(new)})
        case ("upsert", place, new, gone):
            scopes = pl.DataFrame({"number": sorted(gone)}, schema={"number": pl.Int64})
            lake.commit(upsert={(DIARY, place): Upsert(diary(new), scopes)})
        case ("drop", place):
            lake.drop([(DIARY, place)])
        case ("fold",):
            lake.fold(DIARY)
        case ("fold_months",):
            lake.fold_months(DIARY, TODAY)
        case ("sweep",):
            lake.sweep(keep_commits=1, keep_s=0)


def check(now: Snapshot, model: Model) -> None:
    assert now.partitions(DIARY) == tuple(sorted(model))
    for place, expected in model.items():
        found = now.read(DIARY, partitions=[place])
        assert dict(found.rows()) == expected
        assert found.height == len(expected)
    every = sorted(pair for rows in model.values() for pair in rows.items())
    assert sorted(now.read(DIARY).rows()) == every
    assert sorted(now.sql("SELECT number, author FROM diary").rows()) == every
    sevens = [pair for pair in every if pair[1] > 6]
    assert sorted(now.read(DIARY, where="author > ?", parameters=[6]).rows()) == sevens


@dataclass
class Remembered:
    """A pinned snapshot and what it must go on showing."""

    model: Model
    hash: str
    version: int
    snapshot: Snapshot = field(repr=False)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=14))
def test_any_sequence_of_changes_and_folds_gives_what_dictionaries_give(tmp_path_factory, sequence):
    lake = Lake(tmp_path_factory.mktemp("lake"), threads=1, tables=TABLES, views=())
    model: Model = {}
    old: Remembered | None = None
    with ExitStack() as pins:
        for step in sequence:
            apply(lake, step)
            model = after(model, step)
            with lake.snapshot() as now:
                check(now, model)
            if step[0] == "remember":
                pinned = pins.enter_context(lake.snapshot(pin=True))
                old = Remembered(model, pinned.content_hash(DIARY), pinned.version(DIARY), pinned)
            elif old:
                check(old.snapshot, old.model)
                assert old.snapshot.content_hash(DIARY) == old.hash
                assert old.snapshot.version(DIARY) == old.version
    fresh = Lake(tmp_path_factory.mktemp("fresh"), threads=1, tables=TABLES, views=())
    fresh.commit(replace={(DIARY, place): diary(rows) for place, rows in model.items()})
    with lake.snapshot() as mine, fresh.snapshot() as theirs:
        assert mine.content_hash(DIARY) == theirs.content_hash(DIARY)


def filled(lake: Lake, first: date, count: int, *, generation: int = 1) -> list[date]:
    """One partition of two rows per day."""
    days = [first + timedelta(days=number) for number in range(count)]
    lake.commit(
        replace={
            (DAILY, partitions.day(day)): pl.DataFrame(
                {"on_date": [day] * 2, "number": [1, 2], "generation": [generation] * 2}
            )
            for day in days
        }
    )
    return days


def paths(now: Snapshot, table: Table = DAILY) -> list[str]:
    return list(dict.fromkeys(entry.path for entry in now.files(table)))


def test_the_examples_are_true():
    assert doctest.testmod(months).failed == 0


def test_the_days_of_a_month_end_as_one_file_and_say_the_same(lake: Lake):
    days = filled(lake, date(2025, 5, 1), 31)
    with lake.snapshot() as before:
        folded = lake.fold_months(DAILY, TODAY)
        with lake.snapshot() as after:
            assert (folded.months, folded.partitions, folded.files) == (1, 31, 31)
            assert [path.startswith("daily/month=2025-05/") for path in paths(after)] == [True]
            assert after.partitions(DAILY) == before.partitions(DAILY)
            assert after.content_hash(DAILY) == before.content_hash(DAILY)
            assert after.version(DAILY) == before.version(DAILY) == 1
            assert after.read(DAILY).equals(before.read(DAILY))
            assert after.sql("FROM daily").equals(before.sql("FROM daily"))
            one = [partitions.day(days[17])]
            assert after.read(DAILY, partitions=one)["on_date"].unique().to_list() == [days[17]]
            assert after.content_hash(DAILY, one[0]) == before.content_hash(DAILY, one[0])
    assert lake.fold_months(DAILY, TODAY) == MonthsFolded()


def test_the_bytes_of_a_month_file_are_divided_among_its_days(lake: Lake):
    filled(lake, date(2025, 5, 1), 31)
    folded = lake.fold_months(DAILY, TODAY)
    with lake.snapshot() as now:
        (path,) = paths(now)
        assert sum(entry.bytes for entry in now.files(DAILY)) == folded.bytes
        assert (lake.root / path).stat().st_size == folded.bytes


def test_a_month_file_names_its_partitions_itself(lake: Lake):
    filled(lake, date(2025, 5, 1), 3)
    lake.fold_months(DAILY, TODAY)
    with lake.snapshot() as now, duckdb.connect(":memory:") as connection:
        file = str(lake.root / paths(now)[0])
        found = connection.execute(
            "SELECT partition, number FROM read_duckdb(?, table_name = '_parts') "
            "JOIN read_duckdb(?, table_name = 'daily') USING (_part) ORDER BY ALL",
            [file, file],
        ).fetchall()
    names = [f"date=2025-05-0{day}" for day in (1, 2, 3)]
    assert found == [(name, number) for name in names for number in (1, 2)]


@pytest.mark.parametrize(("today", "left"), [(date(2025, 5, 31), 2), (date(2025, 6, 2), 0)])
def test_today_and_yesterday_are_never_sealed(lake: Lake, today: date, left: int):
    filled(lake, date(2025, 5, 1), 31)
    lake.fold_months(DAILY, today)
    with lake.snapshot() as now:
        assert sum(entry.part is None for entry in now.files(DAILY)) == left
    with pytest.raises(ValueError, match="today and yesterday are never sealed"):
        lake.fold_months(DAILY, today, sealed_days=1)


def test_windows_of_a_day_share_the_file_of_the_month(lake: Lake):
    days = [date(2025, 5, 1) + timedelta(days=number) for number in range(5)]
    cells = {
        (CELLS, partitions.day_window(day, window)): pl.DataFrame(
            {
                "proxy_wallet": ["0xa", "0xb"],
                "on_date": [day] * 2,
                "window_days": [window] * 2,
                "ratio": [window / 7, None],
            }
        )
        for day in days
        for window in (7, 30, 90)
    }
    lake.commit(replace=cells)
    query = "FROM cells WHERE on_date = ? AND window_days = 30 ORDER BY proxy_wallet"
    with lake.snapshot() as before:
        lake.fold_months(CELLS, TODAY)
        with lake.snapshot() as after:
            assert len(paths(after, CELLS)) == 1
            assert after.content_hash(CELLS) == before.content_hash(CELLS)
            assert after.sql(query, [days[2]]).equals(before.sql(query, [days[2]]))
            assert after.sql(query, [days[2]]).height == 2
            for place in after.partitions(CELLS):
                assert after.read(CELLS, partitions=[place]).height == 2


def test_a_backfill_that_replaces_one_old_day_is_seen_and_then_merged(lake: Lake, tmp_path: Path):
    days = filled(lake, date(2025, 5, 1), 31)
    lake.fold_months(DAILY, TODAY)
    filled(lake, days[11], 1, generation=7)
    with lake.snapshot() as now:
        assert [entry.part for entry in now.files(DAILY)] == [*range(11), None, *range(12, 31)]
        found = now.read(DAILY, columns=["on_date", "generation"]).unique(maintain_order=True)
        assert found["on_date"].to_list() == days
        assert [day for day, made in found.rows() if made == 7] == [days[11]]
        generations = dict(now.sql("SELECT generation, count(*) FROM daily GROUP BY 1").rows())
        assert generations == {1: 60, 7: 2}
        assert now.version(DAILY, [partitions.day(days[11])]) == now.version(DAILY) == 3
        assert now.version(DAILY, [partitions.day(days[12])]) == 1
        before = now.content_hash(DAILY)
    write_sql_catalog(lake, tmp_path / "evaluator.duckdb")
    with duckdb.connect(tmp_path / "evaluator.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM daily").fetchall() == [(62,)]
    assert lake.fold_months(DAILY, TODAY).files == 2
    with lake.snapshot() as now:
        assert len(paths(now)) == 1
        assert now.content_hash(DAILY) == before


def test_a_month_file_stays_while_any_of_its_days_is_live(lake: Lake):
    days = filled(lake, date(2025, 5, 1), 3)
    lake.fold_months(DAILY, TODAY)
    lake.sweep(keep_commits=1, keep_s=0)
    for day in days[:2]:
        filled(lake, day, 1, generation=2)
        assert lake.sweep(keep_commits=1, keep_s=0).files == 0
    filled(lake, days[2], 1, generation=2)
    assert lake.sweep(keep_commits=1, keep_s=0).files == 1
    with lake.folder.catalog._reading() as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (3,)


def test_the_catalog_forgets_days_that_were_replaced_in_a_file_that_stays(lake: Lake):
    days = filled(lake, date(2025, 5, 1), 3)
    lake.fold_months(DAILY, TODAY)
    filled(lake, days[0], 1, generation=2)
    lake.sweep(keep_commits=1, keep_s=0)
    with lake.folder.catalog._reading() as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (3,)


def test_a_month_still_running_grows_without_being_rewritten_when_large():
    def entry(day: int, path: str, size: int, part: int | None = None) -> FileEntry:
        place = partitions.day(date(2025, 5, day))
        return FileEntry("daily", place, path, Mode.BASE, 1, 1, size, "v", 1, part)

    large = [entry(day, "large", 10 * SMALL_BYTES, day) for day in range(1, 9)]
    days = [entry(9, "a", SMALL_BYTES), entry(10, "b", SMALL_BYTES)]
    names = [partitions.day(date(2025, 5, day)) for day in range(1, 11)]
    assert list(worth_merging([*large, *days], {}, is_over=False)) == names[8:]
    assert list(worth_merging([*large, *days], {}, is_over=True)) == names
    assert worth_merging([*large, days[0]], {}, is_over=False) == {}
    assert worth_merging(large, {}, is_over=True) == {}
    assert list(worth_merging(large, {"large": 200 * SMALL_BYTES}, is_over=False)) == names[:8]


def test_a_file_most_of_whose_days_were_dropped_is_rewritten(lake: Lake):
    first = date(2025, 5, 1)
    days = [first + timedelta(days=number) for number in range(20)]
    noise = random.Random(1)
    lake.commit(
        replace={
            (DAILY, partitions.day(day)): pl.DataFrame(
                {
                    "on_date": [day] * 20_000,
                    "number": range(20_000),
                    "generation": [noise.getrandbits(60) for _ in range(20_000)],
                }
            )
            for day in days
        }
    )
    whole = lake.fold_months(DAILY, TODAY).bytes
    lake.drop([(DAILY, partitions.day(day)) for day in days[:15]])
    assert lake.fold_months(DAILY, TODAY).bytes < whole / 2
    with lake.snapshot() as now:
        assert now.partitions(DAILY) == tuple(map(partitions.day, days[15:]))
        assert now.read(DAILY).height == 5 * 20_000
    assert lake.fold_months(DAILY, TODAY) == MonthsFolded()


def test_what_changes_during_a_fold_of_its_month_stays_changed(lake: Lake):
    days = filled(lake, date(2025, 5, 1), 4)
    lake.commit(replace={(DIARY, PLACES[3]): diary({1: 1}), (DIARY, PLACES[4]): diary({2: 2})})
    frames = months._frames

    def interrupted(folder, table, found) -> Iterator[tuple[str, pl.DataFrame]]:
        yield from frames(folder, table, found)
        filled(lake, days[1], 1, generation=9)
        lake.drop([(DAILY, partitions.day(days[2]))])
        lake.commit(append={(DIARY, PLACES[3]): diary({5: 5})})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(months, "_frames", interrupted)
        lake.fold_months(DAILY, TODAY)
        lake.fold_months(DIARY, TODAY)
    with lake.snapshot() as now:
        assert now.partitions(DAILY) == tuple(partitions.day(days[n]) for n in (0, 1, 3))
        made = now.read(DAILY).unique("on_date").sort("on_date")["generation"].to_list()
        assert made == [1, 9, 1]
        assert sorted(now.read(DIARY)["number"]) == [1, 2, 5]


def test_dropping_from_an_old_snapshot_is_refused_and_an_unknown_partition_is_nothing(lake: Lake):
    days = filled(lake, date(2025, 5, 1), 2)
    with lake.snapshot() as old:
        filled(lake, days[0], 1, generation=2)
        with pytest.raises(StaleReplaceError):
            lake.drop([(DAILY, partitions.day(day)) for day in days], base=old)
    with lake.snapshot() as now:
        assert len(now.partitions(DAILY)) == 2
    done = lake.drop([(DAILY, partitions.day(days[0])), (DAILY, "date=1999-01-01")])
    assert [(change.mode, change.rows) for change in done.changes] == [(Mode.DROP, 0)] * 2
    with lake.snapshot() as now:
        assert now.partitions(DAILY) == (partitions.day(days[1]),)
        assert now.version(DAILY, [partitions.day(days[0])]) == 0


def test_a_table_that_is_not_daily_has_no_months(lake: Lake):
    lake.commit(append={(NOTES, "all"): pl.DataFrame({"number": [1], "writer": [1]})})
    assert lake.fold_months(NOTES, TODAY) == MonthsFolded()


def test_days_of_another_schema_stay_as_they_are_and_stop_no_fold(lake: Lake):
    days = filled(lake, date(2025, 5, 1), 3)
    later = replace(DAILY, columns=(*DAILY.columns, Column("more", INT, "More.")))
    newer = Lake(lake.root, tables=(later,), views=())
    row = {"on_date": [days[1]], "number": [1], "generation": [2], "more": [3]}
    newer.commit(replace={(later, partitions.day(day)): _on(row, day) for day in days[1:]})
    assert newer.fold(later) == 0
    assert newer.fold_months(later, TODAY).partitions == 2
    with newer.snapshot() as now:
        assert [entry.part for entry in now.files(later)] == [None, 0, 1]
        assert now.read(later, partitions=list(map(partitions.day, days[1:]))).height == 2
        with pytest.raises(SchemaVersionError):
            now.read(later)


def _on(row: dict, day: date) -> pl.DataFrame:
    return pl.DataFrame({**row, "on_date": [day]})


def kill_a_folder(root: Path, at: random.Random) -> None:
    """Let another process write and fold without end, and kill it somewhere."""
    with started("fold_generations", root) as process:
        assert process.stdout is not None
        for _ in range(at.randrange(1, 8)):
            process.stdout.readline()
        process.kill()


def kill_and_check(root: Path, times: int, seed: int) -> None:
    at = random.Random(seed)
    lake = Lake(root, threads=1, tables=TABLES, views=())
    for _ in range(times):
        kill_a_folder(root, at)
        assert len(generations_seen(lake)) == 1
        with lake.snapshot() as now:
            assert now.partitions(DAILY) == tuple(map(partitions.day, DAYS))
    check_nothing_is_left_of_the_dead(lake)
    following = generations_seen(lake).pop() + 1
    lake.commit(**generation(following))
    assert generations_seen(lake) == {following}


def test_a_killed_fold_leaves_the_last_complete_commit(tmp_path: Path):
    kill_and_check(tmp_path / "lake", times=3, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_killed_folds_leave_the_last_complete_commit(tmp_path: Path):
    kill_and_check(tmp_path / "lake", times=50, seed=4)


def test_a_catalog_of_before_is_brought_up_to_date_and_reads_the_same(lake: Lake):
    filled(lake, date(2025, 5, 1), 3)
    with lake.snapshot() as now:
        before = now.content_hash(DAILY)
    with lake.folder.catalog._reading() as connection:
        connection.executescript("""
            BEGIN IMMEDIATE;
            ALTER TABLE files RENAME TO new;
            DROP INDEX files_by_partition; DROP INDEX files_removed;
            CREATE TABLE files (
                id INTEGER PRIMARY KEY, table_name TEXT NOT NULL, partition TEXT NOT NULL,
                path TEXT NOT NULL UNIQUE,
                mode TEXT NOT NULL CHECK (mode IN ('base', 'append', 'upsert')),
                seq INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
                schema_version TEXT NOT NULL, content_commit INTEGER NOT NULL,
                added_commit INTEGER NOT NULL REFERENCES commits (id),
                removed_commit INTEGER REFERENCES commits (id)
            );
            INSERT INTO files SELECT id, table_name, partition, path, mode, seq, rows, bytes,
                schema_version, content_commit, added_commit, removed_commit FROM new;
            DROP TABLE new;
            CREATE INDEX files_by_partition ON files (table_name, partition);
            CREATE INDEX files_removed ON files (removed_commit);
            PRAGMA user_version = 0;
            COMMIT;
        """)
    for _ in range(2):
        later = Lake(lake.root, tables=TABLES, views=())
        later.fold_months(DAILY, TODAY)
        with later.snapshot() as now:
            assert len(paths(now)) == 1
            assert now.content_hash(DAILY) == before
