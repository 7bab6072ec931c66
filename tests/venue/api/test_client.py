import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from evaluator.domain.errors import InvalidArgumentError
from evaluator.domain.tables.discovery import HOLDERS, LEADERBOARD
from evaluator.domain.tables.market_data import BOOK_LEVELS, BOOKS, COMMENTS, PRICES
from evaluator.venue.api.client import VenueClient
from evaluator.venue.api.errors import PagingError, RequestRefusedError
from evaluator.venue.quarantine import Parsed, no_rows
from evaluator.venue.venue import MarketFilter, Venue, Walk
from tests.venue.api.fake_time import FakeTime
from tests.venue.api.stub_host import Asked, StubHost, Turns, payload, v2

WALLET = "0x" + "a1" * 20
MARKET = "0x" + "c3" * 32
DAY = date(2026, 11, 20)

Call = Callable[[VenueClient], Coroutine[Any, Any, Any]]


def call(host: StubHost, method: Call, **options: Any) -> Any:
    async def once() -> Any:
        async with host.client(**options) as client:
            return await method(client)

    return asyncio.run(once())


def parsed(host: StubHost, method: Call, **options: Any) -> Parsed:
    answer = call(host, method, **options)
    assert isinstance(answer, Parsed)
    return answer


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_client_is_a_venue():
    client: Venue = StubHost().client()
    assert isinstance(client, VenueClient)
    assert client.now().tzinfo is UTC
    assert client.requests().is_empty()


BOTH = pytest.mark.parametrize("dialect", ["v2", "v1"])


@BOTH
def test_trades_of_a_wallet_are_asked_for_with_all_history_and_makers(dialect):
    path = {"v2": "/v2/trades", "v1": "/trades"}[dialect]
    rows = payload(f"trades_{dialect}")
    host = StubHost({path: rows if dialect == "v2" else Turns(rows, [])})
    walk = call(host, lambda client: client.wallet_trades(WALLET, max_pages=5), dialect=dialect)
    assert isinstance(walk, Walk)
    assert (walk.found.rows.height, walk.is_exhausted, walk.is_capped) == (2, True, False)
    params = dict(host.asked[0].params)
    takers = {"v2": "taker_only", "v1": "takerOnly"}[dialect]
    assert (params["user"], params["start"], params[takers]) == (WALLET, "1", "false")
    assert "end" not in params
    assert ("offset" in params) == (dialect == "v1")


@BOTH
def test_a_window_is_sent_in_inclusive_seconds(dialect):
    path = {"v2": "/v2/activity", "v1": "/activity"}[dialect]
    host = StubHost({path: v2([]) if dialect == "v2" else []})
    window = {"start": at("2026-07-01"), "end": at("2026-07-02T00:00:00.9")}
    walk = call(
        host,
        lambda client: client.wallet_activity(WALLET.upper(), max_pages=5, **window),
        dialect=dialect,
    )
    assert (walk.is_exhausted, walk.covered_from) == (True, window["start"])
    params = dict(host.asked[0].params)
    assert (params["user"], params["start"], params["end"]) == (WALLET, "1782864000", "1782950400")
    assert "REDEEM" in params["type"].split(",")
    assert "TRADE" not in params["type"].split(",")


def test_filters_are_sent_again_with_every_cursor():
    pages = Turns(
        v2(payload("trades_v2")["data"][:1], "next"), v2(payload("trades_v2")["data"][1:])
    )
    host = StubHost({"/v2/trades": pages})
    walk = call(host, lambda client: client.wallet_trades(WALLET, max_pages=5), has_roles=False)
    first, second = (dict(asked.params) for asked in host.asked)
    assert second == {**first, "cursor": "next"}
    assert walk.found.rows.height == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"data": []},
        {"data": [], "pagination": {}},
        {"data": [], "pagination": {"has_more": True, "next_cursor": None}},
        {"data": {"rows": []}, "pagination": {"next_cursor": None}},
        [],
        {"error": "busy"},
    ],
)
def test_a_page_that_does_not_say_whether_it_is_the_last_is_asked_for_again(answer):
    host = StubHost({"/v2/trades": Turns(answer, v2(None))})
    walk = call(
        host,
        lambda client: client.wallet_trades(WALLET, max_pages=5),
        timing=FakeTime().timing(),
    )
    assert (host.count("/v2/trades"), walk.is_exhausted) == (2, True)


def test_activity_of_version_2_knows_of_trades_and_leaves_them_out():
    host = StubHost({"/v2/activity": payload("activity_v2")})
    walk = call(host, lambda client: client.wallet_activity(WALLET, max_pages=5))
    assert walk.found.rows["kind"].cast(pl.String).to_list().count("REDEEM") == 2
    assert walk.found.rows.height == 3


