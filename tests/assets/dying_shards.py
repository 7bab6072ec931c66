"""The code location with shards whose processes die every time."""

import multiprocessing
import os
import signal

from evaluator.stages import personas
from evaluator_assets.pipeline import job_named

__all__ = ["job_named"]


def classify_buckets(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


if multiprocessing.parent_process():
    personas.classify_buckets = classify_buckets
