import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.venue.api import reading
from evaluator.venue.api.errors import PagingError, RequestRefusedError
from evaluator.venue.api.paging import walk_by_cursor, walk_by_offset
from evaluator.venue.api.payloads import Envelope
from evaluator.venue.venue import Walk
from tests.venue.api.listings import (
    SEEN_AT,
    Cursors,
    Offset,
    Recounts,
    at,
    found,
    gathering,
    instant,
    newest_first,
    trade,
    truth,
)

trades = st.builds(trade, st.integers(0, 8), st.integers(0, 1), st.integers(1, 2))
listings = st.lists(trades, max_size=40).map(newest_first)
many = settings(max_examples=20, deadline=None)


def by_cursor(cursors: Cursors, **how: Any) -> Walk:
    recount = Recounts(cursors.rows)
    how = {"max_pages": 1000, "recount": recount} | how
    return asyncio.run(walk_by_cursor(cursors, gathering(), **how))


def by_offset(listing: Offset, **how: Any) -> Walk:
    window = {name: how.pop(name) for name in ("start", "end") if name in how}
    has_windows = how.pop("has_windows", True)
    offsets = listing.offsets(has_windows=has_windows)
    return asyncio.run(walk_by_offset(offsets, gathering(**window), **{"max_pages": 1000} | how))


@many
@given(rows=listings, limit=st.integers(2, 7), overlap=st.integers(0, 1))
def test_any_page_size_and_overlap_give_the_same_fills(rows, limit, overlap):
    walk = by_cursor(Cursors(rows, limit, overlap))
    assert found(walk) == truth(rows)
    assert walk.is_exhausted
    assert walk.found.counts.possible_undercount == 0


@many
@given(rows=listings, limit=st.integers(1, 9), seed=st.randoms(use_true_random=False))
def test_rows_shuffled_within_their_pages_give_the_same_fills(rows, limit, seed):
    shuffled = []
    for first in range(0, len(rows), limit):
        page = rows[first : first + limit]
        seed.shuffle(page)
        shuffled += page
    walk = asyncio.run(
        walk_by_cursor(
            Cursors(shuffled, limit), gathering(), max_pages=1000, recount=Recounts(rows)
        )
    )
    assert found(walk) == truth(rows)


@many
@given(rows=listings, cuts=st.lists(st.integers(0, 40), max_size=6), seed=st.randoms())
def test_overlapping_responses_in_any_order_give_the_same_fills(rows, cuts, seed):
    whole = reading.read_page(rows, reading.TRADES, source="x", seen_at=SEEN_AT)
    parts = [
        reading.read_page(rows[cut : cut + 15], reading.TRADES, source="x", seen_at=SEEN_AT)
        for cut in cuts
    ]
    pages = [whole, *parts, whole]
    seed.shuffle(pages)
    once = reading.union([whole], reading.TRADES)
    assert reading.union(pages, reading.TRADES).rows.equals(once.rows)


def test_twins_on_both_sides_of_a_page_boundary_are_both_found_by_a_second_look():
    rows = newest_first([trade(3), trade(2), trade(2), trade(1)])
    recount = Recounts(rows)
    walk = by_cursor(Cursors(rows, 2), recount=recount)
    assert found(walk) == truth(rows)
    assert [(first, last) for _, first, last in recount.spans] == [(at(2), at(2))]


def test_a_row_repeated_by_an_overlap_is_one_fill_and_costs_no_second_look():
    rows = newest_first([trade(second) for second in range(9)])
    recount = Recounts(rows)
    walk = by_cursor(Cursors(rows, 4, overlap=2), recount=recount)
    assert found(walk) == truth(rows)
    assert recount.spans == []
    assert walk.found.counts.duplicates == 4


def test_twins_that_no_response_can_hold_are_reported_as_a_possible_undercount():
    rows = newest_first([trade(2)] * 3 + [trade(1)])
    walk = by_cursor(Cursors(rows, 2), recount=Recounts(rows, most=1))
    assert walk.found.counts.possible_undercount == 1