@BOTH
def test_the_feed_of_a_market_holds_every_wallet(dialect):
    path = {"v2": "/v2/trades", "v1": "/trades"}[dialect]
    rows = payload(f"trades_{dialect}")
    host = StubHost({path: rows if dialect == "v2" else Turns(rows, [])})
    walk = call(
        host,
        lambda client: client.market_trades(MARKET.upper().replace("X", "x"), max_pages=15),
        dialect=dialect,
    )
    params = dict(host.asked[0].params)
    assert params[{"v2": "condition", "v1": "market"}[dialect]] == MARKET
    assert params["limit"] == "200"
    assert "start" not in params
    assert walk.found.rows.height == 2


@pytest.mark.parametrize(
    "method",
    [
        lambda client: client.wallet_trades("0x1; drop", max_pages=1),
        lambda client: client.wallet_positions(DAY, ""),
        lambda client: client.market_trades("0x" + "c3" * 31, max_pages=1),
        lambda client: client.holders(DAY, "rain"),
    ],
)
def test_a_malformed_id_is_not_sent(method):
    host = StubHost()
    with pytest.raises(InvalidArgumentError, match="is malformed"):
        call(host, method)
    assert host.asked == []


def test_positions_of_version_2_are_asked_for_with_dust_and_archived_markets():
    by_status = {"OPEN": "positions_v2_open", "CLOSED": "positions_v2_closed"}
    host = StubHost({"/v2/positions": lambda asked: payload(by_status[asked.params["status"]])})
    found = parsed(host, lambda client: client.wallet_positions(DAY, WALLET))
    assert found.rows.height == 2
    opened = dict(host.asked[0].params)
    assert (opened["filter_type"], opened["filter_amount"]) == ("TOKENS", "0")
    assert opened["include_archived"] == "true"
    assert "include_archived" not in dict(host.asked[1].params)


def test_positions_of_version_1_are_asked_for_with_dust():
    answers = {
        "/positions": Turns(payload("positions_v1"), []),
        "/closed-positions": Turns(payload("closed-positions_v1"), []),
    }
    host = StubHost(answers)
    found = parsed(host, lambda client: client.wallet_positions(DAY, WALLET), dialect="v1")
    assert found.rows.height == 2
    assert host.asked[0].params["sizeThreshold"] == "0"
    assert found.counts.quarantined_count == 0


@BOTH
def test_holders_come_by_token_and_malformed_ones_are_refused(dialect):
    path = {"v2": "/v2/holders", "v1": "/holders"}[dialect]
    host = StubHost({path: payload(f"holders_{dialect}")})
    found = parsed(host, lambda client: client.holders(DAY, MARKET), dialect=dialect)
    assert found.rows.schema == no_rows(HOLDERS).schema
    assert sorted(found.rows["amount_shares"]) == [3_000_000, 20_000_000, 150_250_000]
    assert "0x" + "b2" * 20 in found.rows["proxy_wallet"].to_list()
    assert dict(found.counts.quarantined) == {
        "bad_amount": 1,
        "bad_holder": 1,
        "bad_proxy_wallet": 1,
    }


def test_the_leaderboard_of_version_2_is_read_by_cursor_alone():
    rows = payload("leaderboard_v2")["data"]
    host = StubHost({"/v2/leaderboard": Turns(v2(rows[:1], "more"), v2(rows[1:]))})
    found = parsed(host, lambda client: client.leaderboard(DAY, "OVERALL", "WEEK"))
    assert found.rows.schema == no_rows(LEADERBOARD).schema
    assert found.rows.select("category", "period", "rank").rows() == [("OVERALL", "WEEK", 1)] * 2
    first, second = (dict(asked.params) for asked in host.asked)
    assert (first["category"], first["time_period"]) == ("overall", "week")
    assert second == {"cursor": "more"}


def test_the_leaderboard_of_version_1_has_ranks_as_texts():
    host = StubHost({"/v1/leaderboard": payload("leaderboard_v1")})
    found = parsed(host, lambda client: client.leaderboard(DAY, "CRYPTO", "MONTH"), dialect="v1")
    assert found.rows["rank"].to_list() == [1, 2]
    assert found.rows["pnl_usdc"].to_list() == [8052184.542897382, -12.5]
    assert dict(found.counts.quarantined) == {"bad_ranked": 1}
    assert host.asked[0].params["timePeriod"] == "MONTH"


