"""A venue as a source: opens it, runs one stage of discovery or ingestion, keeps the tally.

Each method is one pass: a client of its own, whose requests are counted in `venue_requests`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime

from evaluator.domain import ids
from evaluator.domain.market_scores import DiscoveryRules
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.history import VENUE_REQUESTS
from evaluator.stages import (
    discovery,
    discovery_wallets,
    ingest,
    ingestion,
    ingestion_markets,
    market_data,
)
from evaluator.stages.gathering import one_commit
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.source import Gathered
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.venue.venue import Venue

OpenVenue = Callable[[], AbstractAsyncContextManager[Venue]]
Stage = Callable[[Venue], Awaitable[Gathered]]


@dataclass(frozen=True, slots=True)
class VenueSource:
    """A venue that goes on: the real one, or a simulated one.

    `open_venue` gives a client; `stamp` is that of the run, with the venue's present.
    """

    open_venue: OpenVenue
    discovery: DiscoveryRules
    ingestion: IngestionRules
    stamp: Stamp

    def last_day(self) -> date:
        """The day of the present; of an instant that is a midnight, the day that ends then."""
        return self.stamp.today

    def markets(self, lake: Lake, day: date) -> Gathered:
        """Open markets that may be candidates, and known ones that are not resolved."""
        return self._pass(
            lake,
            lambda venue: discovery.read_markets(
                lake, venue, day, self.discovery, at_once=self._at_once()
            ),
        )

    def holders(self, lake: Lake, day: date) -> Gathered:
        """The largest holders of the candidates' tokens."""
        return self._pass(
            lake,
            lambda venue: discovery.read_holders(
                lake, venue, day, self.discovery, at_once=self._at_once()
            ),
        )

    def market_scores(self, lake: Lake, day: date) -> Gathered:
        """MScore and EScore of the candidates; the trades read for them are kept."""
        return self._pass(
            lake,
            lambda venue: discovery.score_markets(
                lake, venue, day, self.discovery, self.stamp, at_once=self._at_once()
            ),
        )

    def leaderboard(self, lake: Lake, day: date) -> Gathered:
        """The venue's own ranking, by category and period."""
        return self._pass(
            lake,
            lambda venue: discovery.read_leaderboard(
                lake, venue, day, self.discovery, at_once=self._at_once()
            ),
        )

    def wallets(self, lake: Lake, day: date) -> Gathered:
        """Wallets found among holders, in feeds, and on the leaderboard."""
        return self._pass(
            lake,
            lambda venue: discovery_wallets.discover_wallets(
                lake, venue, day, self.discovery, at_once=self._at_once()
            ),
        )

    def histories(self, lake: Lake, buckets: Sequence[int]) -> Gathered:
        """Fills and activity of the discovered wallets of some buckets, up to now."""
        known = _discovered(lake, buckets)

        async def read(venue: Venue) -> Gathered:
            found = await ingestion.ingest_wallets(lake, venue, known, self.ingestion)
            return Gathered(
                found.commit,
                found.new_fills,
                problems=found.problems,
                left_count=len(found.wallets_left),
            )

        return self._pass(lake, read)

    def positions(self, lake: Lake, buckets: Sequence[int]) -> Gathered:
        """Official positions of the discovered wallets whose history has changed."""
        known = _discovered(lake, buckets)

        async def read(venue: Venue) -> Gathered:
            found = await ingestion.ingest_positions(
                lake, venue, self.last_day(), known, self.ingestion
            )
            return Gathered(found.commit, problems=found.problems)

        return self._pass(lake, read)

    def resolutions(self, lake: Lake) -> Gathered:
        """Payouts of closed markets; traded markets that are not known are read first."""

        async def read(venue: Venue) -> Gathered:
            found = await ingestion_markets.read_missing_markets(
                lake, venue, self.last_day(), self.ingestion
            )
            published = ingest.publish_resolutions(lake)
            return Gathered(one_commit(lake, [found.commit, published]), problems=found.problems)

        return self._pass(lake, read)

    def prices(self, lake: Lake, hour: datetime) -> Gathered:
        """Price series of followed tokens."""
        return self._pass(
            lake, lambda venue: market_data.read_prices(lake, venue, hour, self.ingestion)
        )

    def books(self, lake: Lake, hour: datetime) -> Gathered:
        """Order books of followed tokens, as they are now."""
        return self._pass(
            lake, lambda venue: market_data.read_books(lake, venue, hour, self.ingestion)
        )

    def comments(self, lake: Lake, hour: datetime) -> Gathered:
        """Comments on the events of followed tokens."""
        return self._pass(
            lake, lambda venue: market_data.read_comments(lake, venue, hour, self.ingestion)
        )

    def _pass(self, lake: Lake, stage: Stage) -> Gathered:
        return asyncio.run(self._counted(lake, stage))

    async def _counted(self, lake: Lake, stage: Stage) -> Gathered:
        """The stage on an open venue; its requests are kept whether or not it succeeds."""
        async with self.open_venue() as venue:
            try:
                return await stage(venue)
            finally:
                place = (VENUE_REQUESTS, partitions.SINGLE)
                lake.commit(append={place: venue.requests()}, what="requests")

    def _at_once(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.ingestion.concurrency)


def _discovered(lake: Lake, buckets: Sequence[int]) -> list[str]:
    """Addresses of the discovered wallets of some buckets, sorted."""
    with lake.snapshot() as now:
        keys = now.read(WALLETS, columns=["proxy_wallet"]).unique()
        mine = keys.filter(ids.bucket_expr().is_in(list(buckets)))
        texts = now.texts().join(mine.rename({"proxy_wallet": "key"}), on="key", how="semi")
    return sorted(texts["text"].to_list())
