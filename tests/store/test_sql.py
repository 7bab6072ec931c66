import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.schema import DATE, ID, SMALL, TEXT, Column, Table
from evaluator.domain.tables.evaluation import WALLET_PERSONAS
from evaluator.domain.tables.registry import TABLES as DECLARED
from evaluator.store import partitions
from evaluator.store.errors import QueryError, QueryTimeoutError
from evaluator.store.lake import Lake
from evaluator.store.sandbox import UnopenedError
from evaluator.store.snapshot import Snapshot
from evaluator.store.views import View
from tests.store.processes import started
from tests.store.sample_tables import DAILY, HOLDINGS, NOTES, TABLES

FEATURE_KEY = ("proxy_wallet", "feature_date", "window_days")
FEATURE_COLUMNS = (
    Column("proxy_wallet", ID, "Wallet."),
    Column("feature_date", DATE, "Day."),
    Column("window_days", SMALL, "Window."),
    Column("source", TEXT, "Who computed it."),
)


@pytest.fixture
def now(lake: Lake):
    lake.commit(append={(NOTES, "all"): pl.DataFrame({"number": [1, 2], "writer": [1, 1]})})
    with lake.snapshot() as snapshot:
        yield snapshot


def refused(now: Snapshot, query: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        now.sql(query)
    assert "\n" not in str(caught.value)
    assert "\n" not in caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW notes",
        "CREATE TABLE t (x INT)",
        "INSERT INTO notes VALUES (3, 3)",
        "DELETE FROM f0.notes",
        "UPDATE f0.notes SET writer = 2",
        "SET threads = 1",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "COPY notes TO 'notes.csv'",
        "EXPORT DATABASE 'x'",
        "PRAGMA database_list",
        "CHECKPOINT f0",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_what_is_no_query_is_refused(now: Snapshot, query: str):
    refused(now, query)


def test_a_writing_part_of_a_query_is_refused(now: Snapshot, lake: Lake, tmp_path: Path):
    (file,) = lake.root.glob("notes/**/*.duckdb")
    before = file.read_bytes()
    target = tmp_path / "out.csv"
    for path in (file, file.with_name(f"{file.name}.wal"), target):
        refused(
            now,
            f"WITH t AS (COPY (SELECT 1) TO '{path}' (FORMAT csv, USE_TMP_FILE false)) "
            "SELECT * FROM t",
        )
    refused(now, "WITH t AS (INSERT INTO f0.notes VALUES (3, 3) RETURNING 1) SELECT * FROM t")
    refused(now, "WITH t AS (DELETE FROM f0.notes RETURNING 1) SELECT * FROM t")
    assert file.read_bytes() == before
    assert not target.exists()
    assert not list(file.parent.glob("*.wal"))


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('{file}')",
        "read_text('{file}')",
        "read_blob('{file}')",
        "glob('{folder}/*')",
        "read_duckdb('{lake}', table_name = 'notes')",
        "'{file}'",
        "sniff_csv('{file}')",
    ],
)
def test_no_file_is_read(now: Snapshot, lake: Lake, tmp_path: Path, source: str):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (own,) = lake.root.glob("notes/**/*.duckdb")
    source = source.format(file=tmp_path / "secret.csv", folder=tmp_path, lake=own)
    error = refused(now, f"SELECT * FROM {source}")
    assert str(error) == "a query may read the views, and neither files nor settings"


def test_variables_of_the_process_are_not_tables(now: Snapshot):
    secrets = pl.DataFrame({"x": [1]})
    assert secrets.height == 1
    refused(now, "SELECT * FROM secrets")


def test_a_mistake_is_two_lines(now: Snapshot):
    error = refused(now, "SELECT nmber FROM notes")
    assert str(error) == 'Binder Error: Referenced column "nmber" not found in FROM clause!'
    assert error.hint == 'Candidate bindings: "number", "writer"'
    error = refused(now, "SELEC 1")
    assert str(error) == 'Parser Error: syntax error at or near "SELEC"'
    assert error.hint == "`SELECT table_name FROM information_schema.tables` lists the views"


def test_what_reads_is_allowed(now: Snapshot):
    assert now.sql("SELECT number + ? AS x FROM notes WHERE number = ?", [10, 2]).item() == 12
    assert now.sql("FROM notes").height == 2
    assert now.sql("EXPLAIN SELECT * FROM notes").height == 1
    assert now.sql("SUMMARIZE notes").height == 2
    assert "notes" in now.sql("SHOW TABLES")["name"].to_list()
    tables = now.sql("SELECT table_name FROM information_schema.tables WHERE table_type = 'VIEW'")
    assert {"notes", "holdings", "identifiers"} <= set(tables["table_name"])


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("FROM NoTes", 2),
        ('SELECT * FROM "notes"', 2),
        ("FROM memory.main.notes", 2),
        ("FROM few", 1),
        ("WITH x AS (FROM notes) FROM x", 2),
        ("WITH notes AS (SELECT 1) FROM notes", 1),
        ("FROM notes JOIN holdings ON number = owner", 1),
        ("SELECT (SELECT max(amount) FROM holdings) FROM notes", 2),
        ("PIVOT notes ON writer IN (1) USING sum(number)", 1),
        ("DESCRIBE holdings", 3),
        ("FROM query_table('no' || 'tes')", 2),
        ("FROM query('FROM ' || 'holdings')", 1),
        ("SELECT 1 WHERE EXISTS (FROM notes) AND EXISTS (FROM holdings)", 1),
    ],
)
def test_however_a_table_is_named_its_rows_are_read(tmp_path: Path, query: str, rows: int):
    few = View("few", "FROM notes WHERE number = 1", "Few.", ("notes",))
    lake = Lake(tmp_path, tables=TABLES, views=(few,))
    holding = pl.DataFrame({"owner": [1], "item": [1], "amount": [1]})
    lake.commit(append={(NOTES, "all"): pl.DataFrame({"number": [1, 2], "writer": [1, 1]})})
    lake.commit(append={(HOLDINGS, "all"): holding})
    with lake.snapshot() as now:
        assert now.sql(query).height == rows