def gamma_rows(count: int) -> list[dict[str, Any]]:
    row = payload("markets_open")[0]
    return [
        {
            **row,
            "id": str(number),
            "conditionId": f"0x{number:064x}",
            "clobTokenIds": [str(2 * number + 1), str(2 * number + 2)],
        }
        for number in range(count)
    ]


def offsets_of(rows: list[Any], cap: int = 10_000) -> Callable[[Asked], Any]:
    def answer(asked: Asked) -> Any:
        offset, limit = int(asked.params["offset"]), int(asked.params["limit"])
        if offset > cap:
            return httpx.Response(422, json={"error": "offset too large"})
        return rows[offset : offset + min(limit, 100)]

    return answer


def test_open_markets_are_listed_to_the_end_with_the_filter():
    host = StubHost({"/markets": offsets_of(gamma_rows(230))})
    wanted = MarketFilter(500.0, at("2026-11-21T00:00:00"), at("2026-12-20"))
    found = parsed(host, lambda client: client.open_markets(DAY, wanted))
    assert found.rows.height == 230
    params = dict(host.asked[0].params)
    assert (params["closed"], params["liquidity_num_min"]) == ("false", "500.0")
    assert (params["end_date_min"], params["end_date_max"]) == (
        "2026-11-21T00:00:00Z",
        "2026-12-20T00:00:00Z",
    )
    assert host.count("/markets") == 3


@pytest.mark.parametrize("cap", [100, 150])
def test_open_markets_beyond_the_largest_offset_are_listed_by_key(cap):
    rows = gamma_rows(330)

    def by_key(asked: Asked) -> Any:
        first = int(asked.params.get("after_cursor", 0))
        following = str(first + 100) if first + 100 < len(rows) else None
        return {"markets": rows[first : first + 100], "next_cursor": following}

    host = StubHost({"/markets": offsets_of(rows, cap), "/markets/keyset": by_key})
    found = parsed(host, lambda client: client.open_markets(DAY, MarketFilter()))
    assert found.rows.height == 330


def test_a_listing_by_key_that_goes_round_is_an_error():
    keyset = {"markets": gamma_rows(2), "next_cursor": "again"}
    host = StubHost({"/markets": offsets_of(gamma_rows(101), 0), "/markets/keyset": keyset})
    with pytest.raises(PagingError):
        call(host, lambda client: client.open_markets(DAY, MarketFilter()))


def test_markets_by_id_are_asked_for_in_parts_and_closed_ones_too():
    rows = gamma_rows(120)
    for row in rows[50:]:
        row["closed"] = True

    def answer(asked: Asked) -> Any:
        ids, closed = asked.params.get_list("condition_ids"), asked.params["closed"] == "true"
        chosen = [row for row in rows if row["conditionId"] in ids and row["closed"] == closed]
        return [*chosen, payload("markets_refused")[0]]

    host = StubHost({"/markets": answer})
    ids = [row["conditionId"] for row in rows] + ["0x" + "ee" * 32]
    found = parsed(host, lambda client: client.markets(DAY, ids))
    assert found.rows.height == 120
    assert found.rows["closed"].sum() == 70
    assert found.counts.quarantined_count == 0


def test_no_market_is_asked_for_where_none_is_wanted():
    host = StubHost()
    assert parsed(host, lambda client: client.markets(DAY, [])).rows.is_empty()
    assert host.asked == []


def test_books_come_in_batches_best_first():
    host = StubHost({"/books": lambda asked: [payload("book")] if asked.body else []})
    token = payload("book")["asset_id"]
    found = parsed(host, lambda client: client.books([token, token, "9"]))
    assert host.asked[0].body == [{"token_id": token}, {"token_id": "9"}]
    assert found.rows.schema == no_rows(BOOKS).schema
    book = found.rows.row(0, named=True)
    assert book["observed_at"] == datetime(2026, 7, 17, 22, 21, 46, 123_000, tzinfo=UTC)
    assert (book["bid_prices"], book["bid_sizes"]) == ([0.4, 0.01], [10.5, 5.0])
    assert (book["ask_prices"], book["ask_sizes"]) == ([0.45, 0.99], [3.0, 7.0])


def test_books_come_one_by_one_from_a_host_without_batches():
    def single(asked: Asked) -> Any:
        book = payload("book")
        is_known = asked.params["token_id"] == book["asset_id"]
        return book if is_known else httpx.Response(404, json={"error": "No orderbook exists"})

    host = StubHost({"/book": single})
    tokens = [payload("book")["asset_id"], "9"]
    assert parsed(host, lambda client: client.books(tokens)).rows.height == 1
    assert host.count("/book") == 2


