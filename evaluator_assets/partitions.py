"""How assets are partitioned, and what the partitions of a run mean to the stages."""

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Protocol

import dagster as dg

from evaluator.domain.features.history import Cell
from evaluator.domain.schema import BUCKET_COUNT, Partitioning
from evaluator.store import partitions

FIRST_DAY = date(2022, 11, 1)
"""Before the first trade of the venue's order book."""

WINDOW_DAYS = (7, 30, 90)
HOUR_FORMAT = "%Y-%m-%d-%H:%M"

DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=1)
HOURLY = dg.HourlyPartitionsDefinition(start_date=f"{FIRST_DAY.isoformat()}-00:00", end_offset=1)
"""Hours of market data; an hour's rows lie in the partition of their day."""

WINDOWS = dg.StaticPartitionsDefinition([f"{days}d" for days in WINDOW_DAYS])
DATE_BY_WINDOW = dg.MultiPartitionsDefinition({"date": DAILY, "window": WINDOWS})
BUCKETS = dg.StaticPartitionsDefinition([f"{number:02d}" for number in range(BUCKET_COUNT)])

SINGLE_RUN = dg.BackfillPolicy.single_run()
"""A range of partitions is one run."""

# 1.13 calls range runs beta, once for each asset, on the terminal of whoever runs the pipeline.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)

SINGLE_KEY = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


class Partitioned(Protocol):
    """A context that knows the partitions of its run."""

    @property
    def partition_keys(self) -> Sequence[str]:
        """Keys of one partition or of a range."""


def cells(context: Partitioned) -> list[Cell]:
    """Days and windows of a run over `DATE_BY_WINDOW`."""
    return [cell_of(key) for key in context.partition_keys]


def all_windows(day: date) -> list[Cell]:
    """A day over each window."""
    return [Cell(day, window) for window in WINDOW_DAYS]


def buckets(context: Partitioned) -> list[int]:
    """Wallet buckets of a run over `BUCKETS`."""
    return [int(key) for key in context.partition_keys]


def cell_of(key: str) -> Cell:
    """The day and window behind a key.

    >>> cell_of("2025-05-08|30d")
    Cell(day=datetime.date(2025, 5, 8), window_days=30)
    """
    day, window = key.split("|")
    return Cell(date.fromisoformat(day), int(window.removesuffix("d")))


def cell_key(day: date, window_days: int) -> str:
    """The key of a day and window.

    >>> cell_key(date(2025, 5, 8), 30)
    '2025-05-08|30d'
    """
    return f"{day.isoformat()}|{window_days}d"


def stored_as(kind: Partitioning, key: str) -> str:
    """The lake's name of a partition.

    >>> stored_as(Partitioning.DAY_WINDOW, "2025-05-08|30d")
    'date=2025-05-08/window=30'
    """
    match kind:
        case Partitioning.SINGLE:
            return partitions.SINGLE
        case Partitioning.BUCKET:
            return partitions.bucket(int(key))
        case Partitioning.DAY:
            return partitions.day(day_of(key))
        case Partitioning.DAY_WINDOW:
            cell = cell_of(key)
            return partitions.day_window(cell.day, cell.window_days)


def key_of(name: str) -> str:
    """The key behind the lake's name of a partition by day, or by day and window.

    >>> key_of("date=2025-05-08/window=30")
    '2025-05-08|30d'
    """
    day, _, window = name.removeprefix("date=").partition("/window=")
    return f"{day}|{window}d" if window else day


def range_tags(start: str, end: str) -> dict[str, str]:
    """Tags of one run over a range of partitions."""
    return {RANGE_START: start, RANGE_END: end}


def all_buckets_tags() -> dict[str, str]:
    """Tags of one run over all wallet buckets."""
    keys = BUCKETS.get_partition_keys()
    return range_tags(keys[0], keys[-1])


def windows_tags(first: date, last: date) -> dict[str, str]:
    """Tags of one run over the days and all windows."""
    return range_tags(cell_key(first, WINDOW_DAYS[0]), cell_key(last, WINDOW_DAYS[-1]))


def day_of(key: str) -> date:
    """The day behind a key of `DAILY` or `HOURLY`.

    >>> day_of("2025-05-08"), day_of("2025-05-08-13:00")
    (datetime.date(2025, 5, 8), datetime.date(2025, 5, 8))
    """
    return date.fromisoformat(key[:10])


def hour_of(key: str) -> datetime:
    """The first instant of the hour behind a key of `HOURLY`.

    >>> hour_of("2025-05-08-13:00")
    datetime.datetime(2025, 5, 8, 13, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.strptime(key, HOUR_FORMAT).replace(tzinfo=UTC)


def hour_key(instant: datetime) -> str:
    """The key of the hour that holds an instant."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d-%H:00")


def all_of(asset: str) -> dg.AssetDep:
    """A dependency on every partition: bucket to date mappings never load by default."""
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())


def last_of(asset: str) -> dg.AssetDep:
    """A dependency on the newest partition."""
    return dg.AssetDep(asset, partition_mapping=dg.LastPartitionMapping())


def same_of(asset: str) -> dg.AssetDep:
    """A dependency on the partition of the same key."""
    return dg.AssetDep(asset, partition_mapping=dg.IdentityPartitionMapping())
