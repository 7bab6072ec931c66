"""The lake as a resource."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from evaluator.settings import Settings
from evaluator.store.lake import Lake


class LakeResource(dg.ConfigurableResource[Lake]):
    """Where the tables live: immutable DuckDB files, made visible by atomic commits.

    Opening holds no lock: writers add files and commit, readers keep the files that their
    snapshot names.
    """

    root: str = Field(description="Folder of the lake, e.g. /srv/evaluator/lake.")
    thread_count: int = Field(default=0, description="DuckDB threads per process; 0: one per core.")
    memory_limit: str = Field(
        default="", description="DuckDB memory per process with its unit, e.g. 2GiB; empty: 80 %."
    )

    @classmethod
    def of(cls, settings: Settings) -> "LakeResource":
        """The lake that the settings name."""
        return cls(
            root=str(settings.lake_root),
            thread_count=settings.lake.threads,
            memory_limit=settings.lake.memory_limit or "",
        )

    def open(self) -> Lake:
        """The lake; makes the folder where it is missing."""
        return Lake(
            Path(self.root), threads=self.thread_count, memory_limit=self.memory_limit or None
        )
