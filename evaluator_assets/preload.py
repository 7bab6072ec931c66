"""Loaded once by the server that forks the processes of steps, so that none loads it again.

Opening an instance imports the storage; imports of its own would name private modules.
"""

import tempfile

import dagster as dg

with (
    tempfile.TemporaryDirectory() as _folder,
    dg.DagsterInstance.local_temp(
        _folder, overrides={"telemetry": {"enabled": False}}
    ) as _instance,
):
    _instance.get_runs_count()
