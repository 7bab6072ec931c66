"""Events in the log of an instance, without the runs that would have logged them."""

from typing import Any

import dagster as dg

from evaluator_assets.events import KEY, AnyEvent, emitted


def address(number: int) -> str:
    return f"0x{number:040x}"


def log(instance: dg.DagsterInstance, event: AnyEvent) -> None:
    """As a materialisation of the first asset that emits it."""
    asset = type(event).emitted_by[0]
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=emitted(event)))


def log_raw(instance: dg.DagsterInstance, asset: str, raw: Any) -> None:
    """Whatever it is, in the place of events."""
    metadata = {KEY: dg.MetadataValue.json(raw)}
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=metadata))
