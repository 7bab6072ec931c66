"""The code location with no more than persona jobs, for runs that events ask for."""

import dagster as dg

from evaluator_assets import executors, jobs, persona_runs
from evaluator_assets.assets import personas
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([personas]),
    jobs=[jobs.personas, persona_runs.of_wallets],
    resources={"configuration": ConfigurationResource(), "lake": LakeResource(root="unset")},
    executor=executors.set_oriented,
)


def job_named(name: str) -> dg.JobDefinition:
    return defs.resolve_job_def(name)
