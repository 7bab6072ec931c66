"""The settings of a run: read where its process starts, changed by its run configuration."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import dagster as dg
from pydantic import Field

from evaluator.settings import Settings, load_settings
from evaluator.stages.source import Source
from evaluator.stages.stamp import Stamp
from evaluator.venue.venue import Venue


class ConfigurationResource(dg.ConfigurableResource[Settings]):
    """`evaluator.toml` and `EVALUATOR_*`, overridden for one run by `overrides`."""

    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of this run alone, nested by key as in evaluator.toml.",
    )

    def settings(self) -> Settings:
        """All settings; raises ConfigurationError for an unknown key or a bad value."""
        return load_settings(**self.overrides)

    def open_source(self) -> Source:
        """What fills the tables; notes it in the home, whose tables are of one source."""
        return self._claimed().open_source()

    def open_venue(self, *, share: float) -> AbstractAsyncContextManager[Venue]:
        """The venue of the source, for a part of its rate limits; notes it in the home."""
        return self._claimed().open_venue(share=share)

    def _claimed(self) -> Settings:
        self.settings().claim_home()
        return self.settings()  # again: a new world's first day is in the note

    def stamp(self) -> Stamp:
        """What every derived row carries of this run."""
        return self.settings().stamp()

    def is_frozen(self) -> bool:
        """Whether the source has ended, so that its last day is final: files do not grow."""
        return self.settings().is_frozen
