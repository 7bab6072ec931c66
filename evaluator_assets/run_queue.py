"""The queue's entrance: no run is without a lane, so that none can take what others reserve.

`dagster.yaml` names this class. Limits by tag do not see a run without the tag.
"""

from collections.abc import Mapping

import dagster as dg

from evaluator_assets import lanes

FROM_UI = "dagster/from_ui"
BACKFILL = "dagster/backfill"


class LaneCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue; a run that enters it gets the lane it lacks, and that lane's priority."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Tag the run and let it wait."""
        given = context.dagster_run
        context.workspace.instance.add_run_tags(given.run_id, lane_tags(given.tags))
        return super().submit_run(context)


def lane_tags(given: Mapping[str, str]) -> dict[str, str]:
    """Lane and priority of a run with these tags.

    A backfill goes to the background, whatever its job says: it makes many runs. What a person
    launches is normal, anything else without a known lane is background.
    """
    known = given.get(lanes.TAG)
    if BACKFILL in given:
        return lanes.tags(lanes.BACKGROUND)
    if known in lanes.PRIORITIES:
        priority = given.get(lanes.PRIORITY, str(lanes.PRIORITIES[known]))
        return {lanes.TAG: known, lanes.PRIORITY: priority}
    return lanes.tags(lanes.NORMAL if FROM_UI in given else lanes.BACKGROUND)
