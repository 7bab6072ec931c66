"""Types of command-line values that click does not have."""

from datetime import date
from typing import Any

import click


class Day(click.ParamType[date]):
    """A UTC day."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read YYYY-MM-DD."""
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day like 2025-05-08", param, ctx)


class Days(click.ParamType[tuple[int, ...]]):
    """Numbers of days, separated by commas."""

    name = "days"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read 7,30,90."""
        try:
            parts = value if isinstance(value, tuple) else value.split(",")
            return tuple(sorted({int(part) for part in parts}))
        except ValueError:
            self.fail(f"{value!r} is not a list of days like 7,30,90", param, ctx)
