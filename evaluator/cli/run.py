"""`evaluator run`: everything for one day, through the Dagster jobs."""

import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaluator import home as homes
from evaluator.cli.shared import DEFAULT_WINDOW, as_json
from evaluator.domain.errors import InvalidArgumentError
from evaluator.reports import new_wallets, ranking, summary
from evaluator.reports import personas as persona_reports
from evaluator.settings import Settings, config_hash, load_settings
from evaluator.terminal import answers, output, problems, progress
from evaluator.terminal.parameters import Day, Days

if TYPE_CHECKING:
    from evaluator.store.snapshot import Snapshot
    from evaluator_assets.pipeline import PipelineResult

_RANKS_AFTER_A_RUN = 10
_NEW_WALLETS_AFTER_A_RUN = 3


@click.command()
@click.option(
    "--source",
    type=click.Choice(["demo", "sim", "live", "archive"]),
    help="Where history comes from; default: the setting `source`.",
)
@click.option("--archive", metavar="DIR", help="Folder of Parquet files of real history.")
@click.option("--as-of", "day", type=Day(), help="UTC day; default: the last of the source.")
@click.option("--windows", type=Days(), help="Some of the windows, e.g. 7,30,90.")
@click.option("--serial", "is_serial", is_flag=True, help="Personas in one process.")
@as_json
def run(
    source: str | None,
    archive: str | None,
    day: date | None,
    windows: tuple[int, ...] | None,
    *,
    is_serial: bool,
    is_json: bool,
) -> int:
    """Compute everything for one day, through the Dagster jobs."""
    start = time.monotonic()
    settings = _at(_settings_of_run(source, archive), day)
    chosen = _chosen_windows(windows, settings)
    on = _day_of(settings, day)
    if aside := settings.claim_home():
        sys.stderr.write(f"The invented tables that were here are now in {aside}\n")
    result = _pipeline(settings, on, chosen, is_serial=is_serial)
    failed = {each.name: each.error for each in result.assets if not each.is_materialized}
    with settings.open_lake().snapshot() as now:
        if is_json:
            found = _summary(now, settings, result, chosen)
            output.print_json(found | {"seconds": round(time.monotonic() - start, 2)})
        elif not failed:
            _conclusion(now, on, chosen)
    for note in (*(f"check {name} failed" for name in result.failed_checks), *result.notes):
        sys.stderr.write(f"note: {note}\n")
    for name, problem in failed.items():
        message, _, hint = problem.partition("\nhint: ")
        problems.show_lines(f"asset {name}: {message}", hint or "make dev shows the log of the run")
    return 1 if failed else 0


def _settings_of_run(source: str | None, archive: str | None) -> Settings:
    """A folder given by --archive means the source archive."""
    overrides: dict[str, Any] = {}
    if archive is not None:
        folder = Path(archive).expanduser().absolute()
        if source not in {None, "archive"}:
            hint = "leave --source out, or say --source archive"
            raise InvalidArgumentError("--source", source, "reads no archive", hint)
        if not folder.is_dir():
            raise InvalidArgumentError("--archive", archive, "is not a folder", "check the path")
        overrides = {"source": "archive", "archive": {"folder": str(folder)}}
    elif source is not None:
        overrides = {"source": source}
    settings = load_settings(**overrides)
    if settings.source == "archive" and settings.archive.folder is None:
        hint = "name the folder: --archive DIR"
        raise InvalidArgumentError("--source", "archive", "needs a folder", hint)
    return settings


def _chosen_windows(windows: tuple[int, ...] | None, settings: Settings) -> tuple[int, ...]:
    if windows and (unknown := sorted(set(windows) - set(settings.windows))):
        known = ", ".join(map(str, settings.windows))
        raise InvalidArgumentError("--windows", unknown[0], "is no window", f"there are {known}")
    return windows or settings.windows


