import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.venue.sim.app import Manner, create_app
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.faults import Faults, Plan
from evaluator.venue.sim.in_process import BASE_URL, InProcess
from evaluator.venue.sim.metering import PUBLISHED, Meter, busiest, groups
from tests.venue.sim.asking import ask, rows
from tests.venue.sim.small_world import at, busy_world, condition, wallet
from tests.venue.sim.test_app_feeds import identity, planted

LATER = at(400)
CONTROLLED = Manner(has_control=True)
ENDINGS = ("rate_limited", "server_error", "slow", "stalled", "truncated", "dropped")
Get = Callable[..., Awaitable[object]]


def venue(**faults):
    return create_app(busy_world(), fixed(LATER), faults=Faults(**faults))


@pytest.mark.parametrize(
    ("fault", "status"), [("rate_limited", {429}), ("server_error", {500, 502, 503, 504})]
)
def test_a_refusal_shows_its_status_until_the_question_is_answered(fault, status):
    app = venue(**{fault: 1.0}, most_in_a_row=2, retry_after_s=7)
    answers = [ask(app, "/trades") for _ in range(3)]
    assert {answer.status_code for answer in answers[:2]} <= status
    assert answers[2].status_code == 200
    if fault == "rate_limited":
        assert answers[0].headers["retry-after"] == "7"


def test_a_truncated_answer_is_good_http_and_broken_json():
    whole = ask(venue(), "/trades")
    cut = ask(venue(truncated=1.0), "/trades")
    assert cut.status_code == 200
    assert whole.text.startswith(cut.text)
    assert len(cut.text) < len(whole.text)
    assert int(cut.headers["content-length"]) == len(cut.content)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        cut.json()


def test_a_dropped_connection_is_a_protocol_error():
    with pytest.raises(httpx.RemoteProtocolError):
        ask(venue(dropped=1.0), "/trades")


def test_a_stalled_answer_never_comes_in_time():
    app = venue(stalled=1.0, stall_s=60)

    async def impatient() -> None:
        async with httpx.AsyncClient(
            transport=InProcess(app), base_url=BASE_URL, timeout=0.05
        ) as client:
            await client.get("/trades")

    with pytest.raises(httpx.ReadTimeout):
        asyncio.run(impatient())


def test_a_slow_answer_is_a_good_one():
    assert ask(venue(slow=1.0, slow_s=0.001), "/trades").json() == ask(venue(), "/trades").json()


def test_pages_that_are_shuffled_hold_the_same_rows():
    shown = ask(venue(shuffled=1.0), "/trades", limit=50).json()
    clean = ask(venue(), "/trades", limit=50).json()
    assert Counter(map(identity, shown)) == Counter(map(identity, clean))
    assert shown != clean


def test_a_page_that_repeats_the_end_of_the_one_before_still_goes_on():
    app = venue(duplicated=1.0)
    asked = {"condition": condition(1), "taker_only": "false", "limit": 12}
    first = rows(app, "/v2/trades", **asked)
    cursor = first["pagination"]["next_cursor"]
    second = rows(app, "/v2/trades", **asked, cursor=cursor)["data"]
    seen = set(map(identity, first["data"]))
    assert identity(second[0]) in seen
    assert identity(second[-1]) not in seen
    assert len(second) <= 12


async def patiently(client: httpx.AsyncClient, path: str, **parameters) -> object:
    """The answer in the end; asks again after whatever may pass."""
    for _ in range(50):
        try:
            answer = await client.get(path, params=parameters, timeout=0.1)
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code in {429, 500, 502, 503, 504}, answer.text
        except (httpx.TransportError, ValueError):
            continue
    raise AssertionError("never answered")


def kinds_of_rows(pages: list[list[dict]]) -> set[tuple]:
    """Rows by identity; how many agree in all fields, overlapping pages cannot tell."""
    return {identity(row) for page in pages for row in page}


async def read_all(app) -> tuple[set, set, set]:
    """A wallet's and a market's fills, along cursors and along offsets, and every market."""
    pages, offset_pages, cursor = [], [], {}
    async with httpx.AsyncClient(transport=InProcess(app), base_url=BASE_URL) as client:
        asked = {"condition": condition(1), "taker_only": "false", "limit": 9}
        while True:
            page = await patiently(client, "/v2/trades", **asked, **cursor)
            pages.append(page["data"])
            if page["pagination"]["next_cursor"] is None:
                break
            cursor = {"cursor": page["pagination"]["next_cursor"]}
        old = {"user": wallet(7), "takerOnly": "false", "limit": 30}
        while not offset_pages or offset_pages[-1]:
            offset = 30 * len(offset_pages)
            offset_pages.append(await patiently(client, "/trades", **old, offset=offset))
        markets: list[dict] = []
        offset, page = 0, [{}, {}]
        while len(page) == 2:
            page = await patiently(client, "/markets", limit=2, offset=offset)
            markets += page
            offset += 2
    return kinds_of_rows(pages), kinds_of_rows(offset_pages), {row["id"] for row in markets}


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_patient_client_reads_the_same_with_every_fault_as_with_none(seed):
    world = busy_world(seed % 7)
    endings = dict.fromkeys(ENDINGS, 0.12) | {"stalled": 0.03}
    pages = dict.fromkeys(("duplicated", "shifted", "shuffled"), 0.6)
    faults = Faults(seed=seed, **endings, **pages, slow_s=0.0, stall_s=0.2, retry_after_s=0)
    app = create_app(world, fixed(LATER), faults=faults)
    market, mine, markets = asyncio.run(read_all(app))
    assert market == set(planted(world, condition_id=condition(1)))
    assert mine == set(planted(world, proxy_wallet=wallet(7)))
    assert markets == {"500001", "500002", "500003"}


