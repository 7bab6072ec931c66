"""`evaluator sim`: the simulated venue as a server of its own, for people and tests."""

from datetime import UTC, datetime

import click

from evaluator.domain.errors import InvalidArgumentError
from evaluator.settings import load_settings


@click.group()
def sim() -> None:
    """The simulated venue."""


@sim.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8750,
    show_default=True,
    help="Port to listen on; 0: a free one, which is printed.",
)
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="UTC instant that the venue shows; default: it moves with the clock.",
)
@click.option("--limits", "has_limits", is_flag=True, help="Refuse more than the published rates.")
@click.option("--control", "has_control", is_flag=True, help="Open the paths /_sim/... to tests.")
def serve(
    host: str, port: int, at: datetime | None, *, has_limits: bool, has_control: bool
) -> None:
    """Answer as the venue does, with the world of the settings `sim.*`."""
    from evaluator.venue import opening
    from evaluator.venue.sim import metering
    from evaluator.venue.sim.app import Manner, create_app
    from evaluator.venue.sim.server import serve as serve_app

    settings = load_settings(source="sim")
    instant = at.replace(tzinfo=UTC) if at else None
    app = create_app(
        opening.world(settings.sim.rules(), settings.home / "world"),
        (lambda: instant) if instant else settings.now,
        limits=metering.PUBLISHED if has_limits else None,
        manner=Manner(has_control=has_control),
    )
    try:
        serve_app(app, host=host, port=port)
    except OSError as error:
        hint = "choose another one: --port 0 takes any that is free"
        raise InvalidArgumentError("--port", port, f"cannot be used: {error}", hint) from error
