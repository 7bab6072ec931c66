"""A history, indexed for questions, and the moment at which they are asked.

The history reaches a little beyond the present, so that it is read again only now and then; every
answer cuts it at the present.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import polars as pl

from evaluator.venue.sim.boards import Boards
from evaluator.venue.sim.clock import Clock
from evaluator.venue.sim.directory import Directory, Market, directory
from evaluator.venue.sim.ledger_view import Ledger, ledger
from evaluator.venue.sim.marks import Marks
from evaluator.venue.sim.rules import Book, History
from evaluator.venue.sim.tape import Ints, Tape, seconds, tape
from evaluator.venue.sim.volumes import Volumes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_COMMENTS = pl.DataFrame(
    schema={
        **{name: pl.String() for name in ("comment_id", "event_slug", "author", "text")},
        "posted_s": pl.Int64(),
    }
)
_NOTHING: Ints = np.empty(0, dtype=np.int64)


class Place(Protocol):
    """The world that a venue shows; see `evaluator.venue.sim.world.World`."""

    def history(self, until: datetime) -> History:
        """All that happened strictly before an instant."""
        ...

    def prices(self, token_ids: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
        """Prices of some tokens in [start, end)."""
        ...

    def book(self, token_id: str, at: datetime) -> Book:
        """The order book of a token at an instant."""
        ...


@dataclass(frozen=True, slots=True)
class Past:
    """All that happened before `until`, indexed."""

    until: datetime
    markets: Directory
    tape: Tape
    ledger: Ledger
    marks: Marks
    boards: Boards
    volumes: Volumes
    comments: dict[tuple[object, ...], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Present:
    """The past as it is known at one instant. `cut` is the first place of the tape not yet seen."""

    past: Past
    world: Place
    instant: datetime
    now: float
    cut: int

    @property
    def tape(self) -> Tape:
        """The tape; only places before `cut` have happened."""
        return self.past.tape

    @property
    def markets(self) -> Directory:
        """The directory; some of its markets may not have opened."""
        return self.past.markets

    def market(self, condition_id: str) -> Market | None:
        """A market that has opened."""
        market = self.markets.by_condition.get(condition_id)
        return market if market is not None and market.is_listed(self.now) else None

    def listed(self) -> list[Market]:
        """Markets that have opened, in the order in which they were made."""
        return [market for market in self.markets.markets if market.is_listed(self.now)]

    def wallet_places(self, proxy_wallet: str) -> Ints:
        """Places of a wallet's rows so far; none for one that has done nothing yet."""
        code = self.tape.wallet_codes.get(proxy_wallet)
        return self._seen(self.tape.by_wallet.of(code)) if code is not None else _NOTHING

    def market_places(self, market: Market) -> Ints:
        """Places of a market's rows so far."""
        return self._seen(self.tape.by_market.of(market.code))

    def comments(self, event_slug: str) -> pl.DataFrame:
        """Comments on an event so far, oldest first."""
        found = self.past.comments.get((event_slug,))
        if found is None:
            return _NO_COMMENTS
        return found.head(int(found["posted_s"].search_sorted(self.now, side="left")))

    def _seen(self, places: Ints) -> Ints:
        return places[: places.searchsorted(self.cut)]


class Timeline:
    """Shows a world at the time of a clock, reading its history in steps.

    Steps begin at multiples of their length since 1970: what is shown depends on the instant
    alone, not on when a process began to look.
    """

    def __init__(self, world: Place, clock: Clock, *, step: timedelta) -> None:
        self._world, self._clock, self._step = world, clock, step
        self._past: Past | None = None

    def present(self) -> Present:
        """The world now; reads more of its history where the last reading does not reach."""
        instant = self._clock().astimezone(UTC)
        begun = instant - (instant - _EPOCH) % self._step
        if self._past is None or self._past.until != begun + self._step:
            self._past = read(self._world, begun, begun + self._step)
        now = instant.timestamp()
        return Present(self._past, self._world, instant, now, self._past.tape.places_before(now))


def read(world: Place, since: datetime, until: datetime) -> Past:
    """Index a world's history up to `until`, for questions about instants from `since` on.

    What a market's row tells of its own present, its liquidity, is as of `since`.
    """
    history = world.history(until)
    liquidity = world.history(since).markets.select("condition_id", "liquidity_usdc")
    markets = directory(
        history.markets.join(
            liquidity, on="condition_id", how="left", maintain_order="left", suffix="_since"
        ).with_columns(
            pl.coalesce("liquidity_usdc_since", "liquidity_usdc").alias("liquidity_usdc")
        )
    )
    rows = tape(history.fills, history.activity, markets)
    book = ledger(rows, markets)
    prices = Marks(world.prices, rows, markets)
    comments = history.comments.with_columns(
        posted_s=seconds("posted_at", history.comments.schema["posted_at"])
    ).sort("posted_s", "comment_id")
    return Past(
        until=until,
        markets=markets,
        tape=rows,
        ledger=book,
        marks=prices,
        boards=Boards(rows, book, prices, markets),
        volumes=Volumes(rows),
        comments=comments.partition_by("event_slug", as_dict=True),
    )
