from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.domain.errors import TransientError
from evaluator.domain.schema import Table
from evaluator.store import partitions
from evaluator.store.catalog import Mode
from evaluator.store.commits import Upsert
from evaluator.store.errors import FrameRefusedError, StaleReplaceError
from evaluator.store.lake import Lake
from tests.store.sample_tables import DAILY, HOLDINGS, NOTES, TABLES

ALL = (HOLDINGS, partitions.SINGLE)
DAY = partitions.day(date(2025, 5, 8))

Rows = dict[tuple[int, int], int]

owners = st.integers(0, 3)
rows = st.dictionaries(st.tuples(owners, st.integers(0, 3)), st.integers(0, 99), max_size=6)
steps = st.one_of(
    st.tuples(st.just("replace"), rows),
    st.tuples(st.just("append"), rows),
    st.tuples(st.just("upsert"), rows, st.sets(owners, max_size=2)),
    st.tuples(st.just("fold")),
)


def frame(content: Rows) -> pl.DataFrame:
    found = [(*key, amount) for key, amount in content.items()]
    return pl.DataFrame(found, schema=HOLDINGS.schema, orient="row")


def content(found: pl.DataFrame) -> Rows:
    pairs = {(owner, item): amount for owner, item, amount in found.rows()}
    assert len(pairs) == found.height
    return pairs


def expected(model: Rows, step: tuple) -> Rows:
    match step:
        case ("replace", new):
            return dict(new)
        case ("append", new):
            return {**new, **model}
        case ("upsert", new, owners):
            gone = owners | {owner for owner, _ in new}
            return {key: amount for key, amount in model.items() if key[0] not in gone} | new
    return model


def apply(lake: Lake, step: tuple) -> None:
    match step:
        case ("replace", new):
            lake.commit(replace={ALL: frame(new)})
        case ("append", new):
            lake.commit(append={ALL: frame(new)})
        case ("upsert", new, owners):
            scopes = pl.DataFrame({"owner": sorted(owners)}, schema={"owner": pl.Int64})
            lake.commit(upsert={ALL: Upsert(frame(new), scopes)})
        case ("fold",):
            lake.fold(HOLDINGS)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=7))
def test_any_sequence_of_changes_gives_what_a_dictionary_gives(tmp_path_factory, sequence):
    lake = Lake(tmp_path_factory.mktemp("lake"), tables=TABLES, views=())
    model: Rows = {}
    for step in sequence:
        apply(lake, step)
        model = expected(model, step)
        with lake.snapshot() as now:
            assert content(now.read(HOLDINGS)) == model
            assert content(now.sql("SELECT * FROM holdings")) == model
    fresh = Lake(tmp_path_factory.mktemp("fresh"), tables=TABLES, views=())
    fresh.commit(replace={ALL: frame(model)})
    with lake.snapshot() as mine, fresh.snapshot() as theirs:
        assert mine.content_hash(HOLDINGS) == theirs.content_hash(HOLDINGS)


def test_a_commit_says_what_it_wrote(lake: Lake):
    notes = pl.DataFrame({"number": [1, 2], "writer": [1, 1]})
    more = pl.DataFrame({"number": [2, 3], "writer": [2, 2]})
    holdings = frame({(1, 1): 5})
    lake.commit(append={(NOTES, "all"): notes})
    done = lake.commit(append={(NOTES, "all"): more}, upsert={ALL: holdings})
    assert [(c.table, c.mode, c.rows, c.given) for c in done.changes] == [
        ("notes", Mode.APPEND, 1, 2),
        ("holdings", Mode.UPSERT, 1, 1),
    ]
    assert done.metadata(NOTES) == {
        "dagster/row_count": 1,
        "commit_id": 2,
        "rows": {"notes/all": 1},
    }
    assert done.rows() == 2


def test_the_first_row_of_a_key_stays(lake: Lake):
    for writer in (1, 2):
        rows = pl.DataFrame({"number": [7, 7 + writer], "writer": [writer, writer]})
        lake.commit(append={(NOTES, "all"): rows})
    with lake.snapshot() as now:
        assert now.read(NOTES).rows() == [(7, 1), (8, 1), (9, 2)]


