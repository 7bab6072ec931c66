"""Where steps run: in the process of their run, or each in a process of its own."""

import multiprocessing
from collections.abc import Mapping
from multiprocessing import forkserver
from typing import Any

import dagster as dg

from evaluator.settings import load_settings
from evaluator_assets import serial

PRELOADED = (
    "dagster",
    "polars",
    "duckdb",
    "evaluator_assets.preload",
    "evaluator_assets.definitions",
)
"""What the server that forks the processes has loaded: a step then takes 0.4 CPU seconds."""

set_oriented = dg.in_process_executor
"""One pass over all wallets needs no second process. Also what the UI's own launches get."""


@dg.executor(
    name="shards",
    config_schema={"overrides": dg.Field(dict, default_value={})},
    requirements=dg.multiple_process_executor_requirements(),
)
def shards(init: dg.InitExecutorContext) -> dg.Executor:
    """A process per step where shards help; else one process for all, which starts sooner.

    `overrides` are those of the run's configuration.
    """
    settings = load_settings(**_overrides(init))
    with settings.open_lake().snapshot() as now:
        wanted = serial.shard_count("", now, settings.personas)
    if wanted.count == 1:
        return _made(dg.in_process_executor, init, {"retries": {"enabled": {}}})
    config = {
        "retries": {"enabled": {}},
        "max_concurrent": 0,
        "start_method": {serial.START_METHOD: {"preload_modules": list(PRELOADED)}},
    }
    return _made(dg.multiprocess_executor, init, config)


def warm_up() -> None:
    """Start the server that forks the processes, while something else is computed."""
    multiprocessing.get_context(serial.START_METHOD).set_forkserver_preload(list(PRELOADED))
    forkserver.ensure_running()


def _overrides(init: dg.InitExecutorContext) -> dict[str, Any]:
    given = init.executor_config["overrides"]
    return dict(given) if isinstance(given, Mapping) else {}


def _made(
    definition: dg.ExecutorDefinition, init: dg.InitExecutorContext, config: dict[str, object]
) -> dg.Executor:
    create = definition.executor_creation_fn
    if create is None:
        raise AssertionError
    return create(
        dg.InitExecutorContext(
            job=init.job,
            executor_def=definition,
            executor_config=config,
            instance=init.instance,
        )
    )