def _at(settings: Settings, day: date | None) -> Settings:
    """The settings under which a past day is the present; only a simulated venue has that."""
    today = settings.now().date()
    if day is None or settings.is_frozen or day == today:
        return settings
    if day > today:
        hint = f"the last day is {today}, in UTC"
        raise InvalidArgumentError("--as-of", day.isoformat(), "has not come yet", hint)
    if settings.source == "live":
        hint = "leave --as-of out; past days are scored by a backfill, from fills already read"
        problem = "is past: a live venue can be searched for wallets only as it is now"
        raise InvalidArgumentError("--as-of", day.isoformat(), problem, hint)
    first = settings.sim.first_instant().date()
    if day < first:
        hint = f"its first day is {first}; sim.start changes that"
        raise InvalidArgumentError("--as-of", day.isoformat(), "is before the world began", hint)
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    sim = settings.sim.model_copy(update={"now": end})
    return settings.model_copy(update={"sim": sim})


def _day_of(settings: Settings, day: date | None) -> date:
    """The day asked for, else the last one of the source.

    A source that is new to the home is read here, before anything makes room for it.
    """
    today = datetime.now(UTC).date()
    if day and day > today:
        hint = f"the last day is {today}, in UTC"
        raise InvalidArgumentError("--as-of", day.isoformat(), "has not come yet", hint)
    if day and homes.noted(settings.home).get("source") == settings.source:
        return day
    with progress.announced(f"Reading {_named(settings)}"):
        last = settings.open_source().last_day()
    return day or last


def _named(settings: Settings) -> str:
    if not settings.is_frozen:
        return f"the venue of the source {settings.source}"
    folder = settings.archive.folder if settings.source == "archive" else settings.history_folder
    return f"{settings.source} history in {folder}"


def _pipeline(
    settings: Settings, day: date, windows: tuple[int, ...], *, is_serial: bool
) -> "PipelineResult":
    with progress.announced("Starting Dagster"):
        from evaluator_assets.pipeline import PipelineRequest, run_pipeline
    request = PipelineRequest(settings, day, windows, is_serial=is_serial)
    with progress.shown() as show:
        return run_pipeline(request, show)


def _summary(
    now: "Snapshot", settings: Settings, result: "PipelineResult", windows: tuple[int, ...]
) -> dict[str, Any]:
    judged = any(each.name == "wallet_personas" and each.is_materialized for each in result.assets)
    return {
        "source": settings.source,
        "day": result.day,
        "windows": windows,
        "is_complete": result.is_complete,
        "config_hash": config_hash(settings),
        "commit_id": now.commit_id,
        "tables": summary.tables_summary(now),
        "funnel": summary.funnel_summary(now, result.day) if judged else None,
        "stage_seconds": {each.name: each.seconds for each in result.assets},
        "run_seconds": result.run_seconds,
        "assets": {each.name: {"status": each.status, "rows": each.rows, "error": each.error}
                   for each in result.assets},
        "failed_checks": result.failed_checks,
        "notes": result.notes,
        "run_ids": result.run_ids,
    }  # fmt: skip


def _conclusion(now: "Snapshot", day: date, windows: tuple[int, ...]) -> None:
    """The ranking, the funnel, and where to look next."""
    window = DEFAULT_WINDOW if DEFAULT_WINDOW in windows else windows[-1]
    best = ranking.ranking(now, window, _RANKS_AFTER_A_RUN, day)
    answers.ranking(best)
    output.say()
    answers.funnel(persona_reports.funnel(now, day))
    if found := new_wallets.new_wallets(now, _NEW_WALLETS_AFTER_A_RUN):
        output.say()
        answers.new_wallets(found)
    first = best.rows["proxy_wallet"].item(0) if best.rows.height else "ADDRESS"
    name = Path(sys.argv[0])
    program = "evaluator" if name.name == "__main__.py" else name
    output.say("\nNext")
    for command, what in (
        (f"{program} wallet {first}", "why it ranks where it does"),
        (f"{program} sql 'FROM closed_lots LIMIT 5'", "any question, in SQL"),
        ("make dev", "lineage, plots, backfills and schedules in the browser"),
    ):
        output.say(f"  {command}\n      {what}")
