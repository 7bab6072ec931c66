"""The commands `evaluator events …`: what was told, and telling it again.

Subscribers are sensors: what is logged again is handled by the daemon of `dagster dev`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from evaluator.cli.shared import as_json, instance_of, newest_tables
from evaluator.domain.errors import InvalidArgumentError
from evaluator.reports.places import NoDataError
from evaluator.settings import load_settings
from evaluator.terminal import output

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from evaluator.stages.dead_letters import Letter
    from evaluator_assets.event_log import Logged
    from evaluator_assets.replays import Wanted

_SHOWN_EVENTS = 20
_SHOWN_CHARACTERS = 60


class Instant(click.ParamType[datetime]):
    """A UTC instant."""

    name = "instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read a day, or an instant in ISO 8601; without an offset it is UTC."""
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an instant like 2025-05-08T14:00", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


of_type = click.option("--type", "kind", metavar="TYPE", help="One type, e.g. TradesIngested.")
from_instant = click.option(
    "--from", "since", type=Instant(), help="First instant, or day, in UTC."
)
to_instant = click.option("--to", "until", type=Instant(), help="The instant after the last.")


@click.group()
def events() -> None:
    """What the tables told their subscribers, and telling it again."""


@events.command(name="list")
@of_type
@from_instant
@to_instant
@click.option("--limit", type=click.IntRange(1), default=_SHOWN_EVENTS, help="Events to show.")
@as_json
def show_list(
    kind: str | None, since: datetime | None, until: datetime | None, limit: int, *, is_json: bool
) -> None:
    """The newest events, malformed ones included."""
    with _instance() as instance:
        from evaluator_assets import replays

        found = replays.listed(instance, _wanted(kind, since, until), limit)
    _show_events(found, is_json=is_json)


@events.command()
@of_type
@from_instant
@to_instant
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only say which events.")
@as_json
def replay(
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    is_dry_run: bool,
    is_json: bool,
) -> None:
    """Tell past events again: subscribers do their work once more, to the same effect."""
    with _instance() as instance:
        from evaluator_assets import replays

        wanted = _wanted(kind, since, until)
        found = replays.replay(instance, wanted, is_dry_run=is_dry_run)
    _show_events(found, is_json=is_json)
    if not is_json:
        done = "would be told" if is_dry_run else "are told"
        output.say(f"{len(found)} events {done} again")


@events.command()
@click.argument("event_id", nargs=-1)
@as_json
def retry(event_id: tuple[str, ...], *, is_json: bool) -> None:
    """Tell dead letters again, those named or all, to the subscriber that gave them up."""
    with newest_tables(), _instance() as instance:
        from evaluator_assets import replays

        found = replays.retry(instance, load_settings().open_lake(), event_id)
    rows = [_letter(each) for each in found]
    if is_json:
        output.print_json(rows)
        return
    if rows:
        output.print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    output.say(f"{len(rows)} dead letters are told again")


@contextmanager
def _instance() -> Iterator["DagsterInstance"]:
    """The instance whose log holds the events; raises NoDataError where there is none."""
    settings = load_settings()
    with instance_of(settings) as instance:
        if instance is None:
            raise NoDataError(settings.home)
        yield instance


def _wanted(kind: str | None, since: datetime | None, until: datetime | None) -> "Wanted":
    from evaluator_assets.events import KINDS
    from evaluator_assets.replays import Wanted

    if kind is not None and kind not in KINDS:
        raise InvalidArgumentError("--type", kind, "is no event", f"there are {', '.join(KINDS)}")
    return Wanted(kind, since, until)


def _show_events(found: list["Logged"], *, is_json: bool) -> None:
    rows = [_event(each) for each in found]
    if is_json:
        output.print_json(rows)
    elif rows:
        for row in rows:
            row["payload"] = _short(row["payload"])
        output.print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        output.say("no event")


def _event(logged: "Logged") -> dict[str, Any]:
    return {
        "event_id": logged.event_id,
        "logged_at": logged.at,
        "type": logged.kind,
        "asset": logged.asset,
        "run_id": logged.run_id,
        "replay_of": logged.replay_of or None,
        "payload": logged.payload,
    }


def _letter(letter: "Letter") -> dict[str, Any]:
    return {
        "event_id": letter.event_id,
        "subscriber": letter.subscriber,
        "type": letter.event_type,
        "attempts": letter.attempts,
        "error": letter.error,
    }


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
