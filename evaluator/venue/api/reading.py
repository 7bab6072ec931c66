"""Pages of raw rows as good rows and refused ones, for the listings that are read row by row."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import polars as pl

from evaluator.domain.fills import IDENTITY as FILL_IDENTITY
from evaluator.domain.fills import in_total_order
from evaluator.domain.fills import ordinals as fill_ordinals
from evaluator.domain.schema import INSTANT
from evaluator.domain.tables.history import ACTIVITY, FILLS, QUARANTINE
from evaluator.venue import activity_rows, fill_rows, market_rows, position_rows
from evaluator.venue.api import frames
from evaluator.venue.columns import Columns
from evaluator.venue.quarantine import (
    ROW,
    Counts,
    Parsed,
    Rule,
    conform,
    counted,
    no_rows,
    quarantine,
    sift,
)

UNLABELLED = 999
"""What the Data API says for the index of an outcome that it cannot name."""

_KNOWN = pl.DataFrame(
    schema={
        "token_id": pl.String,
        "condition_id": pl.String,
        "outcome_index": pl.Int32,
        "outcome_count": pl.Int64,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """How the rows of one kind of listing are read.

    Rows of a feed have identities: `identity` names their columns, `at` that of their instant.
    """

    wanted: Sequence[str]
    parse: Callable[[pl.DataFrame, Columns], pl.DataFrame]
    rules: Sequence[Rule]
    identity: tuple[str, ...] = ()
    at: str = ""
    ordinals: Callable[[pl.DataFrame], pl.Series] | None = None
    finish: Callable[[pl.DataFrame], pl.DataFrame] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One response: its good rows, with ordinals where they have identities, and refused ones.

    `instants` holds one of each raw row, null where it has none that can be read.
    """

    good: pl.DataFrame
    refused: pl.DataFrame
    rows_read: int
    instants: list[datetime | None]

    def inside(self) -> tuple[datetime, datetime] | None:
        """The oldest and newest instant where the page runs from newest to oldest, else None.

        A slice of an ordered listing holds all rows of the seconds strictly between the two.
        """
        known = [at for at in self.instants if at is not None]
        is_ordered = all(later >= earlier for later, earlier in pairwise(known))
        return (known[-1], known[0]) if known and is_ordered else None


def read_page(raw: Sequence[Any], listing: Listing, *, source: str, seen_at: datetime) -> Page:
    """One response as rows; what is no object is refused under the rule `not_an_object`."""
    if not raw:
        return Page(_nothing(listing), no_rows(QUARANTINE), 0, [])
    objects = [row if isinstance(row, dict) else {} for row in raw]
    frame = frames.frame(objects, listing.wanted)
    is_object = pl.Series([isinstance(row, dict) for row in raw], dtype=pl.Boolean)
    strangers = frame.select(ROW).filter(~is_object).with_columns(rule=pl.lit("not_an_object"))
    known = frame.filter(is_object)
    sifted = sift(listing.parse(known, Columns(known.schema)), listing.rules)
    broken = pl.concat([sifted.broken, strangers])
    refused = no_rows(QUARANTINE)
    if broken.height:
        payloads = frames.payloads(raw, broken[ROW])
        refused = quarantine(broken, payloads, source=source, seen_at=seen_at)
    return Page(_numbered(sifted.good, listing), refused, len(raw), instants(objects))


def union(pages: Iterable[Page], listing: Listing, possible_undercount: int = 0) -> Parsed:
    """The rows of all pages; of overlapping responses the largest count of equal rows stands.

    Rows without identities are all kept. The same holds for what was refused.
    """
    listed = [page for page in pages if page.rows_read]
    refused = _refused(page.refused for page in listed)
    good = pl.concat([page.good for page in listed]) if listed else _nothing(listing)
    kept = good
    if listing.identity and len(listed) > 1:
        order = sorted(set(good.columns) - {ROW})
        # Equal in identity, rows can still differ in names: keep the same one always.
        kept = good.sort(order, nulls_last=True).unique(
            [*listing.identity, "ordinal"], keep="first", maintain_order=True
        )
    rows = listing.finish(kept) if listing.finish else kept
    counts = Counts(
        rows_read=sum(page.rows_read for page in listed),
        duplicates=good.height - kept.height,
        possible_undercount=possible_undercount,
        quarantined=counted(refused),
    )
    return Parsed(rows, refused, counts)


