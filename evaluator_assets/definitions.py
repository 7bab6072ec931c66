"""The code location: everything that Dagster shows and runs."""

import dagster as dg

from evaluator.settings import load_settings
from evaluator_assets import checks, executors, jobs, schedules
from evaluator_assets.assets import (
    discovery,
    features,
    ledger,
    market_data,
    on_demand,
    personas,
    scores,
    serving,
    validation,
)
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from sensors.bootstrap import bootstrap
from sensors.final_scoring import final_scoring
from sensors.ledger_after_discovery import ledger_after_discovery
from sensors.new_wallets import new_wallets
from sensors.on_demand_prune import on_demand_prune
from sensors.personas_after_scoring import personas_after_scoring
from sensors.personas_of_ingested import personas_of_ingested
from sensors.personas_on_demand import personas_on_demand
from sensors.published_catalog import published_catalog
from sensors.serial_fallback import serial_fallback

ASSETS = dg.load_assets_from_modules(
    [discovery, market_data, ledger, features, on_demand, scores, personas, serving, validation]
)

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=checks.ALL,
    jobs=[*jobs.OF_ASSETS, jobs.maintenance, jobs.folding],
    schedules=schedules.ALL,
    sensors=[
        bootstrap,
        final_scoring,
        ledger_after_discovery,
        new_wallets,
        on_demand_prune,
        personas_after_scoring,
        personas_of_ingested,
        personas_on_demand,
        published_catalog,
        serial_fallback,
    ],
    resources={
        "configuration": ConfigurationResource(),
        "lake": LakeResource.of(load_settings()),
    },
    executor=executors.set_oriented,
)
