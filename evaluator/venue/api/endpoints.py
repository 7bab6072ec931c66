"""The paths of the venue's hosts and the limits published for them; nothing is sent from here."""

from dataclasses import dataclass
from typing import Literal

HostName = Literal["data", "gamma", "clob"]

GENERAL = ""
"""The limit group that holds every path of a host."""

LIMITS: dict[tuple[HostName, str], int] = {
    ("data", GENERAL): 1000,
    ("data", "trades"): 200,
    ("data", "positions"): 150,
    ("data", "closed-positions"): 150,
    ("gamma", GENERAL): 4000,
    ("gamma", "markets"): 300,
    ("gamma", "events"): 500,
    ("gamma", "comments"): 200,
    ("clob", GENERAL): 9000,
    ("clob", "book"): 1500,
    ("clob", "books"): 500,
    ("clob", "prices-history"): 1000,
}
"""Requests per 10 seconds by host and group of paths, as docs.polymarket.com publishes them."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base URLs of the three hosts; a local server can stand in for all."""

    data: str = "https://data-api.polymarket.com"
    gamma: str = "https://gamma-api.polymarket.com"
    clob: str = "https://clob.polymarket.com"

    def base(self, host: HostName) -> str:
        """The base URL of a host, without a slash at its end."""
        base: str = getattr(self, host)
        return base.rstrip("/")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of one host, and the group whose limit it counts against besides the host's."""

    host: HostName
    path: str
    group: str = GENERAL
    method: Literal["GET", "POST"] = "GET"

    @property
    def name(self) -> str:
        """Host and path, as tables, spans and errors show them."""
        return f"{self.host} {self.path}"


TRADES_V2 = Endpoint("data", "/v2/trades", "trades")
ACTIVITY_V2 = Endpoint("data", "/v2/activity")
POSITIONS_V2 = Endpoint("data", "/v2/positions", "positions")
HOLDERS_V2 = Endpoint("data", "/v2/holders")
LEADERBOARD_V2 = Endpoint("data", "/v2/leaderboard")
TRADES_V1 = Endpoint("data", "/trades", "trades")
ACTIVITY_V1 = Endpoint("data", "/activity")
POSITIONS_V1 = Endpoint("data", "/positions", "positions")
CLOSED_POSITIONS_V1 = Endpoint("data", "/closed-positions", "closed-positions")
HOLDERS_V1 = Endpoint("data", "/holders")
LEADERBOARD_V1 = Endpoint("data", "/v1/leaderboard")
MARKETS = Endpoint("gamma", "/markets", "markets")
MARKETS_KEYSET = Endpoint("gamma", "/markets/keyset", "markets")
EVENTS = Endpoint("gamma", "/events", "events")
COMMENTS = Endpoint("gamma", "/comments", "comments")
BOOK = Endpoint("clob", "/book", "book")
BOOKS = Endpoint("clob", "/books", "books", "POST")
PRICES_HISTORY = Endpoint("clob", "/prices-history", "prices-history")
