"""Discovery on a hand-made venue: what each step commits, keeps, passes over and reports."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evaluator.domain.errors import EvaluatorError
from evaluator.domain.ids import bucket_of, surrogate
from evaluator.domain.market_scores import DiscoveryRules
from evaluator.domain.schema import MICRO, Table
from evaluator.domain.tables.discovery import (
    HOLDERS,
    LEADERBOARD,
    MARKET_SCORES,
    MARKETS,
    WALLET_SOURCES,
    WALLETS,
)
from evaluator.domain.tables.history import ACTIVITY, FILLS, QUARANTINE
from evaluator.domain.tables.registry import TABLES
from evaluator.stages import discovery, discovery_answers, new_fills
from evaluator.stages.discovery_wallets import LOCK, Discovered, discover_wallets
from evaluator.stages.problems import Problem
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.errors import LockTimeoutError
from evaluator.store.lake import Lake
from evaluator.store.locks import held
from tests.stages.hand_made_venue import (
    NOW,
    HandMadeVenue,
    NoAnswerError,
    address,
    condition,
    fill,
    holding,
    market,
    movement,
    place,
)

DAY = NOW.date()
RULES = DiscoveryRules()
STAMP = Stamp(NOW, "thresholds", "0", is_frozen=False)
HOUR = timedelta(hours=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", threads=1)


def venue_of_three_markets() -> HandMadeVenue:
    """Markets 1 to 3 of events of their own, their holders, feeds, and two leaderboards."""
    return HandMadeVenue(
        listed=[market(number) for number in (1, 2, 3)],
        held={
            condition(1): [holding(11, 1, 60), holding(12, 1, 40), holding(12, 1, 10, outcome=1)],
            condition(2): [holding(12, 2, 5)],
        },
        trades=[
            *(fill(21, 1, NOW - number * HOUR) for number in range(1, 6)),
            *(fill(22, 1, NOW - number * HOUR) for number in range(1, 5)),
            *(fill(11, 2, NOW - number * HOUR) for number in range(20, 30)),
        ],
        boards={
            ("OVERALL", "WEEK"): [place(12, 1), place(31, 2)],
            ("CRYPTO", "MONTH"): [place(21, 1)],
        },
    )


def run(step: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, limit: int = 4) -> Any:
    """One step of discovery, with as many questions at once."""

    async def stepped() -> Any:
        return await step(*arguments, at_once=asyncio.Semaphore(limit))

    return asyncio.run(stepped())


def discover(
    lake: Lake, venue: HandMadeVenue, day: date = DAY, rules: DiscoveryRules = RULES
) -> Discovered:
    """A whole pass."""
    run(discovery.read_markets, lake, venue, day, rules)
    run(discovery.read_holders, lake, venue, day, rules)
    run(discovery.score_markets, lake, venue, day, rules, STAMP)
    run(discovery.read_leaderboard, lake, venue, day, rules)
    found: Discovered = run(discover_wallets, lake, venue, day, rules)
    return found


def shown(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    with lake.snapshot() as now:
        return now.sql(query).rows()


def hashes(lake: Lake) -> dict[str, str]:
    with lake.snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def scores_of(lake: Lake) -> dict[str, dict[str, Any]]:
    with lake.snapshot() as now:
        rows = now.sql("SELECT * FROM market_scores ORDER BY condition_id")
    return {row["condition_id"]: row for row in rows.iter_rows(named=True)}


# ── a pass ──────────────────────────────────────────────────────────────────────────────


def test_a_pass_finds_wallets_by_their_first_source_and_records_the_others(lake: Lake):
    found = discover(lake, venue_of_three_markets())
    assert shown(
        lake,
        "SELECT proxy_wallet, discovered_from, discovered_in_market FROM wallets ORDER BY 1",
    ) == [
        (address(11), "HOLDER", condition(1)),
        (address(12), "HOLDER", condition(1)),
        (address(21), "TRADER_RECENT", condition(1)),
        (address(31), "LEADERBOARD", None),
    ]
    assert shown(lake, "SELECT proxy_wallet, source FROM wallet_sources ORDER BY 1, 2") == [
        (address(11), "HOLDER"),
        (address(11), "TRADER_RECENT"),
        (address(12), "HOLDER"),
        (address(12), "LEADERBOARD"),
        (address(21), "LEADERBOARD"),
        (address(21), "TRADER_RECENT"),
        (address(31), "LEADERBOARD"),
    ]
    assert found.new_wallets == tuple(address(number) for number in (11, 12, 21, 31))
    assert found.counts == {"HOLDER": 2, "TRADER_RECENT": 2, "LEADERBOARD": 3}
    assert (found.markets_searched, found.problems) == (3, ())


def test_a_second_pass_adds_nothing(lake: Lake):
    venue = venue_of_three_markets()
    discover(lake, venue)
    before = hashes(lake)
    again = discover(lake, venue)
    assert hashes(lake) == before
    assert again.new_wallets == ()
    assert again.new_fills == new_fills.NewFills()
    assert again.commit.rows(WALLETS) == again.commit.rows(FILLS) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_repeated_and_shuffled_rows_and_smaller_pages_change_nothing(
    lake: Lake, tmp_path: Path, seed: int
):
    discover(lake, venue_of_three_markets())
    other = Lake(tmp_path / "other", threads=1)
    venue = venue_of_three_markets()
    venue.shuffle, venue.page_rows = seed, 7
    venue.listed.reverse()
    for rows in (*venue.held.values(), *venue.boards.values()):
        rows.reverse()
    discover(other, venue)
    assert hashes(other) == hashes(lake)


def test_the_golden_score_comes_out_of_the_venues_answers(lake: Lake):
    venue = venue_of_three_markets()
    venue.trades = [fill(40 + number, 1) for number in range(100)]
    venue.held[condition(1)] = [holding(11, 1, 40), holding(12, 1, 30), holding(13, 1, 30)]
    discover(lake, venue)
    row = scores_of(lake)[condition(1)]
    assert (row["trades_24h_count"], row["top_holder_ratio"]) == (100, 0.4)
    assert round(row["mscore"], 6) == 0.384919
    assert (row["event_slug"], row["config_hash"]) == ("event-1", "thresholds")


# ── markets ─────────────────────────────────────────────────────────────────────────────


def test_only_markets_that_may_be_candidates_are_listed(lake: Lake):
    venue = HandMadeVenue(
        listed=[
            market(1),
            market(2, liquidity_usdc=10.0),
            market(3, end_at=NOW + timedelta(days=91)),
            market(4, end_at=NOW + timedelta(hours=23)),
            market(5, closed=True),
        ]
    )
    run(discovery.read_markets, lake, venue, DAY, RULES)
    assert shown(lake, "SELECT condition_id FROM markets") == [(condition(1),)]


def test_a_market_that_closes_is_followed_until_its_payouts_are_known(lake: Lake):
    venue = HandMadeVenue(listed=[market(1)])
    run(discovery.read_markets, lake, venue, DAY, RULES)
    states = (
        {"closed": True},
        {"closed": True, "payouts": [1.0, 0.0], "resolved_at": NOW + HOUR},
        {"closed": True, "payouts": [1.0, 0.0], "resolved_at": NOW + HOUR},
    )
    asked = []
    for days, state in enumerate(states, 1):
        venue.listed, venue.at = [market(1, **state)], NOW + timedelta(days=days)
        venue.calls.clear()
        run(discovery.read_markets, lake, venue, venue.at.date(), RULES)
        asked.append(venue.asked("markets"))
    assert asked == [[condition(1)], [condition(1)], []]
    assert shown(lake, "SELECT snapshot_date, closed, payouts FROM markets ORDER BY 1") == [
        (date(2026, 3, 10), False, None),
        (date(2026, 3, 11), True, None),
        (date(2026, 3, 12), True, [1.0, 0.0]),
    ]


def test_a_market_that_opens_again_is_followed_again(lake: Lake):
    paid = {"closed": True, "payouts": [1.0, 0.0], "resolved_at": NOW}
    venue = HandMadeVenue()
    for days, state in enumerate(({}, paid, {}, {**paid, "payouts": [0.0, 1.0]})):
        venue.listed, venue.at = [market(1, **state)], NOW + timedelta(days=days)
        run(discovery.read_markets, lake, venue, venue.at.date(), RULES)
    assert shown(lake, "SELECT payouts FROM markets ORDER BY snapshot_date") == [
        (None,),
        ([1.0, 0.0],),
        (None,),
        ([0.0, 1.0],),
    ]


@pytest.mark.parametrize("table", [FILLS, ACTIVITY], ids=lambda table: table.name)
def test_a_market_that_only_history_knows_is_asked_about(lake: Lake, table: Table):
    venue = HandMadeVenue(
        listed=[market(7, closed=True, liquidity_usdc=None)],
        trades=[fill(1, 7)],
        movements=[
            movement(1, "SPLIT", NOW, condition_id=condition(7)),
            movement(1, "REWARD", NOW, condition_id=None),
        ],
    )
    walk = venue.wallet_trades if table is FILLS else venue.wallet_activity
    read = asyncio.run(walk(address(1), max_pages=1))
    where = partitions.bucket(bucket_of(surrogate(address(1))))
    lake.commit(append={(table, where): read.found.rows})
    run(discovery.read_markets, lake, venue, DAY, RULES)
    assert shown(lake, "SELECT condition_id, closed FROM markets") == [(condition(7), True)]


def test_a_market_keeps_the_instant_at_which_it_was_first_seen(lake: Lake):
    venue = HandMadeVenue(listed=[market(1)])
    run(discovery.read_markets, lake, venue, DAY, RULES)
    venue.at = NOW + timedelta(days=1)
    run(discovery.read_markets, lake, venue, venue.at.date(), RULES)
    assert shown(lake, "SELECT DISTINCT first_seen_at FROM markets") == [(NOW,)]


def test_the_days_row_of_a_market_is_its_newest(lake: Lake):
    venue = HandMadeVenue(listed=[market(1), market(2)])
    run(discovery.read_markets, lake, venue, DAY, RULES)
    venue.listed = [market(1, liquidity_usdc=70_000.0), market(2, liquidity_usdc=1.0)]
    run(discovery.read_markets, lake, venue, DAY, RULES)
    assert shown(lake, "SELECT liquidity_usdc FROM markets ORDER BY condition_id") == [
        (70_000.0,),
        (1.0,),
    ]


def test_known_markets_are_asked_about_in_bounded_questions(lake: Lake):
    venue = HandMadeVenue(listed=[market(number) for number in range(250)])
    run(discovery.read_markets, lake, venue, DAY, RULES)
    venue.listed = [market(number, closed=True) for number in range(250)]
    run(discovery.read_markets, lake, venue, DAY, RULES)
    sizes = sorted(len(question.split(",")) for question in venue.asked("markets"))
    assert sizes == [50, 100, 100]
    assert shown(lake, "SELECT count(*), bool_and(closed) FROM markets") == [(250, True)]


def test_refused_rows_are_kept_once(lake: Lake):
    refused = {"source": "gamma /markets", "row_key": "1-0", "rule": "bad_token_ids"}
    rows = pl.DataFrame([{**refused, "payload": "{}", "seen_at": NOW}]).cast(
        {"seen_at": pl.Datetime("us", "UTC")}
    )
    venue = HandMadeVenue(listed=[market(1)], refused=rows)
    run(discovery.read_markets, lake, venue, DAY, RULES)
    venue.listed = [market(1, closed=True)]
    run(discovery.read_markets, lake, venue, DAY, RULES)
    with lake.snapshot() as now:
        assert now.read(QUARANTINE)["rule"].to_list() == ["bad_token_ids"]


# ── holders and the leaderboard ─────────────────────────────────────────────────────────


def test_a_holder_who_has_left_is_gone_from_the_days_reading(lake: Lake):
    venue = venue_of_three_markets()
    discover(lake, venue)
    venue.held = {condition(1): [holding(12, 1, 7)], condition(2): []}
    run(discovery.read_holders, lake, venue, DAY, RULES)
    with lake.snapshot() as now:
        held = now.read(HOLDERS).select("proxy_wallet", "amount_shares").rows()
    assert held == [(surrogate(address(12)), 7 * MICRO)]


def test_a_board_that_is_not_answered_keeps_its_older_rows(lake: Lake):
    venue = venue_of_three_markets()
    run(discovery.read_leaderboard, lake, venue, DAY, RULES)
    venue.boards = {("OVERALL", "WEEK"): [place(99, 1)], ("CRYPTO", "MONTH"): []}
    venue.failing["leaderboard", "CRYPTO/MONTH"] = NoAnswerError("busy")
    found = run(discovery.read_leaderboard, lake, venue, DAY, RULES)
    assert found.problems == (Problem("CRYPTO/MONTH", "NoAnswerError: busy"),)
    assert shown(lake, "SELECT category, proxy_wallet FROM leaderboard ORDER BY 1") == [
        ("CRYPTO", address(21)),
        ("OVERALL", address(99)),
    ]


def test_every_category_and_period_is_asked_for(lake: Lake):
    venue = venue_of_three_markets()
    run(discovery.read_leaderboard, lake, venue, DAY, RULES)
    assert sorted(venue.asked("leaderboard")) == sorted(
        f"{category}/{period}"
        for category in ("OVERALL", "POLITICS", "CRYPTO")
        for period in ("WEEK", "MONTH")
    )
    with lake.snapshot() as now:
        assert now.read(LEADERBOARD).height == 3


# ── scores ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("whole_pages", [False, True])
def test_trades_older_than_a_day_do_not_count(lake: Lake, whole_pages: bool):
    venue = venue_of_three_markets()
    venue.whole_pages = whole_pages
    discover(lake, venue)
    counts = {key: row["trades_24h_count"] for key, row in scores_of(lake).items()}
    assert counts == {condition(1): 9, condition(2): 5, condition(3): 0}


def test_trades_read_for_a_score_are_kept_and_reported(lake: Lake):
    venue = venue_of_three_markets()
    run(discovery.read_markets, lake, venue, DAY, RULES)
    found = run(discovery.score_markets, lake, venue, DAY, RULES, STAMP)
    assert found.new_fills == new_fills.NewFills(
        (address(11), address(21), address(22)), 14, NOW - HOUR
    )
    assert shown(lake, "SELECT count(*), min(filled_at) FROM fills") == [(14, NOW - 24 * HOUR)]


def test_a_market_without_an_answer_is_scored_without_it(lake: Lake):
    venue = venue_of_three_markets()
    venue.failing["holders", condition(1)] = NoAnswerError("busy")
    venue.failing["market_trades", condition(2)] = NoAnswerError("busy")
    run(discovery.read_markets, lake, venue, DAY, RULES)
    held = run(discovery.read_holders, lake, venue, DAY, RULES)
    found = run(discovery.score_markets, lake, venue, DAY, RULES, STAMP)
    rows = scores_of(lake)
    assert held.problems == (Problem(condition(1), "NoAnswerError: busy"),)
    assert found.problems == (Problem(condition(2), "NoAnswerError: busy"),)
    assert rows[condition(1)]["top_holder_ratio"] is None
    assert rows[condition(1)]["whale_score"] == 0.5
    assert rows[condition(2)]["trades_24h_count"] is None
    assert rows[condition(2)]["top_holder_ratio"] == 1.0
    assert rows[condition(3)]["trades_24h_count"] == 0


def test_a_feed_that_breaks_off_leaves_the_number_of_trades_unknown(lake: Lake):
    venue = venue_of_three_markets()
    venue.page_rows, venue.cap_rows = 3, 6
    run(discovery.read_markets, lake, venue, DAY, RULES)
    found = run(discovery.score_markets, lake, venue, DAY, RULES, STAMP)
    assert found.problems == (Problem(condition(1), "the feed broke off after 6 trades"),)
    assert scores_of(lake)[condition(1)]["trades_24h_count"] is None
    assert found.new_fills.count == 6 + 5


def test_no_more_is_read_of_a_busy_feed_than_can_count(lake: Lake):
    venue = HandMadeVenue(listed=[market(1)])
    venue.trades = [fill(number % 50, 1, NOW - timedelta(seconds=number)) for number in range(1500)]
    run(discovery.read_markets, lake, venue, DAY, RULES)
    found = run(discovery.score_markets, lake, venue, DAY, RULES, STAMP)
    assert scores_of(lake)[condition(1)]["trades_24h_count"] == 500
    assert found.new_fills.count == 800
    assert found.problems == ()


# ── wallets ─────────────────────────────────────────────────────────────────────────────


def test_a_failing_market_costs_only_itself(lake: Lake):
    venue = venue_of_three_markets()
    for call in ("holders", "market_trades"):
        venue.failing[call, condition(1)] = NoAnswerError("busy")
    found = discover(lake, venue)
    assert found.problems == (Problem(condition(1), "NoAnswerError: busy"),)
    assert found.markets_searched == 2
    assert shown(lake, "SELECT proxy_wallet, discovered_from FROM wallets ORDER BY 1") == [
        (address(11), "TRADER_RECENT"),
        (address(12), "HOLDER"),
        (address(21), "LEADERBOARD"),
        (address(31), "LEADERBOARD"),
    ]


STEPS: dict[str, tuple[Callable[..., Coroutine[Any, Any, Any]], tuple[Any, ...]]] = {
    "holders": (discovery.read_holders, ()),
    "market_trades": (discovery.score_markets, (STAMP,)),
    "leaderboard": (discovery.read_leaderboard, ()),
    "open_markets": (discovery.read_markets, ()),
}


@pytest.mark.parametrize("call", STEPS)
def test_a_venue_that_answers_nothing_fails_the_step_and_changes_nothing(lake: Lake, call: str):
    venue = venue_of_three_markets()
    discover(lake, venue)
    before, commit = hashes(lake), lake.latest_commit_id()
    venue.dies_after = 0
    step, more = STEPS[call]
    with pytest.raises(NoAnswerError, match=call):
        run(step, lake, venue, DAY, RULES, *more)
    assert (hashes(lake), lake.latest_commit_id()) == (before, commit)


def test_a_venue_that_dies_half_way_loses_no_answer(lake: Lake):
    venue = venue_of_three_markets()
    run(discovery.read_markets, lake, venue, DAY, RULES)
    venue.dies_after = len(venue.calls) + 2
    found = run(discovery.score_markets, lake, venue, DAY, RULES, STAMP, limit=1)
    assert [problem.subject for problem in found.problems] == [condition(3)]
    assert shown(lake, "SELECT count(*) FROM fills") == [(14,)]


def test_only_markets_of_selected_events_are_searched(lake: Lake):
    venue = venue_of_three_markets()
    venue.boards.clear()
    venue.listed[0]["liquidity_usdc"] = 900_000.0
    found = discover(lake, venue, rules=replace(RULES, selected_events=1))
    assert venue.asked("market_trades")[3:] == [condition(1)]
    assert found.counts == {"HOLDER": 2, "TRADER_RECENT": 1, "LEADERBOARD": 0}


def test_a_wallet_belongs_to_the_best_of_the_markets_that_name_it(lake: Lake):
    venue = venue_of_three_markets()
    venue.listed = [market(1), market(2, liquidity_usdc=900_000.0)]
    venue.held = {condition(n): [holding(12, n, 10), holding(13, n, 10)] for n in (1, 2)}
    discover(lake, venue)
    markets = "SELECT discovered_in_market FROM wallets WHERE discovered_from = 'HOLDER'"
    assert shown(lake, markets) == [(condition(2),), (condition(2),)]


def test_a_feed_is_read_to_its_depth_and_no_further(lake: Lake):
    venue = HandMadeVenue(listed=[market(1)], page_rows=10)
    venue.trades = [fill(number // 5, 1, NOW - timedelta(seconds=number)) for number in range(200)]
    found = discover(lake, venue)
    assert found.counts["TRADER_RECENT"] == 150 / 5


def test_a_wallet_of_another_day_is_not_new(lake: Lake):
    venue = venue_of_three_markets()
    discover(lake, venue)
    venue.at = NOW + timedelta(days=1)
    venue.boards["OVERALL", "WEEK"].append(place(32, 3))
    found = discover(lake, venue, venue.at.date())
    assert found.new_wallets == (address(32),)
    with lake.snapshot() as now:
        assert now.read(WALLETS).height == 5
        assert now.read(WALLETS)["proxy_wallet"].is_unique().all()


def test_a_later_source_is_recorded_and_the_first_stays(lake: Lake):
    venue = venue_of_three_markets()
    discover(lake, venue)
    venue.at = NOW + timedelta(days=1)
    venue.held[condition(3)] = [holding(31, 3, 5)]
    discover(lake, venue, venue.at.date())
    assert shown(
        lake, f"SELECT discovered_from FROM wallets WHERE proxy_wallet = '{address(31)}'"
    ) == [("LEADERBOARD",)]
    sources = f"SELECT source, seen_at FROM wallet_sources WHERE proxy_wallet = '{address(31)}'"
    assert sorted(shown(lake, sources)) == [("HOLDER", venue.at), ("LEADERBOARD", NOW)]


class OvertakenVenue(HandMadeVenue):
    """While it answers the first feed, the pass of the next day runs from start to end."""

    overtake: Callable[[], None] | None = None

    async def market_trades(self, *arguments: Any, **more: Any) -> Any:
        if self.overtake:
            overtake, self.overtake = self.overtake, None
            await asyncio.to_thread(overtake)
        return await super().market_trades(*arguments, **more)


def test_passes_of_two_days_at_once_add_a_wallet_once(lake: Lake):
    tomorrow = venue_of_three_markets()
    tomorrow.at = NOW + timedelta(days=1)
    today = OvertakenVenue(**vars(venue_of_three_markets()))
    run(discovery.read_markets, lake, today, DAY, RULES)
    run(discovery.read_holders, lake, today, DAY, RULES)
    run(discovery.score_markets, lake, today, DAY, RULES, STAMP)
    run(discovery.read_leaderboard, lake, today, DAY, RULES)
    found: list[Discovered] = []
    today.overtake = lambda: found.append(discover(lake, tomorrow, tomorrow.at.date()))
    found.append(run(discover_wallets, lake, today, DAY, RULES))
    assert [len(each.new_wallets) for each in found] == [4, 0]
    assert shown(lake, "SELECT count(*), count(DISTINCT proxy_wallet) FROM wallets") == [(4, 4)]


def test_a_pass_waits_for_the_one_that_adds_wallets(lake: Lake):
    venue = venue_of_three_markets()
    discover(lake, replace(venue, boards={}, trades=[], held={}))
    run(discovery.read_leaderboard, lake, venue, DAY, RULES)
    impatient = Lake(lake.root, threads=1, lock_deadline_s=0.05)
    with held(lake.root / "locks" / LOCK), pytest.raises(LockTimeoutError):
        run(discover_wallets, impatient, venue, DAY, RULES)
    assert shown(lake, "SELECT count(*) FROM wallets") == [(0,)]
    assert run(discover_wallets, impatient, venue, DAY, RULES).commit.rows(WALLETS) == 4


# ── asking ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_is_asked_at_once_than_is_allowed(lake: Lake, limit: int):
    venue = HandMadeVenue(listed=[market(number) for number in range(12)])
    run(discovery.read_markets, lake, venue, DAY, RULES)
    run(discovery.read_holders, lake, venue, DAY, RULES, limit=limit)
    assert venue.most_at_once == limit


def test_a_cancelled_reading_asks_no_more_and_commits_nothing(lake: Lake):
    venue = HandMadeVenue(listed=[market(number) for number in range(12)])
    run(discovery.read_markets, lake, venue, DAY, RULES)
    commit = lake.latest_commit_id()

    async def cancelled() -> None:
        limit = asyncio.Semaphore(2)
        reading = asyncio.create_task(
            discovery.read_holders(lake, venue, DAY, RULES, at_once=limit)
        )
        for _ in range(3):
            await asyncio.sleep(0)
        assert venue.asked("holders")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not limit.locked()

    asyncio.run(cancelled())
    assert len(venue.asked("holders")) <= 4
    assert (venue._open, lake.latest_commit_id()) == (0, commit)


def test_a_fault_of_ours_is_no_problem_of_the_venue():
    async def broken(subject: str) -> None:
        raise ZeroDivisionError(subject)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(discovery_answers.each("a", broken, asyncio.Semaphore(1)))
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(
    ("step", "table"),
    [
        ((discovery.read_holders, ()), MARKETS),
        ((discovery.score_markets, (STAMP,)), MARKETS),
        ((discover_wallets, ()), MARKET_SCORES),
    ],
    ids=["holders", "scores", "wallets"],
)
def test_a_step_without_the_one_before_it_says_so(lake: Lake, step: Any, table: Any):
    function, more = step
    with pytest.raises(EvaluatorError) as caught:
        run(function, lake, HandMadeVenue(), DAY, RULES, *more)
    assert str(caught.value) == f"there is no {table.name} of 2026-03-10"


# ── new fills ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keyed", [False, True], ids=["texts", "surrogates"])
def test_only_fills_that_are_not_there_are_new(lake: Lake, keyed: bool):
    venue = venue_of_three_markets()
    run(discovery.read_markets, lake, venue, DAY, RULES)
    run(discovery.score_markets, lake, venue, DAY, RULES, STAMP)
    venue.trades += [fill(11, 2, NOW - 2 * HOUR), fill(77, 3, NOW - 40 * HOUR)]
    walks = [
        asyncio.run(venue.wallet_trades(address(number), max_pages=9)) for number in (11, 21, 77)
    ]
    rows = pl.concat(walk.found.rows for walk in walks)
    with lake.snapshot() as now:
        if keyed:
            rows = rows.filter(pl.col("proxy_wallet") != address(77)).with_columns(
                pl.col("proxy_wallet").map_elements(surrogate, return_dtype=pl.Int64)
            )
        fresh = new_fills.unseen(now, rows)
        said = new_fills.described(now, fresh)
    older = 5  # of wallet 11 in market 2, of more than a day ago
    if keyed:
        assert said == new_fills.NewFills((address(11),), older + 1, NOW - 2 * HOUR)
    else:
        expected = (address(11), address(77))
        assert said == new_fills.NewFills(expected, older + 2, NOW - 2 * HOUR)


def test_new_fills_of_several_commits_are_told_as_one():
    one = new_fills.NewFills(("0xb",), 2, NOW)
    two = new_fills.NewFills(("0xa", "0xb"), 3, NOW - HOUR)
    assert new_fills.together([one, new_fills.NewFills(), two]) == new_fills.NewFills(
        ("0xa", "0xb"), 5, NOW
    )
    assert new_fills.together([]) == new_fills.NewFills()


def test_the_sources_of_a_wallet_are_those_of_every_day(lake: Lake):
    discover(lake, venue_of_three_markets())
    with lake.snapshot() as now:
        assert now.partitions(WALLETS) == (partitions.day(DAY),)
        assert now.partitions(WALLET_SOURCES) == (partitions.SINGLE,)
