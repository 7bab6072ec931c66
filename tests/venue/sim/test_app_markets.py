import asyncio
import json
from datetime import datetime

import httpx
import pytest

from evaluator.venue.sim.app import Manner, create_app
from evaluator.venue.sim.ask import Caps
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.in_process import BASE_URL, InProcess
from tests.venue.sim.asking import ask, rows
from tests.venue.sim.small_world import SmallWorld, at, condition, tokens

NOW = at(100)


def catalogue() -> SmallWorld:
    """Five markets of four events: open, closed, 50/50, of unknown outcome, of three outcomes."""
    world = SmallWorld()
    world.market(1, domain="Sports", tags=["Sports", "Football"])
    world.market(2, closed_at=at(50), payouts=[0.0, 1.0], end_at=at(48))
    world.market(3, event_id="9002", event_slug="event-2", closed_at=at(60), payouts=[0.5, 0.5])
    world.market(4, closed_at=at(70), payouts=None)
    world.market(
        5,
        outcomes=["A", "B", "C"],
        token_ids=tokens(5, 3),
        liquidity_usdc=9_000.0,
        opened_at=at(90),
        end_at=None,
        fee_rate=0.0,
    )
    world.fill(1, "BUY", 10, 0.40, at(1))
    world.fill(2, "SELL", 10, 0.40, at(1), is_taker=False)
    world.fill(1, "BUY", 5, 0.46, at(99))
    world.fill(1, "BUY", 7, 0.30, at(2), market=2)
    return world


def app(**manner):
    return create_app(catalogue(), fixed(NOW), manner=Manner(**manner))


def listed(**parameters) -> list[str]:
    return [row["slug"] for row in rows(app(), "/markets", **parameters)]


def one(number: int, **parameters) -> dict:
    return rows(app(), "/markets", condition_ids=condition(number), **parameters)[0]


def test_lists_are_json_inside_strings_and_amounts_strings_and_numbers():
    row = one(1)
    assert json.loads(row["outcomes"]) == ["Yes", "No"]
    assert json.loads(row["outcomePrices"]) == ["0.46", "0.54"]
    assert json.loads(row["clobTokenIds"]) == tokens(1)
    assert (row["volume"], row["volumeNum"], row["volume24hr"]) == ("15", 15.0, 5.0)
    assert (row["liquidity"], row["liquidityNum"]) == ("1000.5", 1000.5)
    assert row["feeSchedule"] == {
        "rate": 0.04,
        "exponent": 1.0,
        "takerOnly": True,
        "rebateRate": 0.2,
    }


def test_instants_come_in_the_venues_spellings():
    row = one(2)
    assert row["endDate"] == "2026-09-03T00:00:00Z"
    assert row["endDateIso"] == "2026-09-03"
    assert row["closedTime"] == "2026-09-03 02:00:00+00"
    assert row["startDate"] == "2026-09-01T00:00:00.000000Z"
    assert "endDate" not in one(5)


@pytest.mark.parametrize(
    ("number", "prices"),
    [(2, ["0", "1"]), (3, ["0.5", "0.5"]), (4, ["0", "0"]), (5, ["0.33", "0.33", "0.33"])],
)
def test_a_closed_market_shows_its_payouts_and_zeros_where_they_stay_unknown(number, prices):
    assert json.loads(one(number)["outcomePrices"]) == prices


def test_a_closed_market_has_neither_liquidity_nor_a_volume_of_the_day():
    row = one(2)
    assert row["closed"] is True
    assert not {"liquidity", "liquidityNum", "volume24hr"} & set(row)


def test_before_it_closes_a_market_is_open_and_tells_no_outcome():
    early = create_app(catalogue(), fixed(at(50)))
    row = rows(early, "/markets", condition_ids=condition(2))[0]
    assert (row["closed"], json.loads(row["outcomePrices"])) == (False, ["0.3", "0.7"])
    assert "closedTime" not in row


def test_a_market_carries_its_event_and_an_event_its_markets_and_tags():
    assert one(3)["events"][0]["slug"] == "event-2"
    event = rows(app(), "/events", slug="event-2")[0]
    assert [row["slug"] for row in event["markets"]] == ["market-2", "market-3"]
    sport = rows(app(), "/events", id="9001")[0]
    assert [tag["label"] for tag in sport["tags"]] == ["Sports", "Football"]
    assert "tags" not in one(1)
    assert [tag["label"] for tag in one(1, include_tag="true")["tags"]] == ["Sports", "Football"]


