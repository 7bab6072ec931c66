"""MScore and EScore: golden numbers, bounds of candidates, knots, ranks, laws, settings."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.domain.errors import ConfigurationError
from evaluator.domain.market_scores import (
    DiscoveryRules,
    candidates,
    check,
    scores,
    top_holders,
)
from evaluator.domain.tables.discovery import MARKET_SCORES

DAY = date(2026, 3, 10)
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
RULES = DiscoveryRules()
TYPES = {
    "snapshot_date": pl.Date(), "condition_id": pl.String(), "event_slug": pl.String(),
    "closed": pl.Boolean(), "end_at": pl.Datetime("us", "UTC"), "liquidity_usdc": pl.Float64(),
    "volume_24h_usdc": pl.Float64(), "volume_usdc": pl.Float64(),
}  # fmt: skip
COMPONENTS = (
    "liquidity_score",
    "volume_score",
    "density_score",
    "whale_score",
    "time_score",
)


def market(name: str = "m", **changes: Any) -> dict[str, Any]:
    """The golden market; `days` is its time to the end, the rest are columns."""
    days = changes.pop("days", 14.0)
    return {
        "snapshot_date": DAY, "condition_id": name, "event_slug": f"event of {name}",
        "closed": False, "end_at": AT + timedelta(days=days), "liquidity_usdc": 50_000.0,
        "volume_24h_usdc": 20_000.0, "volume_usdc": 1e6, **changes,
    }  # fmt: skip


def chosen(*markets: dict[str, Any], rules: DiscoveryRules = RULES) -> pl.DataFrame:
    return candidates(pl.DataFrame(list(markets), TYPES), AT, rules)


def scored(
    *markets: dict[str, Any],
    trades: dict[str, int] | None = None,
    top: dict[str, float] | None = None,
    rules: DiscoveryRules = RULES,
) -> pl.DataFrame:
    """Scores of markets; trades and top holders by name, unknown where not given."""
    counts = {} if trades is None else trades
    shares = {} if top is None else top
    return scores(
        chosen(*markets, rules=rules),
        pl.DataFrame(
            {"condition_id": list(counts), "trades_24h_count": list(counts.values())},
            {"condition_id": pl.String, "trades_24h_count": pl.Int64},
        ),
        pl.DataFrame(
            {"condition_id": list(shares), "top_holder_ratio": list(shares.values())},
            {"condition_id": pl.String, "top_holder_ratio": pl.Float64},
        ),
        rules,
    )


def one(rules: DiscoveryRules = RULES, **changes: Any) -> dict[str, Any]:
    """The golden market's score with some of its columns changed."""
    frame = scored(market(**changes), trades={"m": 100}, top={"m": 0.4}, rules=rules)
    return frame.row(0, named=True)


# ── the formula ─────────────────────────────────────────────────────────────────────────


def test_the_golden_score():
    found = one()
    expected = {
        "liquidity_score": 0.783163, "volume_score": 0.754707, "density_score": 0.2,
        "whale_score": 0.6, "time_score": 1.0, "raw_score": 0.664467, "gate": 0.579290,
        "mscore": 0.384919, "escore": 0.384919,
    }  # fmt: skip
    assert {name: round(found[name], 6) for name in expected} == expected
    assert (found["event_rank"], found["is_selected"]) == (1, True)


def test_the_score_has_every_declared_column_but_those_of_the_run():
    names = [n for n in MARKET_SCORES.schema.names() if n not in ("config_hash", "computed_at")]
    assert scored(market()).columns == names
    assert scored(market()).schema == {name: MARKET_SCORES.schema[name] for name in names} | {
        "condition_id": pl.String(), "event_slug": pl.String()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("days", "expected"),
    [(1, 1 / 7), (3.5, 0.5), (7, 1), (18, 1), (30, 1), (60, 0.5), (75, 0.25), (90, 0)],
)
def test_the_time_component_rises_to_a_week_and_falls_from_a_month(days: float, expected: float):
    assert one(days=days)["time_score"] == expected


@pytest.mark.parametrize("days", [-1.0, 0.0, 90.0, 400.0])
def test_there_is_no_time_component_at_the_end_or_beyond_the_horizon(days: float):
    wide = replace(RULES, min_days_to_end=-10, max_days_to_end=1000)
    assert one(wide, days=days)["time_score"] == 0


