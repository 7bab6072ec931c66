"""A home that jobs of the code location, or of a variant of it, are run on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from evaluator.domain.tables.evaluation import WALLET_EXCLUSIONS, WALLET_PERSONAS, WALLET_TRAITS
from evaluator.domain.tables.registry import BY_NAME
from evaluator.settings import load_settings
from evaluator.store.lake import Lake
from evaluator_assets import partitions, pipeline

PERSONA_TABLES = (WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS)


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    success: bool
    run_id: str
    instance: dg.DagsterInstance

    def events(self, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        entries = self.instance.all_logs(self.run_id, of_type=kind)
        return [entry.dagster_event for entry in entries if entry.dagster_event]

    def metadata(self, asset: str, partition: str | None = None) -> dict[str, Any]:
        """Of the asset's materialisation in this run."""
        for event in self.events(dg.DagsterEventType.ASSET_MATERIALIZATION):
            made = event.step_materialization_data.materialization
            if made.asset_key == dg.AssetKey(asset) and partition in {None, made.partition}:
                return {name: value.value for name, value in made.metadata.items()}
        raise KeyError(asset)

    def materialized(self) -> dict[str, set[str | None]]:
        """Partitions by asset."""
        found: dict[str, set[str | None]] = {}
        for event in self.events(dg.DagsterEventType.ASSET_MATERIALIZATION):
            made = event.step_materialization_data.materialization
            found.setdefault(made.asset_key.to_user_string(), set()).add(made.partition)
        return found

    def checks(self) -> dict[str, bool]:
        """Whether each check passed, by asset.name."""
        return {
            f"{check.asset_key.to_user_string()}.{check.check_name}": check.passed
            for event in self.events(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            if (check := event.asset_check_evaluation_data)
        }

    def failures(self) -> dict[str, str]:
        """Error by step: what a failure says of itself, else the error."""
        found = {}
        for event in self.events(dg.DagsterEventType.STEP_FAILURE):
            data = event.step_failure_data
            known = data.user_failure_data
            text = known.description if known else data.error_display_string
            found[event.step_key or ""] = text or ""
        return found


@dataclass(frozen=True)
class Home:
    """A home, the history that is its source, and the instance that its runs are in."""

    folder: Path
    history: Path
    instance: dg.DagsterInstance

    def overrides(self, **settings: Any) -> dict[str, Any]:
        archive = {"folder": str(self.history)}
        return {"home": str(self.folder), "source": "archive", "archive": archive, **settings}

    def run(
        self,
        job: str,
        tags: Mapping[str, str],
        *,
        module: str = pipeline.__name__,
        **settings: Any,
    ) -> Ran:
        """Run a job in this process, or with processes of its own where its executor says so."""
        overrides = self.overrides(**settings)
        config = pipeline.run_config(load_settings(**overrides), overrides)
        if job == "personas":
            config["execution"] = {"config": {"overrides": overrides}}
        rebuilt = dg.build_reconstructable_job(module, pipeline.job_named.__name__, (job,))
        result = dg.execute_job(rebuilt, self.instance, run_config=config, tags=tags)
        return Ran(result.success, result.run_id, self.instance)

    def on(self, day: date) -> dict[str, str]:
        return {partitions.SINGLE_KEY: day.isoformat()}

    def all_buckets(self) -> dict[str, str]:
        return partitions.all_buckets_tags()

    def all_windows(self, first: date, last: date | None = None) -> dict[str, str]:
        return partitions.windows_tags(first, last or first)

    def lake(self) -> Lake:
        return Lake(self.folder / "lake", threads=1)

    def hashes(self, *names: str) -> dict[str, str]:
        """Content hash by table; of all tables where none is named."""
        with self.lake().snapshot() as now:
            return {name: now.content_hash(BY_NAME[name]) for name in names or BY_NAME}

    def persona_hashes(self) -> dict[str, str]:
        return self.hashes(*(table.name for table in PERSONA_TABLES))