def _numbered(good: pl.DataFrame, listing: Listing) -> pl.DataFrame:
    """Good rows with their ordinals within the response, where they have identities."""
    if listing.ordinals is None:
        return good
    return good.with_columns(listing.ordinals(good).alias("ordinal"))


@cache
def _nothing(listing: Listing) -> pl.DataFrame:
    """No good row."""
    empty = frames.frame([], listing.wanted)
    return _numbered(listing.parse(empty, Columns(empty.schema)), listing)


def _refused(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    listed = [part for part in parts if part.height]
    if not listed:
        return no_rows(QUARANTINE)
    return pl.concat(listed).unique(list(QUARANTINE.key), keep="first", maintain_order=True)


def _parse_fills(raw: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """Fills without knowledge of their markets; an unlabelled outcome has no index."""
    name = columns.find("outcomeIndex")
    if name is not None:
        is_labelled = columns.number(name) != UNLABELLED
        raw = raw.with_columns(pl.when(is_labelled).then(name).alias(name))
    return fill_rows.parse(raw, columns, _KNOWN)


def _finish_fills(rows: pl.DataFrame) -> pl.DataFrame:
    fills = fill_rows.identified(rows.drop("ordinal"), rows["ordinal"])
    return conform(in_total_order(fills), FILLS)


def _finish_activity(rows: pl.DataFrame) -> pl.DataFrame:
    named = activity_rows.identified(rows.drop("ordinal"), rows["ordinal"])
    return conform(named.sort("happened_at", "activity_id"), ACTIVITY)


def _parse_closed(raw: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    sizes = pl.col("size_shares", "size").fill_null(0)
    return position_rows.parse(raw, columns).with_columns(sizes)


TRADES = Listing(
    wanted=fill_rows.WANTED,
    parse=_parse_fills,
    rules=fill_rows.RULES,
    identity=FILL_IDENTITY,
    at="filled_at",
    ordinals=fill_ordinals,
    finish=_finish_fills,
)

MOVEMENTS = Listing(
    wanted=activity_rows.WANTED,
    parse=activity_rows.parse,
    rules=activity_rows.RULES,
    identity=activity_rows.IDENTITY,
    at="happened_at",
    ordinals=activity_rows.ordinals,
    finish=_finish_activity,
)

POSITIONS = Listing(position_rows.WANTED, position_rows.parse, position_rows.RULES)

CLOSED_POSITIONS = Listing(position_rows.WANTED, _parse_closed, position_rows.RULES)
"""Closed positions of version 1, whose rows say no size: nothing is held any more."""

MARKETS = Listing(market_rows.WANTED, market_rows.parse, market_rows.RULES)


def instants(raw: Sequence[Any]) -> list[datetime | None]:
    """The instant of each raw row of a feed, null where it has none that can be read."""
    frame = frames.frame([row if isinstance(row, dict) else {} for row in raw], ("timestamp",))
    if "timestamp" not in frame.columns:
        return [None] * len(raw)
    at = Columns(frame.schema).instant("timestamp")
    return frame.select(at.alias("at"))["at"].to_list()


def positions(pages: Iterable[Page], *, day: date, possible_undercount: int = 0) -> Parsed:
    """Rows of `positions`, one per wallet and token."""
    read = union(pages, POSITIONS, possible_undercount)
    rows = position_rows.table(read.rows, snapshot_date=day)
    return _without_repeats(read, rows)


def markets(pages: Iterable[Page], *, day: date, seen_at: datetime) -> Parsed:
    """Rows of `markets`, one per market, sorted by id."""
    read = union(pages, MARKETS)
    each = market_rows.one_each(read.rows)
    rows = market_rows.table(each, _nothing_seen(), snapshot_date=day, seen_at=seen_at)
    return _without_repeats(read, rows)


def _without_repeats(read: Parsed, rows: pl.DataFrame) -> Parsed:
    counts = replace(read.counts, duplicates=read.rows.height - rows.height)
    return Parsed(rows, read.quarantine, counts)


@cache
def _nothing_seen() -> pl.DataFrame:
    """Markets seen in fills, of which the API's listings have none."""
    texts = ("condition_id", "token_id", "title", "slug", "event_slug", "outcome")
    fills = pl.DataFrame(
        schema={
            **dict.fromkeys(texts, pl.String()),
            "outcome_index": pl.Int32(),
            "filled_at": INSTANT.frame,
        }
    )
    return market_rows.seen_in(fills)