@pytest.mark.parametrize(
    ("filters", "slugs"),
    [
        ({}, ["market-1", "market-2", "market-3", "market-4", "market-5"]),
        ({"closed": "false"}, ["market-1", "market-5"]),
        ({"closed": "true"}, ["market-2", "market-3", "market-4"]),
        ({"liquidity_num_min": 5000}, ["market-5"]),
        ({"liquidity_num_min": 1000, "liquidity_num_max": 2000}, ["market-1"]),
        ({"volume_num_min": 7}, ["market-1", "market-2"]),
        ({"end_date_max": "2026-09-04"}, ["market-2"]),
        ({"end_date_min": "2026-09-04T00:00:00Z", "closed": "false"}, ["market-1"]),
        ({"start_date_min": "2026-09-02"}, ["market-5"]),
        ({"slug": "market-4"}, ["market-4"]),
        ({"id": "500002"}, ["market-2"]),
        ({"clob_token_ids": tokens(5, 3)[2]}, ["market-5"]),
        ({"condition_ids": [condition(1), condition(4)]}, ["market-1", "market-4"]),
        ({"condition_ids": condition(77)}, []),
        ({"order": "volumeNum", "ascending": "false", "limit": 2}, ["market-1", "market-2"]),
        ({"order": "liquidityNum,id", "ascending": "false", "limit": 1}, ["market-5"]),
        ({"limit": 2, "offset": 3}, ["market-4", "market-5"]),
    ],
)
def test_markets_are_filtered_ordered_and_paged(filters, slugs):
    assert listed(**filters) == slugs


@pytest.mark.parametrize("order", ["", "volumeNum", "endDate", "liquidityNum"])
@pytest.mark.parametrize("ascending", ["true", "false"])
def test_a_walk_along_the_keyset_gives_every_market_once(order, ascending):
    venue, found, cursor = app(), [], {}
    asked = {"limit": 2, "order": order, "ascending": ascending}
    while True:
        page = rows(venue, "/markets/keyset", **asked, **cursor)
        found += [row["slug"] for row in page["markets"]]
        if page["next_cursor"] is None:
            break
        cursor = {"after_cursor": page["next_cursor"]}
    assert found == listed(order=order, ascending=ascending)


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        (
            "/markets",
            {"offset": 2001},
            "offset too large, use /markets/keyset for deeper pagination",
        ),
        ("/events", {"offset": 2001}, "offset too large, use /events/keyset for deeper pagination"),
        ("/markets", {"order": "volume_num"}, "order fields are not valid"),
        ("/markets", {"closed": "perhaps"}, "invalid closed: perhaps"),
        ("/markets", {"end_date_min": "soon"}, "invalid end_date_min: soon"),
        ("/markets", {"condition_ids": "0x1"}, "invalid condition id: 0x1"),
        ("/comments", {}, "required query parameter is missing"),
        (
            "/comments",
            {"parent_entity_type": "Event", "parent_entity_id": "9001", "offset": 201},
            "offset too large",
        ),
        (
            "/comments",
            {"parent_entity_type": "market", "parent_entity_id": "1"},
            'expected value to be one of "Event, Series, PerpsAsset"',
        ),
    ],
)
def test_what_gamma_refuses_is_a_422(path, parameters, said):
    answer = ask(app(), path, **parameters)
    assert (answer.status_code, answer.json()) == (422, {"error": said})


def test_pages_of_markets_are_clamped():
    small = app(caps=Caps(gamma_limit=2))
    assert len(rows(small, "/markets", limit=100)) == 2


def test_comments_on_an_event_come_newest_first():
    world = catalogue()
    for number, hour in ((1, 5), (2, 7), (3, 99), (4, 100)):
        world.comment(number, f"said at {hour}", at(hour))
    world.comment(9, "elsewhere", at(1), event=2)
    venue = create_app(world, fixed(NOW))
    asked = {"parent_entity_type": "Event", "parent_entity_id": "9001"}
    found = rows(venue, "/comments", **asked)
    assert [row["body"] for row in found] == ["said at 99", "said at 7", "said at 5"]
    assert datetime.fromisoformat(found[0]["createdAt"]) == at(99)
    assert rows(venue, "/comments", **asked, limit=1, offset=1)[0]["id"] == "2"
    assert rows(venue, "/comments", **asked, ascending="true")[0]["id"] == "1"
    assert rows(venue, "/comments", **asked | {"parent_entity_type": "Series"}) == []


