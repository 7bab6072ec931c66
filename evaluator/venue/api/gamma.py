"""Markets and comments of the Gamma API."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from evaluator.domain.tables.market_data import COMMENTS
from evaluator.venue.api import endpoints, reading, rows
from evaluator.venue.api.errors import PagingError, RequestRefusedError
from evaluator.venue.api.options import Options
from evaluator.venue.api.paging import PageSizes
from evaluator.venue.api.payloads import LIST, Event, Keyset, reader
from evaluator.venue.api.transport import Params, Transport
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import MarketFilter

PAGE_ROWS = 100
"""The most markets or comments on a page, whatever is asked for."""

CONDITIONS_AT_ONCE = 50
"""Markets asked for by id in one request; more would make its address too long."""

_KEYSET = reader(Keyset)
_EVENTS = reader(list[Event])


@dataclass(frozen=True, slots=True)
class Gamma:
    """The listings of the Gamma API."""

    transport: Transport
    options: Options
    clock: Callable[[], datetime]
    sizes: PageSizes = field(default_factory=PageSizes)

    async def open_markets(self, day: date, wanted: MarketFilter) -> Parsed:
        """Rows of `markets` that are open and pass the filter.

        By offset, oldest id first so that new markets shift no page; by key from the beginning
        where the host refuses a later offset, or repeats itself.
        """
        params: dict[str, str | float | bool] = {"closed": False, "include_tag": True}
        params |= _filter(wanted)
        pages = await self._by_offset(params)
        if pages is None:
            pages = await self._by_key(params)
        return self._markets(pages, day)

    async def markets(self, day: date, condition_ids: Sequence[str]) -> Parsed:
        """Rows of `markets` by id; Gamma hides closed ones unless it is asked for them."""
        pages: list[list[Any]] = []
        for chunk in _chunks(sorted({one.lower() for one in condition_ids}), CONDITIONS_AT_ONCE):
            pages += await self._all_by_id(chunk)
        return self._markets(pages, day)

    async def comments(self, event_slug: str, since: datetime | None) -> Parsed:
        """Rows of `comments` on an event; none where the host does not know it."""
        params: Params = {"slug": event_slug, "limit": 1}
        events = await self.transport.get_json(endpoints.EVENTS, params, _EVENTS)
        found = rows.Rows(COMMENTS, endpoints.COMMENTS.name, self.clock())
        for event in events:
            if event.slug == event_slug:
                about = rows.discussed(event_slug, event.markets or ())
                await self._comments_on(event, about, found, since)
        return rows.parsed_comments(found)

    async def _comments_on(
        self, event: Event, about: rows.Discussed, found: rows.Rows, since: datetime | None
    ) -> None:
        """Read an event's comments, newest first, down to `since` or to the host's cap."""
        asked = {"parent_entity_type": "Event", "parent_entity_id": event.id}
        order: Params = {"order": "createdAt", "ascending": False, "limit": PAGE_ROWS}
        offset = 0
        for _ in range(self.options.max_listing_pages):
            params: Params = {**asked, **order, "offset": offset}
            try:
                raw = await self.transport.get_json(endpoints.COMMENTS, params, LIST)
            except RequestRefusedError:
                if offset == 0:
                    raise
                return
            oldest = rows.comments(found, raw, about, since)
            is_past = since is not None and oldest is not None and oldest < since
            if is_past or self.sizes.is_last(endpoints.COMMENTS.name, len(raw)):
                return
            offset += len(raw)
        raise PagingError(endpoints.COMMENTS.name, "comments that do not end")

    async def _by_offset(self, params: Params) -> list[list[Any]] | None:
        """All pages by offset; None where that does not reach the end of the listing."""
        pages: list[list[Any]] = []
        seen: set[str] = set()
        order: Params = {"order": "id", "ascending": True, "limit": PAGE_ROWS}
        for _ in range(self.options.max_listing_pages):
            offset = sum(map(len, pages))
            try:
                raw = await self._list({**params, **order, "offset": offset})
            except RequestRefusedError:
                if offset == 0:
                    raise
                return None
            if self.sizes.is_last(endpoints.MARKETS.name, len(raw)):
                return [*pages, raw]
            if _ids(raw) <= seen:
                return None
            seen |= _ids(raw)
            pages.append(raw)
        return None

    async def _by_key(self, params: Params) -> list[list[Any]]:
        """All pages by key; raises PagingError where they do not end."""
        pages: list[list[Any]] = []
        followed: set[str] = set()
        place: dict[str, str | int] = {"limit": PAGE_ROWS}
        while len(pages) < self.options.max_listing_pages:
            asked = {**params, **place}
            page = await self.transport.get_json(endpoints.MARKETS_KEYSET, asked, _KEYSET)
            pages.append(page.markets)
            if not page.next_cursor:
                return pages
            if page.next_cursor in followed:
                break
            followed.add(page.next_cursor)
            place["after_cursor"] = page.next_cursor
        raise PagingError(endpoints.MARKETS_KEYSET.name, "the listing does not advance")

    async def _all_by_id(self, ids: Sequence[str]) -> list[list[Any]]:
        """Open and closed markets of these ids.

        A host may give fewer rows than asked for: the rest is asked again while any of it comes.
        """
        pages: list[list[Any]] = []
        left, known_count = list(ids), -1
        while left and known_count < len(ids) - len(left):
            known_count = len(ids) - len(left)
            for is_closed in (False, True):
                found = await self._by_id(left, is_closed=is_closed) if left else []
                left = sorted(set(left) - _ids(found))
                pages.append(found)
        return pages

    async def _by_id(self, ids: Sequence[str], *, is_closed: bool) -> list[Any]:
        """Markets of these ids; those that a host gives unasked are left out."""
        params: Params = {
            "condition_ids": list(ids),
            "closed": is_closed,
            "include_tag": True,
            "limit": PAGE_ROWS,
        }
        return [row for row in await self._list(params) if _ids([row]) <= set(ids)]

    async def _list(self, params: Params) -> list[Any]:
        return await self.transport.get_json(endpoints.MARKETS, params, LIST)

    def _markets(self, pages: Iterable[list[Any]], day: date) -> Parsed:
        now = self.clock()
        source = endpoints.MARKETS.name
        read = [
            reading.read_page(
                [flattened(row) for row in page], reading.MARKETS, source=source, seen_at=now
            )
            for page in pages
        ]
        return reading.markets(read, day=day, seen_at=now)


def flattened(row: Any) -> Any:
    """A market with what its event and tags say: event slug, tag names, category, token ids.

    The category is the market's, else its event's. Markets of the venue's second protocol list
    `positionIds` in place of `clobTokenIds`. Other rows stay as they are.
    """
    if not isinstance(row, dict):
        return row
    event = _first_object(row.get("events"))
    said = {
        "eventSlug": row.get("eventSlug") or event.get("slug"),
        "category": row.get("category") or event.get("category"),
        "tags": _labels(row.get("tags")) or _labels(event.get("tags")),
        "clobTokenIds": row.get("clobTokenIds") or row.get("positionIds"),
    }
    return {**row, **{name: value for name, value in said.items() if value}}


def _first_object(value: Any) -> Mapping[str, Any]:
    first = value[0] if isinstance(value, list) and value else None
    return first if isinstance(first, dict) else {}


def _labels(tags: Any) -> list[str]:
    """The names of tags, which come as objects or as texts."""
    listed = tags if isinstance(tags, list) else []
    names = [tag.get("label") if isinstance(tag, dict) else tag for tag in listed]
    return [name for name in names if isinstance(name, str) and name]


def _filter(wanted: MarketFilter) -> dict[str, str | float]:
    bounds: dict[str, str | float | None] = {
        "liquidity_num_min": wanted.min_liquidity_usdc,
        "end_date_min": _iso(wanted.ends_after),
        "end_date_max": _iso(wanted.ends_before),
    }
    return {name: value for name, value in bounds.items() if value is not None}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ids(raw: Iterable[Any]) -> set[str]:
    """Condition ids of raw rows, in either spelling; a row without one has the empty id."""
    objects = [row if isinstance(row, dict) else {} for row in raw]
    return {str(row.get("conditionId") or row.get("condition_id") or "").lower() for row in objects}


def _chunks(values: Sequence[str], size: int) -> list[Sequence[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