def test_what_the_venue_did_not_say_counts_half_and_stays_null():
    found = scored(market()).row(0, named=True)
    assert (found["density_score"], found["whale_score"]) == (0.5, 0.5)
    assert found["trades_24h_count"] is None
    assert found["top_holder_ratio"] is None


def test_more_trades_than_fill_the_component_are_not_counted():
    found = scored(market(), trades={"m": 640}).row(0, named=True)
    assert (found["trades_24h_count"], found["density_score"]) == (500, 1.0)


def test_weights_count_in_proportion():
    names = ("liquidity", "volume", "density", "whale", "time")
    doubled = {f"weight_{name}": 2 * getattr(RULES, f"weight_{name}") for name in names}
    assert one(replace(RULES, **doubled)) == one()
    alone = {**{f"weight_{name}": 0.0 for name in names}, "weight_density": 7.0}
    assert one(replace(RULES, **alone))["raw_score"] == one()["density_score"]


def test_the_top_holder_is_that_of_the_token_where_one_holds_most():
    holders = pl.DataFrame(
        {"token_id": ["yes", "yes", "no", "no", "no"], "amount_shares": [60, 40, 10, 10, 30]}
    )
    tokens = pl.DataFrame({"condition_id": ["m", "m", "other"], "token_id": ["yes", "no", "x"]})
    assert top_holders(holders, tokens).rows() == [("m", 0.6)]


# ── candidates ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        {"closed": True},
        {"liquidity_usdc": 999.99},
        {"liquidity_usdc": None},
        {"volume_24h_usdc": 4_999.99},
        {"volume_24h_usdc": None, "volume_usdc": 4_999.99},
        {"volume_24h_usdc": None, "volume_usdc": None},
        {"days": 0.999},
        {"days": 90.001},
        {"end_at": None},
    ],
    ids=str,
)
def test_no_candidate(change: dict[str, Any]):
    assert chosen(market(**change)).is_empty()


@pytest.mark.parametrize(
    "change",
    [{"liquidity_usdc": 1_000.0}, {"volume_24h_usdc": 5_000.0}, {"days": 1.0}, {"days": 90.0}],
    ids=str,
)
def test_exactly_at_a_bound_is_a_candidate(change: dict[str, Any]):
    assert chosen(market(**change)).height == 1


def test_lifetime_volume_counts_only_where_that_of_a_day_is_missing_and_is_flagged():
    missing = one(volume_24h_usdc=None, volume_usdc=20_000.0)
    assert (missing["is_volume_lifetime"], missing["volume_24h_usdc"]) == (True, 20_000.0)
    assert missing["mscore"] == one()["mscore"]
    assert one()["is_volume_lifetime"] is False
    assert chosen(market(volume_24h_usdc=10.0, volume_usdc=1e9)).is_empty()


# ── events ──────────────────────────────────────────────────────────────────────────────


def test_an_event_is_as_good_as_its_best_market():
    found = scored(
        market("a", event_slug="one", liquidity_usdc=2_000.0),
        market("b", event_slug="one", liquidity_usdc=900_000.0),
        market("c", event_slug="two"),
    )
    by_name = {row["condition_id"]: row for row in found.iter_rows(named=True)}
    assert by_name["a"]["escore"] == by_name["b"]["escore"] == by_name["b"]["mscore"]
    assert [by_name[name]["event_rank"] for name in ("a", "b", "c")] == [1, 1, 2]
    assert found["condition_id"].to_list() == ["b", "a", "c"]


def test_a_market_without_an_event_is_its_own():
    found = scored(*(market(name, event_slug=None) for name in ("b", "a")))
    assert found.select("condition_id", "event_slug", "event_rank").rows() == [
        ("a", None, 1),
        ("b", None, 2),
    ]


def test_the_best_events_are_selected_with_all_their_markets_and_ties_go_by_id():
    rules = replace(RULES, selected_events=2)
    names = [f"{event}{number}" for event in "cab" for number in range(2)]
    found = scored(*(market(name, event_slug=name[0]) for name in names), rules=rules)
    selected = found.filter("is_selected")["condition_id"].to_list()
    assert selected == ["a0", "a1", "b0", "b1"]


# ── laws ────────────────────────────────────────────────────────────────────────────────