def test_a_book_keeps_its_best_levels_only():
    levels = [{"price": f"0.{number:03}", "size": "1"} for number in range(1, 400)]
    book = {**payload("book"), "bids": levels, "asks": levels}
    found = parsed(StubHost({"/books": [book]}), lambda client: client.books(["1"]))
    kept = found.rows.row(0, named=True)
    assert len(kept["bid_prices"]) == len(kept["ask_prices"]) == BOOK_LEVELS
    assert (kept["bid_prices"][0], kept["ask_prices"][0]) == (0.399, 0.001)


def test_a_malformed_book_is_refused():
    broken = [
        {**payload("book"), "timestamp": "-5"},
        {**payload("book"), "asks": [{"price": "1.5", "size": "1"}]},
        {**payload("book"), "bids": None},
    ]
    found = parsed(StubHost({"/books": broken}), lambda client: client.books(["1"]))
    assert dict(found.counts.quarantined) == {"bad_book": 1, "bad_price": 1, "bad_timestamp": 1}


def test_prices_lie_in_the_span_and_malformed_ones_are_refused():
    host = StubHost({"/prices-history": payload("prices-history")})
    start = at("2026-07-17T23:00:00")
    found = parsed(
        host, lambda client: client.prices("71", start=start, end=start + timedelta(hours=2))
    )
    assert found.rows.schema == no_rows(PRICES).schema
    assert found.rows.select("price", "source").rows() == [(0.42, "clob /prices-history")]
    assert dict(found.counts.quarantined) == {"bad_point": 1, "bad_price": 1}
    params = dict(host.asked[0].params)
    assert (params["market"], params["fidelity"]) == ("71", "60")


def test_a_long_span_of_prices_is_asked_for_in_parts():
    host = StubHost({"/prices-history": {"history": []}})
    start = at("2026-01-01")
    call(host, lambda client: client.prices("71", start=start, end=start + timedelta(days=30)))
    spans = [(int(one.params["startTs"]), int(one.params["endTs"])) for one in host.asked]
    days = 86_400
    assert [last - first for first, last in spans] == [14 * days, 14 * days, 2 * days]
    assert [first for first, _ in spans[1:]] == [last for _, last in spans[:-1]]


def test_comments_of_an_event_name_their_market_and_author():
    host = StubHost({"/events": payload("events"), "/comments": Turns(payload("comments"), [])})
    found = parsed(host, lambda client: client.comments("rain"))
    assert found.rows.schema == no_rows(COMMENTS).schema
    rows = {row["comment_id"]: row for row in found.rows.iter_rows(named=True)}
    assert sorted(rows) == ["1", "3", "4", "5"]
    assert (rows["3"]["condition_id"], rows["3"]["event_slug"]) == (MARKET, None)
    assert (rows["5"]["author"], rows["4"]["author"]) == (WALLET, "0x" + "b2" * 20)
    assert rows["1"]["posted_at"] == at("2026-07-17T10:01:00")
    assert dict(found.counts.quarantined) == {"bad_author": 1, "bad_comment": 1}
    assert dict(host.asked[1].params)["parent_entity_id"] == "23784"


def test_comments_are_read_down_to_the_instant_asked_for():
    host = StubHost({"/events": payload("events"), "/comments": payload("comments")})
    since = at("2026-07-17T10:04:00")
    found = parsed(host, lambda client: client.comments("rain", since=since))
    assert sorted(found.rows["comment_id"]) == ["4", "5"]
    assert host.count("/comments") == 1


def test_an_event_that_the_host_does_not_know_has_no_comments():
    assert parsed(StubHost({"/events": []}), lambda client: client.comments("x")).rows.is_empty()


def test_a_refusal_of_the_host_reaches_the_caller():
    host = StubHost({"/v2/holders": httpx.Response(400, json={"error": "invalid condition id"})})
    with pytest.raises(RequestRefusedError, match="invalid condition id"):
        call(host, lambda client: client.holders(DAY, MARKET))


def test_half_a_surrogate_pair_in_a_comment_is_replaced():
    comment = {**payload("comments")[0], "body": "yes \ud83d"}
    host = StubHost({"/events": payload("events"), "/comments": Turns([comment], [])})
    found = parsed(host, lambda client: client.comments("rain"))
    assert found.rows["text"].to_list() == ["yes ?"]


def test_comments_beyond_the_cap_of_offsets_are_left_at_that():
    def capped(asked: Asked) -> Any:
        if asked.params["offset"] != "0":
            return httpx.Response(422, json={"error": "offset too large"})
        return payload("comments")

    host = StubHost({"/events": payload("events"), "/comments": capped})
    assert parsed(host, lambda client: client.comments("rain")).rows.height == 4
