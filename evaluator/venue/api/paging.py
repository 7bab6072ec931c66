"""Walks over listings, page by page from the newest row, and what they have covered.

Why counting by response is right. Fills carry no id: of identical rows only their number tells
them apart, and the ordinal counts them within one response. Across responses the largest count
stands, because a response that repeats rows (shifted, overlapping, past a cap) repeats the same
fills. What that rule alone would lose is a pair of twins with a page boundary between them: each
response shows one. So identities that occur on more than one page are suspects, unless one of
the pages holds their whole second. The seconds of suspects are read again, wallet by wallet, in
one response, which holds all twins side by side. Its count is one more response of the same
rule: a shift or an overlap confirms the count it had.

What a walk promises. Pages come newest first, but the order may be disturbed. `Gathering` measures
by how much a later page reached above the oldest row before it; rows not yet read lie below the
oldest row by the same allowance. Its second may go on on the next page: one second more.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from evaluator.domain.schema import INSTANT
from evaluator.venue.api.errors import PagingError, RequestRefusedError
from evaluator.venue.api.payloads import Envelope
from evaluator.venue.api.reading import Listing, Page, read_page, union
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import Walk

MAX_RECOUNTS = 40
"""Most requests that a walk spends on counting twins; twins beyond are a possible undercount."""

MAX_IDLE_PAGES = 3
"""Pages in a row without a new row after which a walk by cursor is broken."""

MAX_SHIFTED_PAGES = 30
"""Short pages in a row without a new row after which a walk by offset is taken to be capped."""

Recount = Callable[[str, datetime, datetime], Awaitable[Sequence[Any] | None]]
"""Rows of a wallet between two seconds in one response; None where one does not hold them all."""

RowKey = tuple[int, int]
"""A hash of a raw row's JSON, and its number among equal ones of its response."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked of a listing: from `start` to `end`, both inclusive; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        return (self.start is None or at >= self.start) and (self.end is None or at <= self.end)


