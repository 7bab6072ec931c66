"""A code location for the queue: jobs that end at once, one of which nobody gave a lane."""

import dagster as dg

from evaluator_assets import lanes


@dg.op
def nothing() -> None:
    """Nothing."""


@dg.job(tags=lanes.tags(lanes.FAST))
def urgent():
    nothing()


@dg.job(tags=lanes.tags(lanes.BACKGROUND))
def slow():
    nothing()


@dg.job
def untagged():
    nothing()


@dg.asset
def heavy() -> None:
    """What a person materialises by its button."""


defs = dg.Definitions(
    assets=[heavy], jobs=[urgent, slow, untagged], executor=dg.in_process_executor
)
