import asyncio
import heapq
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.venue.api import endpoints
from evaluator.venue.api.endpoints import GENERAL, LIMITS, Endpoint, Hosts
from evaluator.venue.api.limits import WINDOW_S, Bucket, Buckets, Limiter
from tests.venue.api.fake_time import FakeTime

HOSTS = Hosts("http://one.test", "http://one.test", "http://one.test")


def busiest(instants: list[float], window_s: float) -> int:
    """The most instants in any window of that length."""
    ordered, first, most = sorted(instants), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True)
class Sent:
    """Requests through one bucket: when each was sent, arrived, and had its answer."""

    sent: list[float]
    arrived: list[float]


def through(bucket: Bucket, ways: list[tuple[float, float, float]]) -> Sent:
    """Requests, each `gap` after the one before and when it is its turn, on ways of any length.

    A way is a gap, the seconds until the answer, and the part of them after which it arrives.
    """
    now, sent, arrived = 0.0, [], []
    under_way: list[float] = []
    for gap, seconds, part in ways:
        now += gap
        while True:
            while under_way and under_way[0] <= now:
                bucket.end(heapq.heappop(under_way))
            free = bucket.earliest(now)
            if free <= now:
                break
            now = min(free, under_way[0]) if under_way else free
        bucket.grant(now)
        sent.append(now)
        arrived.append(now + seconds * part)
        heapq.heappush(under_way, now + seconds)
    return Sent(sent, arrived)


@settings(deadline=None)
@given(
    limit=st.integers(1, 60),
    ways=st.lists(
        st.tuples(st.floats(0, 3), st.floats(0, 30), st.floats(0, 1)), min_size=1, max_size=300
    ),
)
def test_no_more_than_the_limit_arrive_in_ten_seconds_however_uneven_the_way(limit, ways):
    assert busiest(through(Bucket(limit), ways).arrived, WINDOW_S) <= limit


@pytest.mark.parametrize("limit", [1, 2, 19, 20, 200, 1500])
def test_a_crowd_is_served_at_nearly_the_full_limit_and_not_in_bursts(limit):
    answered_s = 0.2
    sent = through(Bucket(limit), [(0.0, answered_s, 0.5)] * (10 * limit + 1)).sent
    assert sent[-1] - sent[0] <= 10 * (WINDOW_S + answered_s) * 1.02
    most_at_once = busiest(sent, WINDOW_S / limit)
    assert most_at_once <= max(1, limit // 20) + 1


@settings(deadline=None, max_examples=20)
@given(
    asked=st.lists(
        st.sampled_from([endpoints.TRADES_V2, endpoints.POSITIONS_V2, endpoints.HOLDERS_V2]),
        min_size=1,
        max_size=60,
    ),
    share=st.sampled_from([0.01, 0.02, 0.2]),
)
def test_many_tasks_stay_within_the_limits_of_path_and_host(asked, share):
    clock = FakeTime()
    limiter = Limiter(HOSTS, share, 1.0, Buckets(), clock.monotonic)
    sent: list[tuple[Endpoint, float]] = []

    async def ask(endpoint: Endpoint) -> None:
        assert await limiter.acquire(endpoint, clock.sleep, not_after=1e9)
        sent.append((endpoint, clock.seconds))
        limiter.end(endpoint)

    async def ask_all() -> None:
        await asyncio.gather(*map(ask, asked))

    asyncio.run(ask_all())
    assert len(sent) == len(asked)
    assert busiest([at for _, at in sent], WINDOW_S) <= LIMITS["data", GENERAL] * share
    for group in ("trades", "positions"):
        of_group = [at for endpoint, at in sent if endpoint.group == group]
        assert busiest(of_group, WINDOW_S) <= max(1, int(LIMITS["data", group] * share))


def test_a_crowded_path_does_not_hold_back_another_of_its_host():
    clock = FakeTime()
    limiter = Limiter(HOSTS, 1.0, 1.0, Buckets(), clock.monotonic)
    while limiter.try_grant(endpoints.TRADES_V2) == 0:
        pass
    assert limiter.try_grant(endpoints.TRADES_V2) > 0
    assert limiter.try_grant(endpoints.POSITIONS_V2) == 0


def test_a_place_after_the_deadline_is_not_waited_for():
    clock = FakeTime()
    limiter = Limiter(HOSTS, 0.01, 1.0, Buckets(), clock.monotonic)

    async def ask(not_after: float) -> bool:
        return await limiter.acquire(endpoints.POSITIONS_V2, clock.sleep, not_after)

    assert asyncio.run(ask(not_after=1.0))
    assert not asyncio.run(ask(not_after=1.0))
    assert clock.slept == []


def test_share_and_factor_change_what_is_allowed_and_leave_at_least_one():
    assert Limiter(HOSTS, 0.2).allowed(endpoints.TRADES_V2, "trades") == 40
    assert Limiter(HOSTS, 0.2, 10.0).allowed(endpoints.TRADES_V2, "trades") == 400
    assert Limiter(HOSTS, 0.000_1).allowed(endpoints.TRADES_V2, "trades") == 1


def test_threads_of_one_process_share_a_limit():
    alone, limiter = (Limiter(HOSTS, 1.0, 1.0, Buckets(), clock=lambda: 0.0) for _ in range(2))
    by_one = sum(alone.try_grant(endpoints.TRADES_V2) == 0 for _ in range(400))
    start = threading.Barrier(4)

    def grab(_: int) -> int:
        start.wait()
        return sum(limiter.try_grant(endpoints.TRADES_V2) == 0 for _ in range(100))

    with ThreadPoolExecutor(4) as pool:
        granted_count = sum(pool.map(grab, range(4)))
    assert granted_count == by_one > 1


def test_the_real_clock_is_the_default():
    assert Limiter(HOSTS).clock is time.monotonic