def test_an_upsert_whose_scope_is_not_in_the_key_is_refused(tmp_path):
    table = Table(
        name="loose",
        grain="One row per number.",
        key=("number",),
        upsert_scope=("writer",),
        columns=NOTES.columns,
    )
    lake = Lake(tmp_path, tables=(table,), views=())
    with pytest.raises(FrameRefusedError, match="scope within the key"):
        lake.commit(upsert={(table, "all"): table.schema.to_frame()})


def test_a_scope_named_without_rows_is_emptied(lake: Lake):
    lake.commit(replace={ALL: frame({(1, 1): 1, (2, 1): 2})})
    gone = pl.DataFrame({"owner": [1]})
    done = lake.commit(upsert={ALL: Upsert(HOLDINGS.schema.to_frame(), gone)})
    assert done.rows() == 0
    with lake.snapshot() as now:
        assert content(now.read(HOLDINGS)) == {(2, 1): 2}


def test_appending_what_is_there_makes_no_commit(lake: Lake):
    rows = pl.DataFrame({"number": [1], "writer": [1]})
    first = lake.commit(append={(NOTES, "all"): rows})
    again = lake.commit(append={(NOTES, "all"): rows})
    assert again.commit_id == first.commit_id == lake.latest_commit_id()
    assert again.rows() == 0
    assert len(list(lake.root.glob("notes/**/*.duckdb"))) == 1


def test_a_replace_computed_from_an_old_snapshot_is_refused(lake: Lake):
    def day(generation: int) -> pl.DataFrame:
        return pl.DataFrame(
            {"on_date": [date(2025, 5, 8)], "number": [1], "generation": [generation]}
        )

    lake.commit(replace={(DAILY, DAY): day(1)})
    with lake.snapshot() as old, lake.snapshot() as same:
        lake.commit(replace={(DAILY, DAY): day(2)}, base=same)
        with pytest.raises(StaleReplaceError) as caught:
            lake.commit(replace={(DAILY, DAY): day(3)}, base=old)
    assert isinstance(caught.value, TransientError)
    assert str(caught.value) == (
        "daily date=2025-05-08 was replaced from snapshot 1, but commit 2 changed it"
    )
    with lake.snapshot() as now:
        assert now.read(DAILY)["generation"].to_list() == [2]
        lake.commit(replace={(DAILY, DAY): day(3)}, base=now)
    assert len(list(lake.root.glob("daily/**/*.duckdb"))) == 3


def test_folding_makes_no_replace_stale(lake: Lake):
    lake.commit(replace={ALL: frame({(1, 1): 1})})
    lake.commit(upsert={ALL: frame({(2, 1): 1})})
    with lake.snapshot() as base:
        assert lake.fold(HOLDINGS) == 1
        lake.commit(replace={ALL: frame({(3, 3): 3})}, base=base)


def test_a_snapshot_stays_what_it_was(lake: Lake):
    lake.commit(replace={ALL: frame({(1, 1): 1})})
    with lake.snapshot() as before:
        lake.commit(upsert={ALL: frame({(1, 1): 2})})
        lake.commit(replace={ALL: frame({})})
        assert content(before.read(HOLDINGS)) == {(1, 1): 1}
        assert content(before.sql("FROM holdings")) == {(1, 1): 1}


def test_a_version_is_the_newest_commit_that_changed_the_content(lake: Lake):
    lake.commit(replace={ALL: frame({(1, 1): 1})})
    lake.commit(upsert={ALL: frame({(1, 1): 2})})
    lake.commit(append={(NOTES, "all"): pl.DataFrame({"number": [1], "writer": [1]})})
    lake.fold(HOLDINGS)
    with lake.snapshot() as now:
        assert (now.version(HOLDINGS), now.version(NOTES)) == (2, 3)


def test_rows_lie_in_the_order_of_their_table(lake: Lake):
    lake.commit(replace={ALL: frame({(2, 1): 0, (1, 2): 0, (1, 1): 0, (3, 0): 0})})
    with lake.snapshot() as now:
        assert now.read(HOLDINGS).select("item", "owner").rows() == [(0, 3), (1, 1), (1, 2), (2, 1)]


def test_no_write_ahead_log_or_temporary_file_is_left(lake: Lake):
    lake.commit(replace={ALL: frame({(1, 1): 1})}, append={(NOTES, "all"): NOTES.schema.to_frame()})
    left = [path.name for path in lake.root.glob("holdings/**/*") if path.is_file()]
    assert len(left) == 1
    assert left[0].endswith(".duckdb")
