"""Answers against what the real hosts have answered, field by field."""

import gzip
import json
from typing import Any

import pytest

from evaluator.venue.sim.app import create_app
from evaluator.venue.sim.clock import fixed
from tests.archive import real_archive
from tests.venue.sim.asking import rows
from tests.venue.sim.small_world import at, condition, wallet
from tests.venue.sim.test_app_markets import NOW, catalogue


def recorded(name: str) -> list[dict]:
    path = real_archive() / "raw" / name
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    found = json.loads(text)
    return found if isinstance(found, list) else [found]


def shape(value: Any) -> str:
    """Kind of a JSON value; whole and broken numbers are one kind."""
    return (
        "number"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else type(value).__name__
    )


def kinds(found: list[dict]) -> dict[str, set[str]]:
    names = {name for row in found for name in row}
    return {name: {shape(row[name]) for row in found if name in row} for name in names}


def simulated(path: str, parameters: dict) -> list[dict]:
    world = catalogue()
    world.fill(1, "BUY", 5, 0.2, at(3), market=4)
    world.fill(1, "SELL", 7, 0.6, at(4), market=2)
    world.act(1, "REDEEM", 5, 5, at(80), market=2)
    return rows(create_app(world, fixed(NOW)), path, **parameters)


ME = {"user": wallet(1)}


@pytest.mark.parametrize(
    ("path", "parameters", "name"),
    [
        ("/trades", {}, "data-api_trades_5.json"),
        ("/activity", ME, "data-api_activity_0x4f34_500.json.gz"),
        ("/positions", ME, "data-api_positions_0x6a72.json"),
        ("/closed-positions", ME, "data-api_closed-positions_0x6a72.json"),
        ("/v1/leaderboard", {"timePeriod": "ALL"}, "data-api_v1_leaderboard_50.json"),
    ],
)
def test_rows_of_version_1_have_the_recorded_fields_and_kinds(path, parameters, name):
    found = simulated(path, parameters)
    assert found
    assert kinds(found) == kinds(recorded(name))


LATER_FIELDS = {"feeSchedule", "tags"}
"""Fields that the hosts have begun to send since the recording."""


def test_markets_have_no_field_that_was_not_recorded_and_the_recorded_kinds():
    name = "gamma_markets_300closed_300open_2026-02.json.gz"
    known = kinds([*recorded(name), *recorded("gamma_market_single.json")])
    found = kinds(simulated("/markets", {"include_tag": "true"}))
    assert set(found) - LATER_FIELDS <= set(known)
    wrong = {
        field: (found[field], known[field])
        for field in set(found) & set(known)
        if not found[field] <= known[field]
    }
    assert not wrong


def test_events_have_no_field_that_was_not_recorded_and_the_recorded_kinds():
    known = kinds(recorded("gamma_event_single.json"))
    found = kinds(simulated("/events", {}))
    assert set(found) <= set(known)
    assert {field: kind for field, kind in found.items() if not kind <= known[field]} == {}


def test_version_2_says_the_same_as_version_1_under_other_names():
    world = catalogue()
    app = create_app(world, fixed(NOW))
    one = rows(app, "/trades", takerOnly="false")
    two = rows(app, "/v2/trades", taker_only="false")["data"]
    first = sorted((r["asset"], r["proxyWallet"], r["price"], r["timestamp"]) for r in one)
    second = sorted((r["token_id"], r["proxy_wallet"], r["price"], r["timestamp"]) for r in two)
    assert first == second
    assert {row["condition_id"] for row in two} == {condition(1), condition(2)}