def test_faults_follow_from_their_seed():
    def endings(seed: int) -> list[str | None]:
        plan = Plan(Faults(seed=seed, server_error=0.3, truncated=0.3))
        return [plan.decide(f"GET /trades?offset={n % 9}").ending for n in range(90)]

    assert endings(1) == endings(1)
    assert endings(1) != endings(2)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), most=st.integers(0, 4))
def test_no_question_fails_more_often_in_a_row_than_agreed(seed, most):
    plan = Plan(Faults(seed=seed, dropped=0.9, most_in_a_row=most))
    in_a_row = 0
    for _ in range(200):
        in_a_row = in_a_row + 1 if plan.decide("GET /trades?").ending else 0
        assert in_a_row <= most


def test_a_shift_never_shrinks_so_that_no_row_slips_between_two_pages():
    plan = Plan(Faults(shifted=0.5))
    shifts = [plan.decide(f"GET /trades?offset={n}").page.shift for n in range(200)]
    assert all(early <= late for early, late in pairwise(shifts))
    assert 0 < shifts[-1] <= 25
    plan.faults = None
    assert plan.decide("GET /trades?").page.shift == shifts[-1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"slow": 1.5}, "slow must be 0 to 1"),
        ({"slow": 0.6, "dropped": 0.6}, "together must be at most 1"),
        ({"slow_s": -1.0}, "slow_s must not be negative"),
    ],
)
def test_what_is_no_probability_is_refused(values, said):
    with pytest.raises(ValueError, match=said):
        Faults(**values)


def switch(app, method: str, values: object = None) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=InProcess(app), base_url=BASE_URL) as client:
            return await client.request(method, "/_sim/faults", json=values)

    return asyncio.run(send())


def test_faults_are_switched_over_http_only_where_control_is_enabled():
    app = create_app(busy_world(), fixed(LATER), manner=CONTROLLED)
    assert switch(app, "PUT", {"server_error": 1.0}).json()["server_error"] == 1.0
    assert ask(app, "/trades").status_code >= 500
    assert switch(app, "DELETE").json() is None
    assert ask(app, "/trades").status_code == 200
    assert switch(create_app(busy_world(), fixed(LATER)), "DELETE").status_code == 404


@pytest.mark.parametrize("values", [[1], {"nonsense": 1}, {"slow": "often"}, {"slow": True}])
def test_faults_that_make_no_sense_are_a_400(values):
    app = create_app(busy_world(), fixed(LATER), manner=CONTROLLED)
    assert switch(app, "PUT", values).status_code == 400


def test_requests_are_counted_by_group_whether_or_not_they_were_answered():
    app = create_app(busy_world(), fixed(LATER), faults=Faults(server_error=1.0), manner=CONTROLLED)
    for path in ("/v2/trades", "/trades", "/v2/holders", "/markets/keyset", "/_sim/clock"):
        ask(app, path)
    told = rows(app, "/_sim/requests")
    assert {group: len(seen["at"]) for group, seen in told.items()} == {
        "data": 3,
        "data/trades": 2,
        "gamma": 1,
        "gamma/markets": 1,
    }
    assert told["data/trades"]["limit"] == PUBLISHED["data/trades"] == 200
    assert told["data/trades"]["busiest"] == 2


def test_beyond_its_limit_a_group_is_told_when_to_come_back():
    app = create_app(busy_world(), fixed(LATER), limits={"data/trades": 3})
    answers = [ask(app, "/trades") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 10
    assert ask(app, "/activity", user=wallet(1)).status_code == 200


def test_a_window_of_ten_seconds_slides():
    meter = Meter({"data/trades": 2})
    waits = [meter.count("/trades", second) for second in (0.0, 4.0, 9.5, 20.0)]
    assert waits == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/trades", ("data", "data/trades")),
        ("/closed-positions", ("data", "data/closed-positions")),
        ("/v1/leaderboard", ("data",)),
        ("/markets/keyset", ("gamma", "gamma/markets")),
        ("/prices-history", ("clob", "clob/prices-history")),
    ],
)
def test_every_path_counts_against_its_host_and_its_own_limit(path, expected):
    assert groups(path) == expected


@given(st.lists(st.floats(0, 100), max_size=40).map(sorted))
def test_the_busiest_window_is_that_of_counting_them_all(at_seconds):
    windows = [sum(1 for one in at_seconds if end - 10 < one <= end) for end in at_seconds]
    assert busiest(at_seconds) == max(windows, default=0)


def test_the_clock_is_told_where_control_is_enabled():
    app = create_app(busy_world(), fixed(LATER), manner=CONTROLLED)
    assert rows(app, "/_sim/clock") == {"now": LATER.isoformat()}
