"""What the pipeline asks of a source, whether it is a folder or a venue.

Every method commits what it reads and says what it could not read. A source that has no such
table commits nothing: the table stays empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from evaluator.stages import ingest
from evaluator.stages.new_fills import NewFills
from evaluator.stages.problems import Problem
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one reading has committed, what was new in it, and what could not be read."""

    commit: Commit
    new_fills: NewFills = field(default_factory=NewFills)
    new_wallets: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    left_count: int = 0
    """What a later pass goes on with, of what was asked for."""


class Source(Protocol):
    """Where history comes from; methods are named as the tables they fill."""

    def last_day(self) -> date:
        """The newest day that has anything."""
        ...

    def markets(self, lake: Lake, day: date) -> Gathered:
        """The markets of a day."""
        ...

    def holders(self, lake: Lake, day: date) -> Gathered:
        """The largest holders of the tokens of candidate markets."""
        ...

    def market_scores(self, lake: Lake, day: date) -> Gathered:
        """MScore and EScore of the candidates; keeps the trades read for them."""
        ...

    def leaderboard(self, lake: Lake, day: date) -> Gathered:
        """The venue's own ranking."""
        ...

    def wallets(self, lake: Lake, day: date) -> Gathered:
        """Wallets found on selected markets and on the leaderboard, with their sources."""
        ...

    def histories(self, lake: Lake, buckets: Sequence[int]) -> Gathered:
        """Fills and activity of the wallets of some buckets."""
        ...

    def positions(self, lake: Lake, buckets: Sequence[int]) -> Gathered:
        """The venue's own numbers."""
        ...

    def resolutions(self, lake: Lake) -> Gathered:
        """Payouts of closed markets."""
        ...

    def prices(self, lake: Lake, hour: datetime) -> Gathered:
        """The price series of an hour."""
        ...

    def books(self, lake: Lake, hour: datetime) -> Gathered:
        """Order books, as they are now."""
        ...

    def comments(self, lake: Lake, hour: datetime) -> Gathered:
        """Comments since the last reading."""
        ...


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A folder of files: markets, fills and official positions; nothing else."""

    archive: Archive

    def last_day(self) -> date:
        """The UTC day of the newest fill."""
        return self.archive.last_day()

    def markets(self, lake: Lake, day: date) -> Gathered:
        """The markets of the files, as of the day."""
        return Gathered(ingest.ingest_markets(lake, self.archive, day))

    def histories(self, lake: Lake, buckets: Sequence[int]) -> Gathered:
        """The fills of the files."""
        return Gathered(ingest.ingest_fills(lake, self.archive, buckets))

    def positions(self, lake: Lake, buckets: Sequence[int]) -> Gathered:
        """The official positions of the files."""
        return Gathered(ingest.ingest_positions(lake, self.archive, buckets))

    def resolutions(self, lake: Lake) -> Gathered:
        """The payouts that the markets of the files say."""
        return Gathered(ingest.publish_resolutions(lake))

    def holders(self, lake: Lake, day: date) -> Gathered:
        """Files have none."""
        return _nothing(lake, day)

    market_scores = leaderboard = wallets = holders

    def prices(self, lake: Lake, hour: datetime) -> Gathered:
        """Files have none."""
        return _nothing(lake, hour)

    books = comments = prices


def _nothing(lake: Lake, _when: date) -> Gathered:
    return Gathered(lake.commit(what="nothing"))