def test_a_book_lists_the_best_price_last_as_strings_in_milliseconds():
    row = rows(app(), "/book", token_id=tokens(1)[0])
    assert row["bids"] == [{"price": "0.48", "size": "250.5"}, {"price": "0.49", "size": "100"}]
    assert row["asks"][-1] == {"price": "0.52", "size": "80"}
    assert row["timestamp"] == str(int(NOW.timestamp()) * 1000)
    assert (row["market"], row["tick_size"]) == (condition(1), "0.01")
    assert rows(app(), "/midpoint", token_id=tokens(1)[0]) == {"mid": "0.505"}


@pytest.mark.parametrize("token_id", [tokens(2)[0], "123", "x"])
def test_a_token_whose_market_is_not_open_has_no_book(token_id):
    answer = ask(app(), "/book", token_id=token_id)
    said = "No orderbook exists for the requested token id"
    assert (answer.status_code, answer.json()) == (404, {"error": said})
    assert ask(app(), "/midpoint", token_id=token_id).status_code == 404


def post(content: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=InProcess(app()), base_url=BASE_URL) as client:
            return await client.post("/books", content=content)

    return asyncio.run(send())


def test_books_leave_out_tokens_without_one():
    asked = [{"token_id": token} for token in (tokens(1)[1], tokens(2)[0], tokens(1)[1])]
    assert [row["asset_id"] for row in post(json.dumps(asked)).json()] == [tokens(1)[1]]


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"token": "1"}]', "[" * 5000])
def test_a_malformed_list_of_books_is_a_400(content):
    answer = post(content)
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid payload"})


def priced() -> SmallWorld:
    world = catalogue()
    for minute in range(0, 6000, 10):
        world.quote(tokens(1)[0], 0.3 + minute / 100_000, at(minute / 60))
    return world


def history(**parameters) -> list[dict]:
    return rows(
        create_app(priced(), fixed(NOW)), "/prices-history", market=tokens(1)[0], **parameters
    )["history"]


def test_price_history_covers_the_window_and_ends_with_a_point_of_now():
    start, end = int(at(10).timestamp()), int(at(12).timestamp())
    *points, last = history(startTs=start, endTs=end)
    assert [point["t"] for point in points] == list(range(start, end, 600))
    assert points[0]["p"] == pytest.approx(0.306)
    assert last["t"] == int(NOW.timestamp())


def test_fidelity_keeps_the_last_price_of_so_many_minutes():
    start = int(at(10).timestamp())
    *points, _ = history(startTs=start, endTs=start + 7200, fidelity=60)
    assert [point["t"] - start for point in points] == [3000, 6600]


def test_an_interval_ends_now_and_the_longest_one_is_everything():
    assert len(history(interval="1h")) == 7
    assert len(history(interval="max")) == 601
    assert len(history(interval="1w", fidelity=600)) == 12


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "invalid filters: 'startTs' or 'interval' is required"),
        ({"endTs": 5}, "invalid filters: 'startTs' or 'interval' is required"),
        ({"interval": "1m"}, "invalid filters: minimum 'fidelity' for '1m' range is 10"),
        (
            {"interval": "1w", "fidelity": 4},
            "invalid filters: minimum 'fidelity' for '1w' range is 5",
        ),
        (
            {"startTs": 1, "endTs": 1_790_000_000_000},
            "invalid filters: 'startTs' and 'endTs' interval is too long",
        ),
    ],
)
def test_a_price_history_without_a_good_window_is_refused(parameters, said):
    answer = ask(app(), "/prices-history", market=tokens(1)[0], **parameters)
    assert (answer.status_code, answer.json()) == (400, {"error": said})


def test_an_unknown_token_has_no_price_history():
    assert rows(app(), "/prices-history", market="5", interval="max") == {"history": []}


def test_a_path_that_the_venue_does_not_have_is_a_404():
    answer = ask(app(), "/truth")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})