def test_seconds_too_many_for_one_response_are_read_again_one_by_one():
    rows = newest_first([trade(second) for second in (6, 5, 5, 4, 3, 3, 2, 1)])
    recount = Recounts(rows, most=2)
    walk = by_cursor(Cursors([*rows[:2], *rows[2:5], *rows[5:]], 2), recount=recount)
    rows_found = found(walk)
    assert rows_found == truth(rows)


def test_a_short_page_with_a_cursor_is_not_the_end():
    pages = {None: ([trade(3)], "a"), "a": ([], "b"), "b": ([trade(1)], None)}

    async def ask(cursor: str | None) -> Envelope:
        rows, following = pages[cursor]
        return Envelope(data=rows, pagination={"next_cursor": following})

    walk = asyncio.run(walk_by_cursor(ask, gathering(), max_pages=9))
    assert (walk.page_count, walk.is_exhausted, walk.found.rows.height) == (3, True, 2)


def test_a_cursor_that_comes_back_is_an_error():
    async def ask(cursor: str | None) -> Envelope:
        second = int(cursor or 0)
        return Envelope(data=[trade(second)], pagination={"next_cursor": str((second + 1) % 2)})

    with pytest.raises(PagingError, match="data /test: the listing does not advance"):
        asyncio.run(walk_by_cursor(ask, gathering(), max_pages=100))


def test_pages_that_bring_nothing_new_are_an_error():
    async def ask(cursor: str | None) -> Envelope:
        rows = [trade(2), trade(1)]
        return Envelope(data=rows, pagination={"next_cursor": str(int(cursor or 0) + 1)})

    with pytest.raises(PagingError):
        asyncio.run(walk_by_cursor(ask, gathering(), max_pages=100))


@many
@given(rows=listings, limit=st.integers(2, 5), max_pages=st.integers(1, 6))
def test_a_walk_cut_short_says_from_where_on_it_has_everything(rows, limit, max_pages):
    walk = by_cursor(Cursors(rows, limit), max_pages=max_pages)
    if walk.is_exhausted:
        assert found(walk) == truth(rows)
    else:
        covered = truth([row for row in rows if instant(row) >= walk.covered_from])
        assert {key: n for key, n in found(walk).items() if key in covered} == covered


@many
@given(rows=st.lists(trades, min_size=1, max_size=60).map(newest_first), limit=st.integers(4, 8))
def test_a_walk_goes_on_where_the_last_one_stopped_until_all_is_found(rows, limit):
    everything = truth([])
    end = None
    for _ in range(80):
        shown = [row for row in rows if end is None or instant(row) <= end]
        walk = asyncio.run(
            walk_by_cursor(
                Cursors(shown, limit), gathering(end=end), max_pages=8, recount=Recounts(rows)
            )
        )
        everything |= found(walk)
        if walk.is_exhausted:
            break
        end = walk.covered_from
    assert everything == truth(rows)


def test_a_walk_stops_once_it_is_past_the_instant_asked_for():
    rows = newest_first([trade(second) for second in range(20)])
    cursors = Cursors(rows, 4)
    walk = by_cursor(cursors, since=at(10))
    assert walk.is_exhausted
    assert cursors.asked == 3
    assert {at(second) for second in range(10, 20)} <= set(walk.found.rows["filled_at"])


@many
@given(
    rows=listings,
    limit=st.integers(3, 7),
    cap=st.integers(8, 30),
    is_cap_refused=st.booleans(),
)
def test_windows_read_past_the_cap_of_offsets(rows, limit, cap, is_cap_refused):
    listing = Offset(rows, limit, cap, is_cap_refused)
    walk = by_offset(listing, recount=Recounts(rows))
    if not walk.is_capped:
        assert walk.is_exhausted
        assert found(walk) == truth(rows)
        return
    covered = truth([row for row in rows if instant(row) >= walk.covered_from])
    assert {key: n for key, n in found(walk).items() if key in covered} == covered
    if is_cap_refused:
        crowded = max(truth_of_second(rows).values())
        assert crowded >= limit, "a walk may only be stuck in a second that fills a page"


