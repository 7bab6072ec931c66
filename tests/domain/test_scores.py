"""WScore v1: golden numbers, components, reasons, multipliers, ranks, and the oracle."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from evaluator.domain.ids import surrogate
from tests.domain.both import DAYS, MID_LIFE, Both, both
from tests.domain.comparison import same
from tests.domain.random_worlds import WEEKS, random_world
from tests.domain.worlds import WINDOWS, ranked_scores
from tests.oracle.features import features
from tests.oracle.scores import Score, scores

if TYPE_CHECKING:
    from evaluator.domain.features.history import Cell

ANN, BOB, CAT, DAN = (f"0x{name}" for name in ("ann", "bob", "cat", "dan"))
GOLDEN: dict[str, Any] = {
    "proxy_wallet": ANN, "feature_date": date(2026, 1, 1), "window_days": 30,
    "fill_count": 40, "closed_event_count": 8, "roi": 0.10, "return_stdev": 0.03,
    "win_rate": 0.55, "event_win_rate": 5 / 8, "timing_1h_cents": 3.0,
    "extreme_price_ratio": 0.1, "burstiness_top_1h": 0.1, "wallet_age_days": 120.0,
    "coverage": 1.0, "history_complete": True,
}  # fmt: skip
TYPES = {
    name: pl.Boolean() if name == "history_complete" else pl.Float64()
    for name in GOLDEN
    if name not in {"proxy_wallet", "feature_date", "window_days", "fill_count",
                    "closed_event_count"}
}  # fmt: skip


def rank(*changes: dict[str, Any], leaders: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """Scores of the golden row with some fields changed, in the order given."""
    rows = [{**GOLDEN, **change} for change in changes]
    addresses: dict[int | None, str | None] = {
        surrogate(row["proxy_wallet"]): row["proxy_wallet"] for row in rows
    }
    keyed = [{**row, "proxy_wallet": surrogate(row["proxy_wallet"])} for row in rows]
    frame = pl.DataFrame(keyed, schema_overrides=TYPES)
    return ranked_scores(frame, addresses, leaders)


def score(leaders: tuple[str, ...] | None = None, **change: Any) -> dict[str, Any]:
    """The score of the golden row with some fields changed."""
    return rank(change, leaders=leaders)[0]


# ── components ──────────────────────────────────────────────────────────────────────────


def test_the_golden_score():
    on, off = score(leaders=(ANN,)), score(leaders=())
    components = {
        "edge": 0.5, "consistency": 0.7, "market_skill": 0.625, "timing": 0.65, "behavior": 0.9
    }  # fmt: skip
    assert {name: on[name] for name in components} == pytest.approx(components)
    assert on["wscore"] == pytest.approx(0.6375)
    assert off["wscore"] == pytest.approx(0.765)
    assert score()["wscore"] == pytest.approx(0.6375)  # an unknown leaderboard multiplies by 1
    assert on["components_used"] == "edge,consistency,market_skill,timing,behavior"
    assert (on["support_events"], on["support_fills"]) == (8, 40)
    assert (on["interval_low"], on["interval_high"]) == (None, None)


@pytest.mark.parametrize(
    ("component", "field", "values"),
    [
        ("edge", "roi", [(-1.0, 0), (0.0, 0), (0.05, 0.25), (0.20, 1), (9.0, 1), (None, None)]),
        ("consistency", "return_stdev", [(0.0, 1), (0.05, 0.5), (0.10, 0), (2.0, 0), (None, None)]),
        ("market_skill", "event_win_rate", [(0.0, 0), (0.3, 0.3), (1.0, 1), (None, None)]),
        ("timing", "timing_1h_cents", [(-11.0, 0), (-10.0, 0), (0.0, 0.5), (10.0, 1), (30.0, 1),
                                       (None, None)]),
        ("behavior", "burstiness_top_1h", [(0.3, 0.8), (1.0, 0.45), (None, 0.9)]),
    ],
)  # fmt: skip
def test_a_component_is_clamped_and_null_where_its_input_is(component, field, values):
    for value, expected in values:
        found = score(**{field: value})[component]
        assert found == (None if expected is None else pytest.approx(expected))


def test_behavior_is_unknown_only_where_both_of_its_inputs_are():
    assert score(extreme_price_ratio=None, burstiness_top_1h=None)["behavior"] is None
    assert score(extreme_price_ratio=None, burstiness_top_1h=0.3)["behavior"] == pytest.approx(0.7)


def test_the_weights_of_unknown_components_go_to_the_others():
    found = score(timing_1h_cents=None, return_stdev=None)
    assert found["components_used"] == "edge,market_skill,behavior"
    expected = (0.30 * 0.5 + 0.20 * 0.625 + 0.10 * 0.9) / 0.60
    assert found["wscore"] == pytest.approx(expected)


# ── multipliers ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("win_rate", "expected"),
    [(0.0, 0.5), (0.4499, 0.5), (0.45, 0.8), (0.5199, 0.8), (0.52, 1), (1.0, 1), (None, 1)],
)
def test_the_win_rate_multiplier(win_rate, expected):
    found = score(win_rate=win_rate)
    assert found["win_rate_multiplier"] == expected
    assert found["wscore"] == pytest.approx(0.6375 * expected)


@pytest.mark.parametrize(("age", "expected"), [(89.99, 0.8), (90.0, 1), (None, 1)])
def test_wallets_under_ninety_days_are_trusted_less(age, expected):
    assert score(wallet_age_days=age)["trust_multiplier"] == expected


def test_obscurity_needs_a_known_leaderboard():
    assert score(leaders=(BOB,))["obscurity_multiplier"] == 1.2
    assert score(leaders=(ANN,))["obscurity_multiplier"] == 1
    assert score()["obscurity_multiplier"] == 1


def test_the_product_ranks_unclamped_and_is_shown_clamped():
    best = {"roi": 1.0, "return_stdev": 0.0, "event_win_rate": 1.0, "timing_1h_cents": 20.0}
    better, worse = rank({**best, "extreme_price_ratio": 0.0, "burstiness_top_1h": 0.0},
                         {**best, "proxy_wallet": BOB}, leaders=())  # fmt: skip
    assert (better["wscore"], worse["wscore"]) == (1, 1)
    assert (better["raw_score"], worse["raw_score"]) == pytest.approx((1.2, 1.188))
    assert (better["rank"], worse["rank"]) == (1, 2)


# ── reasons and ranks ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "score_reason", "rank_reason"),
    [
        ({}, None, None),
        ({"fill_count": 9}, "TOO_FEW_FILLS", "TOO_FEW_FILLS"),
        ({"fill_count": 10}, None, None),
        ({"closed_event_count": 0}, "NO_CLOSES", "NO_CLOSES"),
        ({"fill_count": 9, "closed_event_count": 0}, "TOO_FEW_FILLS", "TOO_FEW_FILLS"),
        ({"coverage": 0.9499}, None, "INSUFFICIENT_HISTORY"),
        ({"coverage": 0.95}, None, None),
        ({"coverage": None}, None, None),
        ({"history_complete": False}, None, "INSUFFICIENT_HISTORY"),
        ({"history_complete": None}, None, None),
        ({"fill_count": 9, "coverage": 0.5}, "TOO_FEW_FILLS", "TOO_FEW_FILLS"),
    ],
)
def test_why_there_is_no_score_or_no_rank(change, score_reason, rank_reason):
    found = score(**change)
    assert (found["score_reason"], found["rank_reason"]) == (score_reason, rank_reason)
    assert (found["wscore"] is None) == (score_reason is not None)
    assert (found["raw_score"] is None) == (score_reason is not None)
    assert found["is_rankable"] == (rank_reason is None) == (found["rank"] == 1)


def test_ties_are_ranked_by_address_and_percentiles_count_the_rankable():
    rows = rank(
        {"proxy_wallet": DAN, "roi": 0.05},
        {"proxy_wallet": CAT},
        {"proxy_wallet": BOB, "fill_count": 3},
        {"proxy_wallet": ANN},
        {"proxy_wallet": "0xeve", "coverage": 0.1},
    )
    assert [row["rank"] for row in rows] == [3, 2, None, 1, None]
    found = [row["percentile"] for row in rows]
    assert found == [pytest.approx(1 / 3), pytest.approx(2 / 3), None, 1, None]


def test_the_order_of_the_rows_changes_nothing():
    changes = [{"proxy_wallet": f"0x{n:02}", "roi": (n % 5) / 50} for n in range(20)]
    forward = {row["proxy_wallet"]: row for row in rank(*changes)}
    backward = {row["proxy_wallet"]: row for row in rank(*changes[::-1])}
    assert forward == backward


# ── the oracle ──────────────────────────────────────────────────────────────────────────


def compare(known: Both, cell: Cell, frame: pl.DataFrame, wallets: set[str]) -> int:
    """Hold the scores of these wallets, ranked among themselves, against the oracle."""
    keys = [surrogate(wallet) for wallet in wallets]
    rows = frame.filter(pl.col("proxy_wallet").is_in(keys))
    leaders = sorted(wallets)[:: len(wallets) // 5 or 1]
    found = {row["proxy_wallet"]: row for row in ranked_scores(rows, known.run.texts, leaders)}
    table = [features(known.index, one, cell.as_of, cell.window_days) for one in sorted(wallets)]
    membership = {wallet: wallet in leaders for wallet in wallets}
    expected = scores([row for row in table if row is not None], membership)
    assert found.keys() == {one.proxy_wallet for one in expected}
    for one in expected:
        assert_same(found[one.proxy_wallet], one)
    return len(expected)


def assert_same(row: dict[str, Any], one: Score) -> None:
    """Every field of a score is the oracle's."""
    pairs = [
        *((row[name], value) for name, value in one.components.items()),
        (row["components_used"], ",".join(one.components_used)),
        (row["raw_score"], one.product),
        *((row[name], getattr(one, name)) for name in (
            "wscore", "score_reason", "is_rankable", "rank_reason", "rank", "percentile",
            "win_rate_multiplier", "trust_multiplier", "obscurity_multiplier",
        )),
    ]  # fmt: skip
    assert all(same(found, expected) for found, expected in pairs), (row, one)


def test_scores_of_random_wallets_equal_the_oracle():
    known = both(random_world(Random(5), wallets=25, events=60, setting=WEEKS))
    for cell, frame in known.run.features([date(2026, 1, 9)]).items():
        assert compare(known, cell, frame, known.wallets()) > 12


def test_scores_of_every_early_wallet_of_the_archive_equal_the_oracle(small_archive):
    wallets = small_archive.wallets()
    for cell, frame in small_archive.run.features([date(2024, 6, 11)], [30]).items():
        assert compare(small_archive, cell, frame, wallets) > 400


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("day", [*MID_LIFE, DAYS[-1]])
def test_scores_of_the_busiest_wallets_equal_the_oracle(whole_archive, day):
    wallets = whole_archive.chosen(active=300)
    for cell, frame in whole_archive.run.features([day], WINDOWS).items():
        assert compare(whole_archive, cell, frame, wallets) > 50
