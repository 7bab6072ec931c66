"""What of a wallet's history has been read, and which intervals are still open.

Pure. A row of `ingest_state` has three endings: a cursor (intervals are left), none and a
complete history, or none and an incomplete one, whose rest the venue refuses to give.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

TRADES, ACTIVITY = "trades", "activity"
LISTINGS = (TRADES, ACTIVITY)


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval [start, end] that has not been read; without start, from the first row."""

    start: datetime | None
    end: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is read of one wallet up to `newest_at`: everything outside of the gaps.

    `first_row_at` is the oldest row met, `capped_at` the instant before which the venue gives no
    more. Gaps are disjoint, the newest first, by listing. `ingested_at` is None until rows are
    committed.
    """

    newest_at: datetime
    gaps: Mapping[str, tuple[Gap, ...]] = field(default_factory=dict)
    first_row_at: datetime | None = None
    capped_at: datetime | None = None
    ingested_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Nothing is left that could be read."""
        return not any(self.gaps.values())

    @property
    def is_complete(self) -> bool:
        """Both listings have been read down to their first row."""
        return self.is_finished and self.capped_at is None

    @property
    def oldest_at(self) -> datetime:
        """Down to here nothing is missing: the first row, else the newest hole.

        Of a wallet without rows, `newest_at`.
        """
        holes = [gap.end for gaps in self.gaps.values() for gap in gaps]
        holes += [self.capped_at] if self.capped_at else []
        return max(holes, default=self.first_row_at or self.newest_at)

    @property
    def cursor(self) -> str | None:
        """The open intervals as JSON; None where nothing is left to read."""
        if self.is_finished:
            return None
        told = {
            "gaps": {name: [[_text(g.start), _text(g.end)] for g in self.gaps[name]]
                     for name in LISTINGS},
            "first_row_at": _text(self.first_row_at),
            "capped_at": _text(self.capped_at),
        }  # fmt: skip
        return json.dumps(told, sort_keys=True)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """What a row of `ingest_state` says; an unreadable cursor starts over."""
        newest, oldest, at = row["newest_at"], row["oldest_at"], row["ingested_at"]
        if row["cursor"] is not None:
            return cls(newest, ingested_at=at, **_parsed(row["cursor"], newest))
        if not row["history_complete"]:
            return cls(newest, _everywhere(()), capped_at=oldest, ingested_at=at)
        first = None if oldest == newest else oldest
        return cls(newest, _everywhere(()), first_row_at=first, ingested_at=at)

    @classmethod
    def unread(cls, now: datetime) -> Self:
        """Of a wallet never read."""
        return cls(now, _everywhere((Gap(None, now),)))

    def until(self, now: datetime, overlap: timedelta) -> Self:
        """With the time since the last reading to be read too, and a bit of what was read."""
        if now < self.newest_at:
            return self
        since = Gap(self.newest_at - overlap, now)
        gaps = {name: _merged((since, *self.gaps.get(name, ()))) for name in LISTINGS}
        return replace(self, newest_at=now, gaps=gaps)

    def next_gap(self, listing: str) -> Gap | None:
        """The newest open interval."""
        return next(iter(self.gaps.get(listing, ())), None)

    def closed(self, listing: str, *, down_to: datetime | None, is_capped: bool) -> Self:
        """With the newest gap read down to an instant, wholly where that is None.

        A capped one is given up: what is older than it was read is not to be had.
        """
        gap, *others = self.gaps[listing]
        if is_capped:
            capped = max(each for each in (self.capped_at, down_to or gap.end) if each)
            return replace(self, gaps={**self.gaps, listing: tuple(others)}, capped_at=capped)
        left = () if down_to is None else (Gap(gap.start, down_to),)
        return replace(self, gaps={**self.gaps, listing: (*left, *others)})

    def with_row_at(self, oldest: datetime | None) -> Self:
        """Having met a row as old as that."""
        met = [each for each in (self.first_row_at, oldest) if each]
        return replace(self, first_row_at=min(met, default=None))


def _everywhere(gaps: tuple[Gap, ...]) -> dict[str, tuple[Gap, ...]]:
    return dict.fromkeys(LISTINGS, gaps)


def _merged(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Disjoint gaps, the newest first."""
    merged: list[Gap] = []
    for gap in sorted(gaps, key=lambda each: each.end, reverse=True):
        last = merged[-1] if merged else None
        if last is None or (last.start is not None and gap.end < last.start):
            merged.append(gap)
        elif last.start is not None:
            start = None if gap.start is None else min(last.start, gap.start)
            merged[-1] = Gap(start, last.end)
    return tuple(merged)


def _parsed(cursor: str, newest: datetime) -> dict[str, Any]:
    """The fields behind a cursor."""
    try:
        told = json.loads(cursor)
        return {
            "gaps": {
                name: _merged(
                    Gap(_instant(start), _given(end)) for start, end in told["gaps"][name]
                )
                for name in LISTINGS
            },
            "first_row_at": _instant(told["first_row_at"]),
            "capped_at": _instant(told["capped_at"]),
        }
    except (ValueError, TypeError, KeyError):
        return {"gaps": _everywhere((Gap(None, newest),))}


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _instant(text: str | None) -> datetime | None:
    return None if text is None else _given(text)


def _given(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return instant
