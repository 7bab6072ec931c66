"""Clients of the two kinds of venue: the hosts themselves, and a simulated one in this process."""

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from starlette.applications import Starlette

from evaluator.venue.api.client import VenueClient, open_client
from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.options import Options
from evaluator.venue.api.transport import Timing
from evaluator.venue.sim import clock
from evaluator.venue.sim.app import create_app
from evaluator.venue.sim.in_process import BASE_URL, InProcess
from evaluator.venue.sim.rules import WorldRules
from evaluator.venue.sim.world import World

UNLIMITED = 1e6
"""Limits are those of a public host; a simulation in this process needs none."""


def live(hosts: Hosts, options: Options) -> VenueClient:
    """A client of these hosts."""
    return open_client(hosts, options)


def simulated(
    rules: WorldRules, instant: datetime | None, options: Options, cache: Path | None
) -> VenueClient:
    """A client of a simulated venue, over the same protocol but no network.

    It shows an instant, or moves with the clock. World and venue are kept for the next client
    of this process.
    """
    return open_client(
        Hosts(BASE_URL, BASE_URL, BASE_URL),
        replace(options, limit_factor=UNLIMITED),
        timing=Timing(clock=clock.fixed(instant) if instant else clock.wall),
        transport=InProcess(_app(rules, instant, cache)),
    )


@lru_cache(maxsize=2)
def _app(rules: WorldRules, instant: datetime | None, cache: Path | None) -> Starlette:
    return create_app(world(rules, cache), clock.fixed(instant) if instant else clock.wall)


@lru_cache(maxsize=2)
def world(rules: WorldRules, cache: Path | None) -> World:
    """The world of these rules; what has been played of it is kept in the folder `cache`."""
    return World(rules, cache=cache)