def truth_of_second(rows):
    counts: dict[int, int] = {}
    for row in rows:
        counts[row["timestamp"]] = counts.get(row["timestamp"], 0) + 1
    return counts


@pytest.mark.parametrize("is_cap_refused", [True, False])
def test_a_cap_without_windows_is_reported_and_no_row_is_doubled(is_cap_refused):
    rows = newest_first([trade(second) for second in range(40)])
    listing = Offset(rows, 5, cap=20, is_cap_refused=is_cap_refused)
    walk = by_offset(listing, has_windows=False)
    assert (walk.is_exhausted, walk.is_capped) == (False, True)
    assert found(walk) == truth(rows[:25])
    assert walk.covered_from == at(16)


def test_windows_that_the_host_ignores_end_the_walk_as_capped():
    rows = newest_first([trade(second) for second in range(40)])
    walk = by_offset(Offset(rows, 5, cap=20, heeds_windows=False))
    assert (walk.is_exhausted, walk.is_capped) == (False, True)
    assert walk.covered_from == at(16)


def test_rows_outside_the_window_are_left_out_when_the_host_ignores_it():
    rows = newest_first([trade(second) for second in range(10)])
    walk = by_offset(Offset(rows, 5, heeds_windows=False), start=at(3), end=at(6))
    assert found(walk) == truth(rows[3:7])


def test_a_refusal_of_the_first_page_is_no_cap():
    with pytest.raises(RequestRefusedError):
        by_offset(Offset([trade()], 5, cap=-1))


@many
@given(
    rows=listings,
    arriving=st.lists(st.builds(trade, st.integers(9, 12)), max_size=8),
    limit=st.integers(3, 7),
)
def test_rows_that_arrive_and_shift_pages_cost_none_of_the_others(rows, arriving, limit):
    later = newest_first([*arriving, *rows])
    listing = Offset(rows, limit, arriving=sorted(arriving, key=lambda row: -row["timestamp"]))
    walk = by_offset(listing, recount=Recounts(later))
    older = {key: n for key, n in found(walk).items() if key in truth(rows)}
    assert older == truth(rows)
    assert all(n <= truth(later)[key] for key, n in found(walk).items())


def test_a_page_shorter_than_asked_for_is_followed_until_one_is_shorter_than_the_longest():
    rows = newest_first([trade(second) for second in range(10)])
    listing = Offset(rows, limit=4)
    offsets = listing.offsets()
    first = asyncio.run(walk_by_offset(offsets, gathering(), max_pages=9))
    assert (first.page_count, first.is_exhausted, first.found.rows.height) == (3, True, 10)
    again = asyncio.run(walk_by_offset(offsets, gathering(start=at(8)), max_pages=9))
    assert (again.page_count, again.found.rows.height) == (1, 2)


def test_a_full_page_is_not_the_last_because_another_listing_had_longer_pages():
    long = Offset(newest_first([trade(second) for second in range(30)]), limit=20).offsets()
    asyncio.run(walk_by_offset(long, gathering(), max_pages=9))
    rows = newest_first([trade(second) for second in range(10)])
    short = replace(Offset(rows, limit=4).offsets(), sizes=long.sizes)
    walk = asyncio.run(walk_by_offset(short, gathering(), max_pages=9))
    assert (walk.page_count, walk.is_exhausted, found(walk)) == (3, True, truth(rows))


def test_disorder_that_was_seen_widens_what_is_not_promised():
    seconds = [20, 19, 18, 17, 15, 14, 16, 13, 12, 11]
    rows = [trade(second) for second in seconds]
    walk = by_cursor(Cursors(rows, 2), max_pages=4)
    assert walk.covered_from == at(13) + timedelta(seconds=2) + timedelta(seconds=1)
    assert not walk.is_exhausted
