"""The simulated venue as one ASGI application: all three hosts under one base URL.

It tells what the world did until its clock's instant, and never what the world's agents are.
"""

import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from evaluator.venue.sim import (
    answers_clob,
    answers_gamma,
    answers_v1,
    answers_v2,
    answers_v2_boards,
)
from evaluator.venue.sim.ask import Ask, Caps, PageFaults
from evaluator.venue.sim.clock import Clock
from evaluator.venue.sim.faults import PAGE_FAULTS, FaultInjection, Faults, Plan
from evaluator.venue.sim.metering import Meter, Metering
from evaluator.venue.sim.parameters import BAD_REQUEST, UNPROCESSABLE, Query, RefusedError
from evaluator.venue.sim.past import Place, Timeline

_LARGEST_BODY = 1_000_000


@dataclass(frozen=True, slots=True)
class _Path:
    """One path: who answers it, how its parameters are spelt, what a refusal's status is."""

    path: str
    answer: Callable[[Ask], Any]
    is_snake: bool = False
    status: int = BAD_REQUEST
    method: str = "GET"


PATHS = (
    _Path("/v2/trades", answers_v2.trades, is_snake=True),
    _Path("/v2/activity", answers_v2.activity, is_snake=True),
    _Path("/v2/positions", answers_v2.wallet_positions, is_snake=True),
    _Path("/v2/holders", answers_v2_boards.holders, is_snake=True),
    _Path("/v2/leaderboard", answers_v2_boards.leaderboard, is_snake=True),
    _Path("/trades", answers_v1.trades),
    _Path("/activity", answers_v1.activity),
    _Path("/positions", answers_v1.wallet_positions),
    _Path("/closed-positions", answers_v1.closed_positions),
    _Path("/holders", answers_v1.holders),
    _Path("/v1/leaderboard", answers_v1.leaderboard),
    _Path("/markets", answers_gamma.markets, status=UNPROCESSABLE),
    _Path("/markets/keyset", answers_gamma.markets_keyset, status=UNPROCESSABLE),
    _Path("/events", answers_gamma.events, status=UNPROCESSABLE),
    _Path("/comments", answers_gamma.comments, status=UNPROCESSABLE),
    _Path("/book", answers_clob.book),
    _Path("/books", answers_clob.books, method="POST"),
    _Path("/midpoint", answers_clob.midpoint),
    _Path("/prices-history", answers_clob.prices_history),
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a venue answers, beside its world and clock.

    `step` is how much of history is read at once; `has_control` opens
    `/_sim/faults`, `/_sim/befallen`, `/_sim/requests` and `/_sim/clock` to tests of other
    processes.
    """

    caps: Caps = field(default_factory=Caps)
    step: timedelta = timedelta(hours=6)
    has_control: bool = False


def create_app(
    world: Place,
    clock: Clock,
    *,
    faults: Faults | None = None,
    limits: Mapping[str, int] | None = None,
    manner: Manner | None = None,
) -> Starlette:
    """The venue of a world at the time of a clock.

    `limits` are requests per 10 seconds by group, as `metering.PUBLISHED`; beyond them it
    answers 429. The history until now is read before this returns.
    """
    how = manner or Manner()
    plan, meter = Plan(faults), Meter(limits)
    timeline = Timeline(world, clock, step=how.step)
    timeline.present()
    desk = _Desk(timeline, how.caps)
    routes = [Route(path.path, desk.endpoint(path), methods=[path.method]) for path in PATHS]
    if how.has_control:
        routes += _control(plan, meter, clock)
    return Starlette(
        routes=routes,
        middleware=[Middleware(Metering, meter=meter), Middleware(FaultInjection, plan=plan)],
        exception_handlers={RefusedError: _refused, HTTPException: _http_error},
    )


class _Desk:
    """Answers questions one after the other, whichever thread's event loop they come from."""

    def __init__(self, timeline: Timeline, caps: Caps) -> None:
        self._timeline, self._caps = timeline, caps
        self._lock = threading.Lock()

    def endpoint(self, path: _Path) -> Callable[[Request], Awaitable[Response]]:
        """The handler of one path."""

        async def handle(request: Request) -> Response:
            query = Query(request.query_params, is_snake=path.is_snake, status=path.status)
            body = await _body(request) if path.method == "POST" else None
            faults = request.scope.get(PAGE_FAULTS, PageFaults())
            with self._lock:
                ask = Ask(self._timeline.present(), query, self._caps, faults, body)
                return _json(path.answer(ask))

        return handle


async def _body(request: Request) -> Any:
    """The JSON that was posted."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _LARGEST_BODY:
            raise RefusedError("Payload exceeds the limit")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise RefusedError("Invalid payload") from None


def _json(answer: Any) -> Response:
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return JSONResponse({"error": error.said}, error.status)


async def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code)


def _control(plan: Plan, meter: Meter, clock: Clock) -> list[Route]:
    """Paths by which the tests of other processes steer and look."""

    async def requests(request: Request) -> Response:
        report = meter.report()
        if request.method == "DELETE":
            meter.forget()
        return JSONResponse(report)

    async def instant(_: Request) -> Response:
        return JSONResponse({"now": clock().isoformat()})

    return [
        *_fault_control(plan),
        Route("/_sim/requests", requests, methods=["GET", "DELETE"]),
        Route("/_sim/clock", instant),
    ]


def _fault_control(plan: Plan) -> list[Route]:
    """The faults in force, and how many requests each has befallen."""

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            plan.faults = None
        if request.method == "PUT":
            try:
                plan.faults = Faults.of(await _body(request))
            except ValueError as error:
                raise RefusedError(str(error)) from None
        return JSONResponse(None if plan.faults is None else asdict(plan.faults))

    async def befallen(_: Request) -> Response:
        return JSONResponse(plan.befallen)

    return [
        Route("/_sim/faults", faults, methods=["GET", "PUT", "DELETE"]),
        Route("/_sim/befallen", befallen),
    ]
