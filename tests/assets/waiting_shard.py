"""The code location with a first shard that waits for whoever kills it; the next try goes on."""

import multiprocessing
import os
import time

from evaluator.stages import personas
from evaluator_assets.pipeline import job_named

__all__ = ["job_named"]

MARK = "waiting"
work = personas.classify_buckets


def classify_buckets(now, day, buckets, *more):
    mark = now._folder.root.parent / MARK
    if 0 in buckets and not mark.exists():
        mark.with_suffix(".part").write_text(str(os.getpid()), encoding="ascii")
        mark.with_suffix(".part").rename(mark)
        time.sleep(120)
    return work(now, day, buckets, *more)


if multiprocessing.parent_process():
    personas.classify_buckets = classify_buckets