@dataclass(slots=True)
class Gathering:
    """The pages of one walk, how far they reach, and which of their rows were new."""

    listing: Listing
    source: str
    seen_at: datetime
    window: Window = Window()
    pages: list[Page] = field(default_factory=list, init=False)
    page_count: int = field(default=0, init=False)
    lowest: datetime | None = field(default=None, init=False)
    is_window_ignored: bool = field(default=False, init=False)
    _disorder: timedelta = field(default=timedelta(0), init=False)
    _seen: set[RowKey] = field(default_factory=set, init=False)

    def add(self, raw: Sequence[Any], keys: Sequence[RowKey]) -> int:
        """Take one response and its `row_keys`; returns how many of its rows no earlier one had.

        A response that only repeats rows is kept: it can still be the other half of twins.
        """
        self.page_count += 1
        is_new = [key not in self._seen for key in keys]
        page = read_page(raw, self.listing, source=self.source, seen_at=self.seen_at)
        self.pages.append(page)
        self._seen.update(keys)
        self._reach([at for at, new in zip(page.instants, is_new, strict=True) if new and at])
        return sum(is_new)

    def _reach(self, instants: list[datetime]) -> None:
        """Note how far the new rows of a page go, and by how much they break the order."""
        if not instants:
            return
        newest, oldest = max(instants), min(instants)
        if self.lowest is not None:
            self._disorder = max(self._disorder, newest - self.lowest)
        self.lowest = oldest if self.lowest is None else min(self.lowest, oldest)
        end = self.window.end
        self.is_window_ignored |= end is not None and newest > end

    @property
    def unread_below(self) -> datetime | None:
        """No row that has not been read is newer than this; None before the first row."""
        return None if self.lowest is None else self.lowest + self._disorder

    @property
    def covered_from(self) -> datetime | None:
        """All rows at or after this instant have been read."""
        return None if self.unread_below is None else self.unread_below + _SECOND

    def is_past(self, start: datetime | None) -> bool:
        """Whether everything at or after `start` has been read."""
        covered = self.covered_from
        return start is not None and covered is not None and covered <= start

    async def walk(
        self, recount: Recount | None, *, is_exhausted: bool, is_capped: bool = False
    ) -> Walk:
        """What has been found, its twins counted again."""
        unsure = await self._count_twins(recount) if self.listing.identity else 0
        found = self._within(union(self.pages, self.listing, unsure))
        is_stuck = is_capped or (not is_exhausted and self.is_window_ignored)
        covered = self.window.start if is_exhausted else self.covered_from
        return Walk(found, self.page_count, is_exhausted, covered, is_stuck)

    def _within(self, found: Parsed) -> Parsed:
        """Without rows outside the window, which a host may give that ignores it."""
        if not self.listing.at:
            return found
        at, window = pl.col(self.listing.at), self.window
        rows = found.rows
        rows = rows if window.start is None else rows.filter(at >= window.start)
        rows = rows if window.end is None else rows.filter(at <= window.end)
        return Parsed(rows, found.quarantine, found.counts)

    async def _count_twins(self, recount: Recount | None) -> int:
        """Read the seconds of suspects again; returns rows whose number stays in doubt.

        First all seconds of a wallet in one response, then one by one where that is too much.
        """
        suspects = self._suspects()
        left, in_doubt = MAX_RECOUNTS, 0
        for (wallet,), rows in suspects.group_by("proxy_wallet", maintain_order=True):
            seconds: list[datetime] = rows["at"].unique().sort(descending=True).to_list()
            spans = [(seconds[-1], seconds[0])]
            while spans:
                first, last = spans.pop()
                answer = None
                if recount is not None and left > 0:
                    answer = await recount(str(wallet), first, last)
                    left -= 1
                if answer is not None:
                    self._take_recount(answer)
                elif first == last or left <= 0 or recount is None:
                    in_doubt += rows.filter(pl.col("at").is_between(first, last)).height
                else:
                    spans += [(at, at) for at in seconds]
        return in_doubt

    def _take_recount(self, raw: Sequence[Any]) -> None:
        page = read_page(raw, self.listing, source=self.source, seen_at=self.seen_at)
        self.pages.append(page)

    def _suspects(self) -> pl.DataFrame:
        """One row (proxy_wallet, at) per identity on several pages, none of which holds its second.

        A second strictly inside an ordered page is whole on it, twins and all.
        """
        at, identity = self.listing.at, list(self.listing.identity)
        parts = [_identities(page, identity, at) for page in self.pages]
        if len(parts) < 2:  # noqa: PLR2004 - twins need two pages to stand apart
            return pl.DataFrame(schema={"proxy_wallet": pl.String, "at": INSTANT.frame})
        found = pl.concat(parts).group_by(identity).agg(pl.len(), pl.col("is_whole").any())
        suspects = found.filter((pl.col("len") > 1) & ~pl.col("is_whole"))
        return suspects.select("proxy_wallet", pl.col(at).alias("at")).sort("proxy_wallet", "at")


def _identities(page: Page, identity: list[str], at: str) -> pl.DataFrame:
    """The distinct identities of a page, and whether it holds their whole second."""
    inside = page.inside()
    is_whole = pl.lit(value=False)
    if inside is not None:
        is_whole = pl.col(at).is_between(*inside, closed="none")
    return page.good.select(identity).unique().with_columns(is_whole=is_whole)


async def walk_by_cursor(
    ask: Callable[[str | None], Awaitable[Envelope]],
    gathering: Gathering,
    *,
    max_pages: int,
    since: datetime | None = None,
    recount: Recount | None = None,
) -> Walk:
    """Follow cursors until there is none, `since` has been passed, or `max_pages` are read.

    A short or empty page is not the end: only a null cursor is. Raises PagingError where a
    cursor comes back, or pages bring nothing new.
    """
    cursor: str | None = None
    followed: set[str] = set()
    idle = 0
    while gathering.page_count < max_pages:
        page = await ask(cursor)
        new = gathering.add(page.rows, row_keys(page.rows))
        if page.cursor is None or gathering.is_past(since):
            return await gathering.walk(recount, is_exhausted=True)
        # A page of nothing but twins is no sign of a walk that stands still.
        is_idle = not new and any(row != page.rows[0] for row in page.rows)
        idle = idle + 1 if is_idle else 0
        if page.cursor in followed or idle >= MAX_IDLE_PAGES:
            raise PagingError(gathering.source, "the listing does not advance")
        followed.add(page.cursor)
        cursor = page.cursor
    return await gathering.walk(recount, is_exhausted=False)


