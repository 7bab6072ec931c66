"""Requests as the host counts them: never more in ten seconds than it allows."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from evaluator.venue.api import endpoints
from evaluator.venue.api.client import VenueClient
from evaluator.venue.api.transport import Policy
from evaluator.venue.sim.metering import PUBLISHED, groups
from tests.acceptance.tiny_venue import DAY, HOUR, NOW, client, control, venue, world

BUSY = ("data/trades", "data/positions")
"""Groups of which more is asked here than ten seconds allow."""

CALM = Policy(timeout_s=60.0, deadline_s=600.0)
"""Waits for its turn as long as that takes."""


@dataclass(frozen=True)
class Places:
    """Ids to ask about."""

    wallets: list[str]
    markets: list[str]
    tokens: list[str]
    events: list[str]

    @classmethod
    def of_the_world(cls) -> "Places":
        history = world().history(NOW)
        markets = history.markets
        return cls(
            history.wallets["proxy_wallet"].to_list(),
            markets["condition_id"].to_list(),
            markets["token_ids"].explode().to_list(),
            markets["event_slug"].unique(maintain_order=True).to_list(),
        )


def questions(asker: VenueClient, number: int, places: Places) -> list[Coroutine[Any, Any, Any]]:
    """One question to every group of paths, each about the next in turn."""
    wallet = places.wallets[number % len(places.wallets)]
    market = places.markets[number % len(places.markets)]
    token = places.tokens[number % len(places.tokens)]
    event = places.events[number % len(places.events)]
    return [
        asker.wallet_trades(wallet, max_pages=1),
        asker.wallet_activity(wallet, max_pages=1),
        asker.wallet_positions(DAY, wallet),
        asker.holders(DAY, market),
        asker.markets(DAY, [market]),
        asker.comments(event),
        asker.prices(token, start=HOUR, end=NOW),
        asker.books([token]),
    ]


def ask_much(url: str, rounds: int, parts: dict[float, str], factor: float) -> set[str]:
    """Clients with these shares of the limits, at once; the statuses that they were answered."""
    places = Places.of_the_world()

    async def one(share: float, dialect: str) -> set[str]:
        async with client(url, dialect, CALM, share=share, limit_factor=factor) as asker:
            asked = [
                question
                for number in range(int(rounds * share))
                for question in questions(asker, number, places)
            ]
            await asyncio.gather(*asked)
            return set(asker.requests()["status"])

    async def together() -> list[set[str]]:
        return await asyncio.gather(*(one(*part) for part in parts.items()))

    return set().union(*asyncio.run(together()))


def check_limits(report: dict[str, Any], limits: dict[str, int], busy: tuple[str, ...]) -> None:
    """Busy groups must have come near their limit: else nothing has been shown."""
    over = {name: of["busiest"] for name, of in report.items() if of["busiest"] > limits[name]}
    assert over == {}
    idle = {name: report[name]["busiest"] for name in busy
            if report[name]["busiest"] < 0.6 * limits[name]}  # fmt: skip
    assert idle == {}


@pytest.mark.parametrize("parts", [{1.0: "v2"}, {0.6: "v2", 0.4: "v1"}])
def test_clients_stay_inside_limits_of_a_tenth_of_the_published_ones(parts: dict[float, str]):
    limits = {name: limit // 10 for name, limit in PUBLISHED.items()}
    with venue(limits=limits) as url:
        statuses = ask_much(url, 12, parts, 0.1)
        report = control(url, "requests")
    assert statuses == {"200"}
    check_limits(report, limits, BUSY)
    assert report["data/trades"]["at"][-1] - report["data/trades"]["at"][0] > 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_client_stays_inside_the_published_limits():
    with venue(limits=PUBLISHED) as url:
        statuses = ask_much(url, 400, {1.0: "v2"}, 1.0)
        report = control(url, "requests")
    assert statuses == {"200"}
    check_limits(report, dict(PUBLISHED), BUSY)


def test_every_group_that_the_host_limits_and_we_ask_is_known_to_the_client():
    every = [each for each in vars(endpoints).values() if isinstance(each, endpoints.Endpoint)]
    assert len(every) > 15
    for endpoint in every:
        ours = {f"{endpoint.host}/{endpoint.group}".rstrip("/"), endpoint.host}
        assert set(groups(endpoint.path)) == ours, endpoint.path
        for group in ours:
            host, _, name = group.partition("/")
            assert endpoints.LIMITS[host, name] <= PUBLISHED[group]
