"""Holders and leaderboard of the Data API, in both of its versions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from evaluator.domain.tables.discovery import HOLDERS, LEADERBOARD
from evaluator.venue.api import endpoints, rows
from evaluator.venue.api.errors import RequestRefusedError
from evaluator.venue.api.feeds import checked_market
from evaluator.venue.api.options import Options
from evaluator.venue.api.payloads import LIST, Unpaged, page, reader
from evaluator.venue.api.transport import Params, Transport
from evaluator.venue.quarantine import Parsed

V1_BOARD_ROWS = 50
"""The most rows of the leaderboard on a page of version 1."""

_UNPAGED = reader(Unpaged)


@dataclass(frozen=True, slots=True)
class Boards:
    """Who holds most of a market, and who made most."""

    transport: Transport
    options: Options
    clock: Callable[[], datetime]

    async def holders(self, day: date, condition_id: str) -> Parsed:
        """Rows of `holders`: the largest of every token, as many as the options say."""
        market, limit = checked_market(condition_id), self.options.holders_per_token
        if self._is_v2:
            endpoint = endpoints.HOLDERS_V2
            params: Params = {"condition": market, "limit": limit}
            answer = await self.transport.get_json(endpoint, params, _UNPAGED)
            raw = answer.data or []
        else:
            endpoint = endpoints.HOLDERS_V1
            raw = await self.transport.get_json(endpoint, {"market": market, "limit": limit}, LIST)
        return rows.holders(rows.Rows(HOLDERS, endpoint.name, self.clock()), raw, day)

    async def leaderboard(self, day: date, category: str, period: str) -> Parsed:
        """Rows of `leaderboard`: the first of the board of PnL, as many as the options say."""
        endpoint = endpoints.LEADERBOARD_V2 if self._is_v2 else endpoints.LEADERBOARD_V1
        ask = self._board_v2 if self._is_v2 else self._board_v1
        raw = await ask(category, period)
        found = rows.Rows(LEADERBOARD, endpoint.name, self.clock())
        return rows.leaderboard(found, raw, rows.Board(day, category, period))

    @property
    def _is_v2(self) -> bool:
        return self.options.dialect == "v2"

    async def _board_v2(self, category: str, period: str) -> list[Any]:
        """Rows of the board by cursor, which pins the board and needs no other parameter."""
        params: Params = {
            "category": category.lower(),
            "time_period": period.lower(),
            "sort_by": "PNL",
            "limit": self.options.leaderboard_rows,
        }
        raw: list[Any] = []
        followed: set[str] = set()
        while len(raw) < self.options.leaderboard_rows:
            answer = await self.transport.get_json(endpoints.LEADERBOARD_V2, params, page)
            raw += answer.rows
            if answer.cursor is None or answer.cursor in followed:
                break
            followed.add(answer.cursor)
            params = {"cursor": answer.cursor}
        return raw[: self.options.leaderboard_rows]

    async def _board_v1(self, category: str, period: str) -> list[Any]:
        """Rows of the board by offset; one shown again, as others moved up, is no further row."""
        asked: Params = {
            "category": category.upper(),
            "timePeriod": period.upper(),
            "orderBy": "PNL",
        }
        raw: dict[str, Any] = {}
        offset = 0
        while len(raw) < self.options.leaderboard_rows:
            limit = min(V1_BOARD_ROWS, self.options.leaderboard_rows - len(raw))
            params: Params = {**asked, "limit": limit, "offset": offset}
            try:
                found = await self.transport.get_json(endpoints.LEADERBOARD_V1, params, LIST)
            except RequestRefusedError:
                if offset == 0:
                    raise
                break
            known_count = len(raw)
            raw |= {json.dumps(row, sort_keys=True): row for row in found}
            if len(found) < limit or len(raw) == known_count:
                break
            offset += len(found)
        return list(raw.values())
