import polars as pl
import pytest

from evaluator.domain import ids
from evaluator.store.errors import IdentifierCollisionError
from evaluator.store.internal_tables import IDENTIFIERS
from evaluator.store.lake import Lake
from tests.store.sample_tables import EVERY_TYPE


def row(number: int, **columns: object) -> pl.DataFrame:
    others = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in EVERY_TYPE.schema.items()
        if name != "number"
    ]
    return (
        pl.DataFrame({"number": [number]})
        .with_columns(others)
        .with_columns(**{name: pl.Series([value]) for name, value in columns.items()})
    )


def known(lake: Lake) -> dict[int, str]:
    with lake.snapshot() as now:
        return dict(now.read(IDENTIFIERS).rows())


def test_texts_become_surrogates_and_are_remembered_once(lake: Lake):
    reference = ids.resolution_ref("7")
    for _ in range(2):
        done = lake.commit(replace={(EVERY_TYPE, "all"): row(1, an_id="0xaa", a_ref=reference)})
        assert [change.table for change in done.changes] == ["every_type"]
    with lake.snapshot() as now:
        read = now.read(EVERY_TYPE)
        shown = now.sql("SELECT an_id, a_ref FROM every_type")
    assert read.select("an_id", "a_ref").row(0) == (ids.surrogate("0xaa"), ids.surrogate(reference))
    assert shown.row(0) == ("0xaa", reference)
    assert known(lake) == {ids.surrogate(text): text for text in ("0xaa", reference)}


def test_texts_behind_surrogates_may_be_given_beside_the_frames(lake: Lake):
    frame = row(1, an_id=ids.surrogate("0xbb"))
    lake.commit(replace={(EVERY_TYPE, "all"): frame}, texts=[pl.Series(["0xbb", None, "0xbb"])])
    with lake.snapshot() as now:
        assert now.sql("SELECT an_id FROM every_type").item() == "0xbb"


def test_an_unknown_surrogate_is_shown_in_hex(lake: Lake):
    lake.commit(replace={(EVERY_TYPE, "all"): row(1, an_id=255)})
    with lake.snapshot() as now:
        assert now.sql("SELECT an_id FROM every_type").item() == "00000000000000ff"


def test_two_texts_of_one_surrogate_are_refused(lake: Lake, monkeypatch):
    monkeypatch.setattr(ids, "surrogate", len)
    lake.commit(replace={(EVERY_TYPE, "all"): row(1, an_id="aa")})
    with pytest.raises(IdentifierCollisionError) as caught:
        lake.commit(replace={(EVERY_TYPE, "all"): row(2, an_id="bb")})
    assert str(caught.value) == "surrogate 2 stands for 'aa' and for 'bb'"
    with pytest.raises(IdentifierCollisionError, match="'cc' and for 'dd'"):
        lake.commit(replace={(EVERY_TYPE, "all"): row(2, an_id="cc", a_ref="dd")})
    with lake.snapshot() as now:
        assert now.commit_id == 1
        assert now.read(EVERY_TYPE)["number"].to_list() == [1]
    assert len(list(lake.root.glob("every_type/**/*.duckdb"))) == 1
