"""What a person asks of the tables, and the answers as text and as JSON."""

import csv
import io

import click
import pytest

from evaluator.cli import main as cli
from evaluator.domain.tables.registry import TABLES
from tests.cli import small_home


@pytest.fixture
def now(home):
    with small_home.settings(home).open_lake().snapshot() as snapshot:
        yield snapshot


def test_sql_shows_rows_as_table_json_and_csv(home, evaluator):
    query = "SELECT 1.5::DECIMAL(18, 6) AS usdc, 'a|b' AS name, NULL AS gap, DATE '2026-06-30' AS d"
    table = evaluator("sql", query)
    assert (table.code, table.err) == (0, "")
    assert table.out.splitlines() == [
        "    usdc  name  gap  d",
        "1.500000  a|b   –    2026-06-30",
    ]
    assert evaluator("sql", query, "--format", "json").json == [
        {"usdc": 1.5, "name": "a|b", "gap": None, "d": "2026-06-30"}
    ]
    assert (
        evaluator("sql", query, "--json").json == evaluator("sql", query, "--format", "json").json
    )
    rows = list(csv.DictReader(io.StringIO(evaluator("sql", query, "--format", "csv").out)))
    assert rows == [{"usdc": "1.500000", "name": "a|b", "gap": "", "d": "2026-06-30"}]


def test_sql_knows_every_table(home, evaluator):
    for table in TABLES:
        answer = evaluator("sql", f"SELECT count(*) AS n FROM {table.name}", "--json")
        assert answer.json[0]["n"] >= 0


def test_sql_gives_maps_as_objects_and_undefined_numbers_as_null(home, evaluator):
    answer = evaluator("sql", "SELECT MAP {'a': 1.5} AS m, 'nan'::DOUBLE AS x, [1] AS l", "--json")
    assert answer.json == [{"m": {"a": 1.5}, "x": None, "l": [1]}]


def test_sql_shows_the_first_thousand_rows_of_a_long_table(home, evaluator):
    answer = evaluator("sql", "FROM range(1500)")
    assert len(answer.out.splitlines()) == 1002
    assert answer.out.splitlines()[-1] == "… 500 more rows; --format csv has them all"
    assert len(evaluator("sql", "FROM range(1500)", "--json").json) == 1500


def test_rank_is_the_ranking_of_the_table(home, now, evaluator):
    expected = now.sql(
        "SELECT proxy_wallet, wscore FROM wallet_scores WHERE window_days = 30 AND rank <= 5 "
        "ORDER BY rank"
    ).rows()
    answer = evaluator("rank", "--window", "30", "--limit", "5", "--json").json
    assert [(row["proxy_wallet"], row["wscore"]) for row in answer["rows"]] == expected
    assert answer["day"] == "2026-06-30"
    text = evaluator("rank", "--limit", "5").out
    for address, _ in expected:
        assert address in text
    assert text.startswith("Ranking of 2026-06-30, window 30 days: ")


def test_rank_counts_everyone_once(home, evaluator):
    answer = evaluator("rank", "--json").json
    assert answer["rankable_count"] + sum(answer["unranked"].values()) == answer["wallet_count"]


def test_wallet_explains_its_numbers(home, now, evaluator):
    address = now.sql("SELECT proxy_wallet FROM wallet_scores WHERE rank = 1 LIMIT 1").item()
    answer = evaluator("wallet", address.upper().replace("0X", "0x"), "--json").json
    assert [row["window_days"] for row in answer["scores"]] == [7, 30, 90]
    assert {"edge", "win_rate_multiplier", "rank_reason"} <= set(answer["scores"][0])
    assert len(answer["verdict"]["margins"]) == 12
    assert len(answer["features"][0]) == 11
    lots = answer["last_closed_lots"]
    assert 0 < len(lots) <= 10
    assert lots == sorted(lots, key=lambda lot: lot["closed_at"], reverse=True)
    text = evaluator("wallet", address).out
    for heading in ("Scores", "Verdict: ", "Margins", "Features", "Lots closed last"):
        assert heading in text


def test_the_lots_of_a_wallet_are_those_of_the_table(home, now, evaluator):
    address, total = now.sql(
        "SELECT proxy_wallet, sum(realised_pnl_usdc)::DOUBLE FROM closed_lots GROUP BY ALL "
        "HAVING count(*) BETWEEN 2 AND 10 ORDER BY proxy_wallet LIMIT 1"
    ).row(0)
    lots = evaluator("wallet", address, "--json").json["last_closed_lots"]
    assert sum(lot["realised_pnl_usdc"] for lot in lots) == pytest.approx(total)


def test_personas_and_funnel_count_every_wallet_once(home, now, evaluator):
    wallets = now.sql("SELECT count(*) FROM current_personas").item()
    personas = evaluator("personas", "--json").json["personas"]
    assert sum(each["wallets"] for each in personas) == wallets
    assert sum(each["share"] for each in personas) == pytest.approx(1)
    funnel = evaluator("funnel", "--json").json
    assert funnel["wallets"] == wallets
    assert (
        funnel["wallets"] - sum(drop["wallets"] for drop in funnel["drops"])
        == (funnel["followable"])
    )
    assert funnel["followable"] == (
        now.sql("SELECT count(*) FROM current_personas WHERE is_followable").item()
    )


def test_the_funnel_goes_by_stage_and_down(home, evaluator):
    drops = evaluator("funnel", "--json").json["drops"]
    assert [drop["stage"] for drop in drops] == sorted(drop["stage"] for drop in drops)
    assert [drop["left"] for drop in drops] == sorted(
        (drop["left"] for drop in drops), reverse=True
    )
    lines = evaluator("funnel").out.splitlines()
    assert lines[0] == "Funnel of 2026-06-30"
    assert "followable" in lines[-1]


def test_status_has_every_table_with_its_rows(home, now, evaluator):
    answer = evaluator("status", "--json").json
    assert [table["name"] for table in answer["tables"]] == [table.name for table in TABLES]
    fills = next(table for table in answer["tables"] if table["name"] == "fills")
    rows, newest = now.sql("SELECT count(*), max(filled_at) FROM fills").row(0)
    assert (fills["rows"], fills["newest"]) == (rows, newest.isoformat().replace("+00:00", "Z"))
    assert answer["jobs"] == []
    assert evaluator("status").out.startswith(f"Commit {now.commit_id}\n")


def test_markets_are_those_most_traded_first(home, now, evaluator):
    rows = evaluator("markets", "--limit", "3", "--json").json
    volume = now.sql(
        "SELECT sum(notional_usdc)::DOUBLE AS v FROM fills GROUP BY condition_id "
        "ORDER BY v DESC LIMIT 3"
    )["v"].to_list()
    assert [row["volume_usdc"] for row in rows] == pytest.approx(volume)
    assert all(row["condition_id"].startswith("0x") for row in rows)


def commands(group, *path):
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


def test_every_command_says_what_it_does_and_answers_in_json(evaluator):
    for words, command in commands(cli.evaluator):
        assert command.get_short_help_str(), words
        assert evaluator(*words, "--help").code == 0
        if words != ("sim", "serve"):  # it answers over HTTP
            assert any("--json" in option.opts for option in command.params), words
