"""A host that gives recorded answers of the real venue, page by page, and fails when told to."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evaluator.venue.sim.ask import PageFaults
from evaluator.venue.sim.faults import PAGE_FAULTS, FaultInjection, Plan
from tests.venue.api import test_recorded
from tests.venue.api.test_recorded import trades_among

HISTORIES = {
    "0x4f3456c5b05b14d8afc40e0299d6d68de0ff7d7e": "data-api_activity_0x4f34_500.json.gz",
    "0x6a72f61820b26b1fe4d956e17b6dc2a1ea3033ee": "data-api_activity_0x6a72.json",
    "0x09b428f7c2b469786286214aa5c90dd9015f7320": "data-api_activity_all-types_0x09b4_50.json",
}
"""Files of activity, trades included, by wallet."""

POSITIONS = ("data-api_positions_0x09b4.json", "data-api_positions_0x6a72.json")
CLOSED = "data-api_closed-positions_0x6a72.json"
BOARD = "data-api_v1_leaderboard_50.json"
MARKETS = "gamma_markets_300closed_300open_2026-02.json.gz"

LONGEST_PAGE = 60

Rows = list[dict[str, Any]]


@cache
def recorded(name: str) -> Rows:
    return test_recorded.recorded(name)


def movements(wallet: str | None) -> Rows:
    rows = recorded(HISTORIES[wallet]) if wallet in HISTORIES else []
    return [row for row in rows if row["type"] != "TRADE"]


def trades(wallet: str | None) -> Rows:
    return trades_among(recorded(HISTORIES[wallet])) if wallet in HISTORIES else []


def positions(names: Iterable[str], wallet: str | None) -> Rows:
    return [row for name in names for row in recorded(name) if row["proxyWallet"] == wallet]


def board() -> Rows:
    """Three pages in the shape of the recorded one, a wallet to a rank."""
    told = recorded(BOARD)
    return [told[rank % len(told)] | {"rank": str(rank), "proxyWallet": f"0x{rank:040x}"}
            for rank in range(1, 3 * len(told) + 1)]  # fmt: skip


def within(request: Request, rows: Rows) -> Rows:
    """Newest first, from `start` to `end`, of the kinds asked for."""
    asked = request.query_params
    first, last = int(asked.get("start", "0")), int(asked.get("end", "9999999999"))
    kinds = asked["type"].split(",") if "type" in asked else None
    chosen = [row for row in rows if first <= row["timestamp"] <= last
              and (kinds is None or row["type"] in kinds)]  # fmt: skip
    return sorted(chosen, key=lambda row: row["timestamp"], reverse=True)


def listed(request: Request) -> Rows:
    """Markets, open or closed, by id where ids are named."""
    asked = request.query_params
    ids, is_closed = asked.getlist("condition_ids"), asked.get("closed") == "true"
    rows = [row for row in recorded(MARKETS) if row["closed"] is is_closed]
    return [row for row in rows if row["conditionId"].lower() in ids] if ids else rows


def page(request: Request, rows: Rows, longest: int) -> JSONResponse:
    """A page of the rows; shifted and shuffled where a fault says so, as the simulation does."""
    faults: PageFaults = request.scope.get(PAGE_FAULTS, PageFaults())
    limit = min(longest, int(request.query_params.get("limit", longest)))
    offset = int(request.query_params.get("offset", "0"))
    first = max(0, offset - min(faults.shift, limit - 1))
    shown = rows[first : first + limit]
    if faults.shuffle is not None:
        faults.shuffle.shuffle(shown)
    return JSONResponse(shown)


def host(plan: Plan) -> Starlette:
    """Version 1 of the Data API and Gamma, as far as they were recorded."""

    def of(
        read: Callable[[Request], Rows], longest: int = LONGEST_PAGE
    ) -> Callable[[Request], JSONResponse]:
        return lambda request: page(request, read(request), longest)

    def user(request: Request) -> str | None:
        return request.query_params.get("user")

    paths: dict[str, Callable[[Request], JSONResponse]] = {
        "/trades": of(lambda asked: within(asked, trades(user(asked)))),
        "/activity": of(lambda asked: within(asked, movements(user(asked)))),
        "/positions": of(lambda asked: positions(POSITIONS, user(asked))),
        "/closed-positions": of(lambda asked: positions([CLOSED], user(asked))),
        "/v1/leaderboard": of(lambda _: board(), longest=50),
        "/markets": of(listed),
    }
    routes = [Route(path, answer) for path, answer in paths.items()]
    return Starlette(routes=routes, middleware=[Middleware(FaultInjection, plan=plan)])
