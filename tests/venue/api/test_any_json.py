"""Whatever JSON a host sends: rows are read, refused, or asked for again, and nothing breaks."""

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.domain.tables.discovery import HOLDERS, LEADERBOARD
from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator.venue.api import endpoints, reading, rows
from evaluator.venue.api.errors import MalformedAnswerError
from evaluator.venue.api.gamma import flattened
from evaluator.venue.api.payloads import LIST, Event, Keyset, PricesHistory, Unpaged, page, reader
from tests.venue.api.stub_host import payload

SEEN_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [10**400, -(10**25), "1e400", "0x", "\ud800", "9999-12-31T23:59:59-12:00", "[1", 1e308]
    ),
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
many = settings(max_examples=15, deadline=None)


def spoilt(name: str) -> st.SearchStrategy:
    """Rows of a payload with some of their values replaced by anything."""
    content = payload(name)
    good = content["data"] if isinstance(content, dict) and "data" in content else content
    good = [row for row in (good if isinstance(good, list) else [good]) if isinstance(row, dict)]

    def replaced(row: dict) -> st.SearchStrategy:
        changes = st.dictionaries(st.sampled_from(sorted(row)), anything, max_size=4)
        return changes.map(lambda changed: row | changed)

    return st.lists(st.sampled_from(good).flatmap(replaced) | anything, max_size=4)


@pytest.mark.parametrize(
    ("name", "listing"),
    [
        ("trades_v1", reading.TRADES),
        ("trades_v2", reading.TRADES),
        ("activity_v1", reading.MOVEMENTS),
        ("activity_v2", reading.MOVEMENTS),
        ("positions_v2_open", reading.POSITIONS),
        ("closed-positions_v1", reading.CLOSED_POSITIONS),
        ("markets_open", reading.MARKETS),
    ],
)
def test_every_row_of_a_listing_is_read_or_refused(name, listing):
    @many
    @given(raw=spoilt(name))
    def check(raw):
        raw = [flattened(row) for row in raw]
        read = reading.read_page(raw, listing, source="x", seen_at=SEEN_AT)
        found = reading.union([read, read], listing)
        refused = read.refused.filter(read.refused["rule"] != "bad_fee").height
        trades = sum(isinstance(row, dict) and row.get("type") == "TRADE" for row in raw)
        assert read.good.height + refused + trades >= len(raw)
        assert found.quarantine.height == read.refused.height

    check()


@pytest.mark.parametrize("name", ["positions_v2_open", "closed-positions_v1"])
def test_any_positions_become_a_table(name):
    @many
    @given(raw=spoilt(name))
    def check(raw):
        read = reading.read_page(raw, reading.POSITIONS, source="x", seen_at=SEEN_AT)
        reading.positions([read], day=DAY)

    check()


def test_any_markets_become_a_table():
    @many
    @given(raw=spoilt("markets_resolved"))
    def check(raw):
        rows_ = [flattened(row) for row in raw]
        read = reading.read_page(rows_, reading.MARKETS, source="x", seen_at=SEEN_AT)
        assert reading.markets([read], day=DAY, seen_at=SEEN_AT).rows.height <= len(raw)

    check()


def as_prices(found, raw):
    rows.prices(found, raw, "71", (datetime(2000, 1, 1, tzinfo=UTC), SEEN_AT))
    return rows.parsed_prices(found)


def as_comments(found, raw):
    rows.comments(found, raw, rows.Discussed("rain", {}), None)
    return rows.parsed_comments(found)


@pytest.mark.parametrize(
    ("name", "table", "parse"),
    [
        ("holders_v2", HOLDERS, lambda found, raw: rows.holders(found, raw, DAY)),
        (
            "leaderboard_v2",
            LEADERBOARD,
            lambda found, raw: rows.leaderboard(found, raw, rows.Board(DAY, "OVERALL", "WEEK")),
        ),
        ("book", BOOKS, rows.books),
        ("comments", COMMENTS, as_comments),
    ],
)
def test_every_single_row_is_read_or_refused(name, table, parse):
    @many
    @given(raw=spoilt(name))
    def check(raw):
        parsed = parse(rows.Rows(table, "x", SEEN_AT), raw)
        counts = parsed.counts
        assert counts.quarantined_count == parsed.quarantine.height
        assert parsed.rows.height + counts.duplicates + counts.quarantined_count >= (
            0 if name == "holders_v2" else len(raw)
        )

    check()


@many
@given(raw=spoilt("prices-history").map(lambda raw: [{"t": 1, "p": 0.5}, *raw]))
def test_any_points_become_prices(raw):
    assert as_prices(rows.Rows(PRICES, "x", SEEN_AT), raw).rows.height <= len(raw)


@many
@given(answer=anything)
@pytest.mark.parametrize(
    "read",
    [page, LIST, reader(Unpaged), reader(Keyset), reader(PricesHistory), reader(list[Event])],
    ids=["page", "list", "unpaged", "keyset", "history", "events"],
)
def test_an_answer_of_any_other_shape_is_malformed_and_nothing_else(read, answer):
    with suppress(MalformedAnswerError):
        read(endpoints.TRADES_V2, answer)