@dataclass(slots=True)
class PageSizes:
    """The longest page seen of each endpoint: a page that is shorter is a last one.

    A host may give fewer rows than asked for, silently, so a page that is the longest so far
    proves nothing; the page after it does.
    """

    _longest: dict[str, int] = field(default_factory=dict)

    def is_last(self, endpoint: str, length: int) -> bool:
        """Whether a page of that length is known to be the last of its listing."""
        is_last = self.is_short(endpoint, length)
        self._longest[endpoint] = max(self._longest.get(endpoint, 0), length)
        return is_last

    def is_short(self, endpoint: str, length: int) -> bool:
        """Whether the endpoint has given longer pages, so that this one could hold more."""
        return length < self._longest.get(endpoint, 0) or length == 0


@dataclass(frozen=True, slots=True)
class Offsets:
    """A listing of version 1: `ask(offset, window)` gives a page of at most `limit` rows.

    `has_windows` says that the listing takes start and end.
    """

    ask: Callable[[int, Window], Awaitable[list[Any]]]
    limit: int
    sizes: PageSizes
    has_windows: bool = True


async def walk_by_offset(
    listing: Offsets,
    gathering: Gathering,
    *,
    max_pages: int,
    since: datetime | None = None,
    recount: Recount | None = None,
) -> Walk:
    """Page by offset; where the host's cap ends that, go on in a window that ends lower down.

    A cap shows as a refusal at a later offset, or as a page that was shown before. Without windows,
    with windows that the host ignores, or with more rows in one second than the cap allows, the
    walk ends there, capped. It also ends where `since` has been passed.
    """
    window = gathering.window
    floor = since or window.start
    while True:
        ended = await _one_window(listing, gathering, window, max_pages, floor)
        if ended is not None:
            return await gathering.walk(recount, is_exhausted=ended)
        lower = gathering.unread_below
        is_stuck = lower is None or (window.end is not None and lower >= window.end)
        if is_stuck or not listing.has_windows or gathering.is_window_ignored:
            return await gathering.walk(recount, is_exhausted=False, is_capped=True)
        window = Window(window.start, lower)


async def _one_window(
    listing: Offsets,
    gathering: Gathering,
    window: Window,
    max_pages: int,
    floor: datetime | None,
) -> bool | None:
    """Read one window: True if to its end, False if the pages ran out, None at the cap.

    A full page that this window has shown before lies past the cap.
    """
    offset, idle = 0, 0
    shown: set[RowKey] = set()
    while gathering.page_count < max_pages:
        try:
            rows = await listing.ask(offset, window)
        except RequestRefusedError:
            if offset == 0:
                raise
            return None
        is_full = len(rows) >= listing.limit
        # Another listing of the endpoint may have longer pages: a full one is never known as last.
        is_last = listing.sizes.is_last(gathering.source, len(rows)) and not is_full
        keys = row_keys(rows)
        if is_full and shown.issuperset(keys):
            gathering.page_count += 1
            return None
        shown.update(keys)
        new = gathering.add(rows, keys)
        if is_last or gathering.is_past(floor):
            return True
        # A page of repeats may come from rows that arrived and shifted the others, or repeat the
        # window before: a few pages on, there are new ones or none.
        idle = 0 if new else idle + 1
        if idle > MAX_SHIFTED_PAGES:
            return None
        offset += len(rows)
    return False


def row_keys(raw: Sequence[Any]) -> list[RowKey]:
    """The key of each row of one response."""
    so_far: Counter[int] = Counter()
    keys = []
    for row in raw:
        key = hash(json.dumps(row, sort_keys=True))
        keys.append((key, so_far[key]))
        so_far[key] += 1
    return keys