FEW = settings(max_examples=30, deadline=None)
amounts = st.floats(1_000, 1e9)
markets = st.lists(
    st.builds(
        lambda event, liquidity, volume, days: {
            "event_slug": event, "liquidity_usdc": liquidity,
            "volume_24h_usdc": volume, "days": days,
        },
        st.sampled_from(["x", "y", "z", None]), amounts, st.none() | amounts, st.floats(1, 90),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
counts = st.none() | st.integers(0, 2_000)
shares = st.none() | st.floats(0, 1)


def named(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [market(f"m{number}", **each) for number, each in enumerate(drawn)]


@FEW
@given(drawn=markets, count=counts, share=shares)
def test_every_score_is_between_0_and_1(
    drawn: list[dict[str, Any]], count: int | None, share: float | None
):
    trades = {} if count is None else {"m0": count}
    top = {} if share is None else {"m0": share}
    found = scored(*named(drawn), trades=trades, top=top)
    numbers = found.select(*COMPONENTS, "raw_score", "gate", "mscore", "escore")
    assert not numbers.null_count().sum_horizontal().item()
    assert all(column.is_between(0, 1).all() for column in numbers.iter_columns())


@FEW
@given(drawn=markets, seed=st.integers(0, 99), limit=st.integers(0, 3))
def test_the_order_of_rows_changes_no_row(drawn: list[dict[str, Any]], seed: int, limit: int):
    rows = named(drawn)
    rules = replace(RULES, selected_events=limit)
    trades = {row["condition_id"]: 7 * number for number, row in enumerate(rows)}
    shuffled = Random(seed).sample(rows, len(rows))
    assert scored(*rows, trades=trades, rules=rules).equals(
        scored(*shuffled, trades=dict(reversed(trades.items())), rules=rules)
    )


@FEW
@given(drawn=markets, limit=st.integers(0, 3))
def test_no_more_events_are_selected_than_wanted_and_none_better_is_left(
    drawn: list[dict[str, Any]], limit: int
):
    found = scored(*named(drawn), rules=replace(RULES, selected_events=limit)).with_columns(
        pl.coalesce("event_slug", "condition_id").alias("event")
    )
    best = found.filter("is_selected")
    assert best["event"].n_unique() == min(limit, found["event"].n_unique())
    left = found.filter(~pl.col("is_selected"))
    if best.height and left.height:
        assert best["escore"].min() >= left["escore"].max()  # type: ignore[operator]


@pytest.mark.parametrize("column", ["liquidity_usdc", "volume_24h_usdc"])
@FEW
@given(low=amounts, high=amounts, days=st.floats(1, 90))
def test_more_money_never_lowers_the_score(column: str, low: float, high: float, days: float):
    lower, higher = sorted((max(low, 5_000.0), max(high, 5_000.0)))
    few, many = (one(**{column: value}, days=days)["mscore"] for value in (lower, higher))
    assert few <= many


# ── settings ────────────────────────────────────────────────────────────────────────────


def test_the_defaults_are_valid():
    check(RULES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {f"weight_{n}": 0.0 for n in ("liquidity", "volume", "density", "whale", "time")},
            "weight_liquidity: all weights are 0",
        ),
        (
            {"weight_time": -0.1},
            "weight_time: should be 0 or more, not -0.1",
        ),
        (
            {"min_liquidity_usdc": math.inf},
            "min_liquidity_usdc: should be a finite number, not inf",
        ),
        (
            {"full_trades": 0},
            "full_trades: should be more than 0, not 0",
        ),
        (
            {"full_volume_usdc": 1.0},
            "full_volume_usdc: should be more than 1: scores are logarithmic, not 1",
        ),
        (
            {"min_days_to_end": 91.0},
            "max_days_to_end: should be at least min_days_to_end (91)",
        ),
        (
            {"rising_days": 30.0},
            "rising_days: should be more than 0 and less than falling_days",
        ),
        (
            {"falling_days": 90.0},
            "falling_days: should be more than 0 and less than last_days",
        ),
        (
            {"leaderboard_periods": ("WEEK", "WEEK")},
            "leaderboard_periods: should be different words, not ['WEEK', 'WEEK']",
        ),
        (
            {"leaderboard_categories": ()},
            "leaderboard_categories: should be different words, not []",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(next(iter(value))),
)
def test_a_bad_rule_names_its_key(change: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError) as caught:
        check(replace(RULES, **change))
    assert str(caught.value) == f"setting discovery.{message}"
