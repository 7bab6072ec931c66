"""What a row of `ingest_state` says of a wallet, and that no reading leaves a silent hole."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.stages.ingestion_coverage import LISTINGS, Coverage, Gap
from tests.stages.hand_made_venue import NOW

MINUTE = timedelta(minutes=1)
OVERLAP = 3 * MINUTE
MINUTES = range(-60, 101)


def at(minute: int) -> datetime:
    return NOW + minute * MINUTE


def row_of(coverage: Coverage) -> dict[str, object]:
    return {
        "oldest_at": coverage.oldest_at,
        "newest_at": coverage.newest_at,
        "cursor": coverage.cursor,
        "history_complete": coverage.is_complete,
        "ingested_at": coverage.ingested_at,
    }


def minutes_open(coverage: Coverage, listing: str) -> set[int]:
    """Minutes of the last 100 that the coverage owns up to not having read."""
    gaps = coverage.gaps[listing]
    first = at(-1000)
    return {m for m in MINUTES for g in gaps if (g.start or first) <= at(m) <= g.end}


steps = st.lists(
    st.tuples(
        st.sampled_from(["wait", "walk", "finish", "cap"]),
        st.sampled_from(LISTINGS),
        st.integers(1, 20),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_what_has_not_been_read_is_in_a_gap_or_below_the_cap(taken):
    now = 0
    coverage = Coverage.unread(at(now))
    read = {listing: set() for listing in LISTINGS}
    for what, listing, number in taken:
        coverage = Coverage.of_row(row_of(coverage))  # as a commit and a kill between would do
        gap = coverage.next_gap(listing)
        if what == "wait":
            now += number
            coverage = coverage.until(at(now), OVERLAP)
        elif gap:
            coverage = walked(coverage, gap, what, listing, number, read[listing])
    for listing in LISTINGS:
        capped = coverage.capped_at
        for minute in range(-60, now + 1):
            is_owned_up = minute in minutes_open(coverage, listing) or (
                capped is not None and at(minute) <= capped
            )
            assert minute in read[listing] or is_owned_up
    assert coverage.is_complete <= all({*range(-60, now + 1)} <= read[name] for name in LISTINGS)


def walked(coverage, gap: Gap, what: str, listing: str, number: int, read: set[int]) -> Coverage:
    """One walk of so many minutes: it ends early, at the end of the gap, or at the cap."""
    first = gap.start or at(-1000)
    down_to = None if what == "finish" else gap.end - number * MINUTE
    if down_to is not None and down_to <= first:
        down_to = None
    read |= {m for m in MINUTES if (down_to or first) <= at(m) <= gap.end}
    is_capped = what == "cap" and down_to is not None
    return coverage.closed(listing, down_to=down_to, is_capped=is_capped)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_a_coverage_survives_being_written_and_read(taken):
    coverage = Coverage.unread(at(0)).with_row_at(at(-500))
    now = 0
    for what, listing, number in taken:
        gap = coverage.next_gap(listing)
        if what == "wait":
            now += number
            coverage = coverage.until(at(now), OVERLAP)
        elif gap:
            coverage = walked(coverage, gap, what, listing, number, set())
    again = Coverage.of_row(row_of(coverage))
    # Of a finished, capped history the first row met is of no use any more.
    known = replace(coverage, first_row_at=None) if again.first_row_at is None else coverage
    assert again == known


def test_a_wallet_never_read_is_open_from_its_first_row_to_now():
    coverage = Coverage.unread(NOW)
    assert [coverage.gaps[name] for name in LISTINGS] == [(Gap(None, NOW),)] * 2
    assert not coverage.is_finished


def test_gaps_that_overlap_become_one_and_others_stay_apart():
    coverage = replace(
        Coverage.unread(at(0)), gaps={name: (Gap(None, at(-50)),) for name in LISTINGS}
    )
    apart = coverage.until(at(10), OVERLAP)
    assert apart.gaps["trades"] == (Gap(at(-3), at(10)), Gap(None, at(-50)))
    joined = apart.until(at(20), OVERLAP)
    assert joined.gaps["trades"] == (Gap(at(-3), at(20)), Gap(None, at(-50)))


def test_a_clock_that_went_back_opens_nothing():
    coverage = Coverage.unread(at(5)).closed("trades", down_to=None, is_capped=False)
    assert coverage.until(at(1), OVERLAP) == coverage


def test_a_cap_met_at_once_leaves_the_history_incomplete():
    coverage = Coverage.unread(at(5))
    for name in LISTINGS:
        coverage = coverage.closed(name, down_to=None, is_capped=True)
    assert coverage.is_finished
    assert not coverage.is_complete
    assert coverage.oldest_at == at(5)


def test_an_unreadable_cursor_opens_everything_again():
    for cursor in ("", "[]", "{}", '{"gaps": {"trades": [["x", "y"]], "activity": []}}'):
        row = row_of(Coverage.unread(at(5))) | {"cursor": cursor}
        assert Coverage.of_row(row).gaps == Coverage.unread(at(5)).gaps
