"""Order books and price series of the CLOB."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from evaluator.domain.tables.market_data import BOOKS, PRICES
from evaluator.venue.api import endpoints, rows
from evaluator.venue.api.errors import NotFoundError, RequestRefusedError
from evaluator.venue.api.options import Options
from evaluator.venue.api.payloads import LIST, PricesHistory, reader
from evaluator.venue.api.transport import Params, Transport
from evaluator.venue.quarantine import Parsed

BOOKS_AT_ONCE = 100
"""Books asked for in one request; the host takes 500."""

LONGEST_SPAN = timedelta(days=14)
"""The most of a price series asked for at once; the host refuses spans that are too long."""

_HISTORY = reader(PricesHistory)
_NO_BATCH = frozenset({404, 405, 501})


def _any(_: endpoints.Endpoint, answer: Any) -> Any:
    return answer


@dataclass(frozen=True, slots=True)
class Clob:
    """Market data of the CLOB."""

    transport: Transport
    options: Options
    clock: Callable[[], datetime]

    async def books(self, token_ids: Sequence[str]) -> Parsed:
        """Rows of `books`; a token without a book is absent.

        In batches, or one by one where the host has no batches.
        """
        tokens = list(dict.fromkeys(token_ids))
        found = rows.Rows(BOOKS, endpoints.BOOK.name, self.clock())
        raw: list[Any] = []
        for start in range(0, len(tokens), BOOKS_AT_ONCE):
            try:
                raw += await self._batch(tokens[start : start + BOOKS_AT_ONCE])
            except RequestRefusedError as refused:
                if refused.status not in _NO_BATCH:
                    raise
                raw = [book for token in tokens for book in await self._single(token)]
                break
        return rows.books(found, raw)

    async def prices(self, token_id: str, start: datetime, end: datetime) -> Parsed:
        """Rows of `prices` in [start, end), asked for in spans that the host allows."""
        found = rows.Rows(PRICES, endpoints.PRICES_HISTORY.name, self.clock())
        first = start
        while first < end:
            last = min(first + LONGEST_SPAN, end)
            params: Params = {
                "market": token_id,
                "startTs": int(first.timestamp()),
                "endTs": int(last.timestamp()),
                "fidelity": self.options.price_fidelity_minutes,
            }
            answer = await self.transport.get_json(endpoints.PRICES_HISTORY, params, _HISTORY)
            rows.prices(found, answer.history, token_id, (start, end))
            first = last
        return rows.parsed_prices(found)

    async def _batch(self, tokens: Sequence[str]) -> list[Any]:
        body = [{"token_id": token} for token in tokens]
        return await self.transport.get_json(endpoints.BOOKS, {}, LIST, body)

    async def _single(self, token: str) -> list[Any]:
        try:
            return [await self.transport.get_json(endpoints.BOOK, {"token_id": token}, _any)]
        except NotFoundError:
            return []
