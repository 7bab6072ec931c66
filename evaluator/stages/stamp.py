"""What every derived row carries of the run that computed it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from evaluator.domain.features.history import Cell


@dataclass(frozen=True, slots=True)
class Stamp:
    """The run's clock, the digest of its thresholds, and the package's version.

    `is_frozen` says that the source cannot change (an archive), so that every day is final.
    """

    now: datetime
    config_hash: str
    code_version: str
    is_frozen: bool

    @property
    def today(self) -> date:
        """The day of the run; of an instant that is a midnight, the day that ends then."""
        return (self.now - timedelta(microseconds=1)).date()

    def is_final(self, day: date) -> bool:
        """Whether the day had ended, so that its rows are not provisional."""
        return self.is_frozen or self.now >= Cell(day, 1).as_of

    def columns(self, day: date) -> dict[str, pl.Expr]:
        """The columns shared by all derived tables."""
        return {
            "is_final": pl.lit(self.is_final(day)),
            "config_hash": pl.lit(self.config_hash),
            "computed_at": pl.lit(self.now).cast(pl.Datetime("us", "UTC")),
        }
