"""What can be set about a client of the venue's API."""

from dataclasses import dataclass, field
from typing import Literal

from evaluator.venue.api.transport import Policy

Dialect = Literal["v2", "v1"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a client asks.

    `dialect` is the version of the Data API. `share` is this process's part of the published
    limits, `limit_factor` raises them for a venue that is no real one. `price_fidelity_minutes`
    is the step of price series. Page sizes are what is asked for; a host may give less.
    `has_roles` has trades read a second time, of takers only, which tells makers from takers;
    without it every role is unknown, at about half of the requests.
    """

    dialect: Dialect = "v2"
    share: float = 1.0
    limit_factor: float = 1.0
    policy: Policy = field(default_factory=Policy)
    feed_page_rows: int = 1000
    market_page_rows: int = 200
    leaderboard_rows: int = 500
    holders_per_token: int = 20
    price_fidelity_minutes: int = 60
    max_listing_pages: int = 1000
    has_roles: bool = True


DEFAULTS = Options()
"""A client of the real hosts that has their limits to itself."""
