"""The code location with a wallet that cannot be judged: the known bot of the run's settings.

Processes of steps import this; the test's own process stays as it is.
"""

import multiprocessing

from evaluator.domain import ids
from evaluator.stages import personas
from evaluator_assets.pipeline import job_named

__all__ = ["job_named"]

judge = personas.classify


def classify(rows, rules):
    wallet = ids.surrogate(rules.known_bots[0])
    if wallet in rows["proxy_wallet"].to_list():
        raise ValueError("planted")
    return judge(rows, rules)


if multiprocessing.parent_process():
    personas.classify = classify
