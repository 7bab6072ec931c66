"""Names of partitions: `all`, `bucket=07`, `date=2025-05-08`, `date=2025-05-08/window=30`.

The name is also the folder of the partition's files. A frame must lie wholly in its partition.
"""

import re
from datetime import date

import polars as pl

from evaluator.domain import ids
from evaluator.domain.schema import BUCKET_COUNT, DATE, Partitioning, Table
from evaluator.store.errors import FrameRefusedError, UnknownPartitionError

SINGLE = "all"

_FORMS = {
    Partitioning.SINGLE: (SINGLE, re.compile(SINGLE)),
    Partitioning.BUCKET: ("bucket=07", re.compile(r"bucket=(0\d|1[0-5])")),
    Partitioning.DAY: ("date=2025-05-08", re.compile(r"date=(\d{4}-\d\d-\d\d)")),
    Partitioning.DAY_WINDOW: (
        "date=2025-05-08/window=30",
        re.compile(r"date=(\d{4}-\d\d-\d\d)/window=(\d+)"),
    ),
}


def bucket(number: int) -> str:
    """Partition of a wallet bucket.

    >>> bucket(7)
    'bucket=07'
    """
    return f"bucket={number:02d}"


BUCKETS = tuple(bucket(number) for number in range(BUCKET_COUNT))


def day(on: date) -> str:
    """Partition of a day.

    >>> day(date(2025, 5, 8))
    'date=2025-05-08'
    """
    return f"date={on.isoformat()}"


def day_window(on: date, window_days: int) -> str:
    """Partition of a day and a window.

    >>> day_window(date(2025, 5, 8), 30)
    'date=2025-05-08/window=30'
    """
    return f"{day(on)}/window={window_days}"


def day_of(partition: str) -> date:
    """The day of a partition of a daily table.

    >>> day_of('date=2025-05-08/window=30')
    datetime.date(2025, 5, 8)
    """
    return date.fromisoformat(partition.removeprefix("date=").partition("/")[0])


def check_name(table: Table, partition: str) -> None:
    """Raise UnknownPartitionError where the name does not fit the table's partitioning."""
    form, pattern = _FORMS[table.partitioned_by]
    if not pattern.fullmatch(partition):
        raise UnknownPartitionError(table.name, partition, form)


def check_rows(table: Table, partition: str, frame: pl.DataFrame) -> None:
    """Raise FrameRefusedError where a row belongs to another partition.

    A day is compared where the key has a date; `wallets` keeps its day in no column.
    """
    stray = _strays(table, partition, frame)
    if stray.height:
        problem = f"{stray.height} rows do not belong to partition {partition}, e.g. {stray.row(0)}"
        raise FrameRefusedError(table.name, problem)


def _strays(table: Table, partition: str, frame: pl.DataFrame) -> pl.DataFrame:
    if table.partitioned_by is Partitioning.SINGLE:
        return frame.clear()
    if table.partitioned_by is Partitioning.BUCKET:
        number = int(partition.removeprefix("bucket="))
        return frame.select("proxy_wallet").filter(ids.bucket_expr() != number)
    on, _, window = partition.removeprefix("date=").partition("/window=")
    expected: dict[str, date | int] = {
        name: date.fromisoformat(on) for name in table.key if table.column(name).dtype == DATE
    }
    if window and "window_days" in table.key:
        expected["window_days"] = int(window)
    if not expected:
        return frame.clear()
    wrong = pl.any_horizontal(pl.col(name) != value for name, value in expected.items())
    return frame.select(*expected).filter(wrong)