def test_rows_of_files_that_are_not_open_are_never_taken_for_none(now: Snapshot):
    for query in ("FROM notes", "FROM notes WHERE number = 1", "SELECT count(*) FROM notes"):
        with pytest.raises(UnopenedError):
            now._sandbox("shown", frozenset()).sql(query)
        now._sandboxes.clear()


def test_an_unknown_table_is_answered_with_a_guess(now: Snapshot):
    error = refused(now, "FROM note")
    assert str(error) == "Catalog Error: Table with name note does not exist!"
    assert error.hint == 'Did you mean "notes"?'


def test_connections_are_bounded_and_shared(now: Snapshot):
    for query in ("FROM notes", "FROM daily", "FROM notes, daily", "FROM holdings", "FROM notes"):
        now.sql(query)
        now.stored_sql(query)
    assert len(now._sandboxes) <= 4
    kept = list(now._sandboxes)
    now.sql("SELECT count(*) FROM notes")
    assert now._sandboxes == kept


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    lake = Lake(root, threads=1, tables=TABLES, views=())
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(400)]
    rows = {
        (DAILY, partitions.day(day)): pl.DataFrame(
            {"on_date": [day], "number": [number], "generation": [1]}
        )
        for number, day in enumerate(days)
    }
    notes = pl.DataFrame({"number": [1, 2], "writer": [1, 1]})
    lake.commit(replace=rows, append={(NOTES, "all"): notes})
    return root


def test_the_limit_of_open_files_is_raised_for_many_of_them(many_files: Path):
    with started("ask_with_few_descriptors", many_files, 256, 0) as process:
        out, _ = process.communicate(timeout=120)
    assert out.splitlines() == ["2", "1", "400", "True"]


def test_a_question_takes_the_files_of_its_tables_only(many_files: Path):
    with started("ask_with_few_descriptors", many_files, 256, 256) as process:
        out, _ = process.communicate(timeout=120)
    problem = "QueryError: the query reads {} files, and this process may not open as many"
    hint = "; read fewer tables, or raise `ulimit -n`"
    wide = [problem.format(count) + hint for count in (400, 401)]
    assert out.splitlines() == ["2", *wide, "True"]


def test_a_query_is_stopped_when_its_time_is_over(now: Snapshot):
    query = "SELECT count(*) FROM range(1000000000000) a WHERE hash(range) % 7 = 1"
    begin = time.monotonic()
    with pytest.raises(QueryTimeoutError):
        now.sql(query, timeout_s=0.1)
    assert time.monotonic() - begin < 5
    assert now.sql("SELECT 1").item() == 1


def test_every_declared_table_has_its_view_in_an_empty_lake(tmp_path: Path):
    lake = Lake(tmp_path)
    with lake.snapshot() as now:
        for table in DECLARED:
            shown = now.sql(f'FROM "{table.name}"')
            assert shown.columns == list(table.schema)
        assert now.sql("FROM current_personas").is_empty()


def test_a_current_persona_is_the_newest_of_its_wallet(tmp_path: Path):
    lake = Lake(tmp_path)
    days = pl.Series(["2025-05-07", "2025-05-08"]).str.to_date()
    for day, wallets in zip(days, (["0xa", "0xb"], ["0xb"]), strict=True):
        lake.commit(replace={(WALLET_PERSONAS, partitions.day(day)): personas(day, wallets)})
    with lake.snapshot() as now:
        current = now.sql("SELECT proxy_wallet, persona_date FROM current_personas ORDER BY ALL")
    assert current.rows() == [("0xa", days[0]), ("0xb", days[1])]


def test_current_features_are_those_of_the_batch_else_those_computed_on_demand(tmp_path: Path):
    batch, early = (
        Table(name=name, grain="One row.", key=FEATURE_KEY, columns=FEATURE_COLUMNS)
        for name in ("wallet_features", "wallet_features_on_demand")
    )
    lake = Lake(tmp_path, tables=(batch, early))
    day = date(2025, 5, 8)
    rows = [
        {"proxy_wallet": wallet, "feature_date": day, "window_days": 30, "source": "batch"}
        for wallet in (1, 2)
    ]
    late = [{**row, "proxy_wallet": row["proxy_wallet"] + 1, "source": "early"} for row in rows]
    lake.commit(
        replace={
            (batch, "all"): pl.DataFrame(rows, schema=batch.schema),
            (early, "all"): pl.DataFrame(late, schema=early.schema),
        }
    )
    with lake.snapshot() as now:
        found = now.sql("SELECT proxy_wallet, source FROM current_wallet_features ORDER BY ALL")
    assert [(int(wallet, 16), source) for wallet, source in found.rows()] == [
        (1, "batch"),
        (2, "batch"),
        (3, "early"),
    ]


def personas(day: object, wallets: list[str]) -> pl.DataFrame:
    rows = {"proxy_wallet": wallets, "persona_date": [day] * len(wallets)}
    values = {pl.Boolean: True, pl.String: "x", pl.Float64: 0.5, pl.Int64: 1}
    other = [
        pl.lit(values.get(type(dtype)), dtype).alias(name)
        for name, dtype in WALLET_PERSONAS.schema.items()
        if name not in rows and name != "computed_at"
    ]
    instant = pl.lit(0).cast(pl.Datetime("us", "UTC")).alias("computed_at")
    return pl.DataFrame(rows).with_columns(*other, instant)
