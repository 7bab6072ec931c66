"""The simulated world: a pure function of its rules and of time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path as Folder

import numpy as np
import polars as pl

from evaluator.venue.sim import books, chatter, frames, names, planted
from evaluator.venue.sim.agents import Population
from evaluator.venue.sim.bursts import NO_BURSTS, PATIENCE_S, Bursts, bursts
from evaluator.venue.sim.events import Plan, Schedule, daily_load
from evaluator.venue.sim.paths import Path, path
from evaluator.venue.sim.play import Played, play, scene
from evaluator.venue.sim.plays import Plays
from evaluator.venue.sim.rules import DAY_S, Book, History, Level, WorldRules

__all__ = ["Book", "History", "Level", "World", "WorldRules"]


class World:
    """Events, agents and what they trade. Methods are pure; what was made is kept in memory.

    For one thread at a time.

    With a folder as `cache`, other processes find it there: one that opens the same world then
    reads what it would have made.
    """

    def __init__(self, rules: WorldRules, *, cache: Folder | None = None) -> None:
        self.rules = rules
        self._schedule = Schedule(rules)
        self._population = Population(rules)
        self._paths: dict[int, Path] = {}
        self._names: dict[int, names.Names] = {}
        self._plays = Plays(rules, cache)
        self._horizon = 0
        self._load = np.zeros((0, 0))
        self._bursts: dict[int, Bursts] = {}
        self._places: dict[str, tuple[int, int]] = {}

    def history(self, until: datetime) -> History:
        """All that happened strictly before `until`."""
        limit = self._limit(until)
        plans = self._schedule.before(limit)
        named = [self._named(plan) for plan in plans]
        paths = [self._path(plan) for plan in plans]
        wallets = self._wallets(limit)
        played = self._plays.first(len(plans), self._play)
        tokens = frames.token_frame(named)
        conditions = tokens.filter(pl.col("outcome_index") == 0).select("event", "condition_id")
        addresses = self._population.addresses(wallets.height)
        return History(
            markets=frames.markets(self.rules, plans, named, paths, limit),
            fills=frames.fills(self.rules, played, tokens, addresses, limit),
            activity=frames.activity(self.rules, played, conditions, addresses, limit),
            comments=chatter.comments(self.rules, plans, named, paths, self._population, limit),
            wallets=wallets,
            read_prices=lambda: self._series(plans, (0, limit)),
        )

    def prices(self, token_ids: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
        """Prices of some tokens in [start, end), every ten minutes while open.

        One row per token and instant: token_id, priced_at, price; nothing for an unknown token.
        """
        low, high = self._limit(start), self._limit(end)
        wanted: dict[Plan, list[int]] = {}
        for token_id in dict.fromkeys(token_ids):
            if (place := self._place(token_id, high)) is not None:
                wanted.setdefault(place[0], []).append(place[1])
        return self._series([*wanted], (low, high), [*wanted.values()])

    def truth(self, until: datetime) -> pl.DataFrame:
        """One row per wallet born before `until`: what was planted. For tests and validation.

        proxy_wallet, style, expected_label (null where the definitions give no one label), skill
        (edge per share of its entries over the price, up to its style's highest chance; null where
        it is what others leave), born_at.
        """
        limit = self._limit(until)
        agents = self._population.before(limit)
        addresses = self._population.addresses(len(agents))
        return planted.truth(self.rules, agents, addresses, self.history(until), until)

    def book(self, token_id: str, at: datetime) -> Book:
        """The order book of a token at an instant. Raises KeyError for a token not there yet."""
        second = (at - self.rules.start) // timedelta(seconds=1)
        place = self._place(token_id, second + 1)
        if place is None:
            raise KeyError(token_id)
        plan, token = place
        return books.book(self.rules, plan, self._path(plan), token, (token_id, at, second))

    def _limit(self, until: datetime) -> int:
        """Whole seconds from the start up to an instant, rounded up."""
        return -((self.rules.start - until) // timedelta(seconds=1))

    def _wallets(self, limit: int) -> pl.DataFrame:
        """One row per wallet born before the limit."""
        agents = self._population.before(limit)
        return pl.DataFrame({"second": agents.born}, schema={"second": pl.Int64()}).select(
            self._population.addresses(len(agents)),
            frames.instant(self.rules.start, pl.col("second")).alias("created_at"),
        )

    def _series(
        self, plans: Sequence[Plan], span: tuple[int, int], tokens: Sequence[Sequence[int]] = ()
    ) -> pl.DataFrame:
        """Prices of all tokens of some events, or of those given for each."""
        ids: list[str] = []
        parts = [frames.NO_SERIES]
        for place, plan in enumerate(plans):
            own = [token for of_market in self._named(plan).token_ids for token in of_market]
            chosen = np.array(tokens[place] if tokens else range(len(own)), dtype=np.int64)
            part = frames.series(plan, self._path(plan), chosen, span)
            parts.append(part.with_columns(pl.col("token") + len(ids)))
            ids += own
        rows = pl.concat(parts)
        return rows.select(
            pl.Series("token_id", ids, dtype=pl.String).gather(rows["token"]),
            frames.instant(self.rules.start, pl.col("second")).alias("priced_at"),
            "price",
        )

    def _place(self, token_id: str, limit: int) -> tuple[Plan, int] | None:
        """Event and token of an id, None where no event that has opened knows it."""
        plans = self._schedule.before(limit)
        for plan in plans[len(self._names) :]:
            self._named(plan)
        number, token = self._places.get(token_id, (len(plans), 0))
        return (plans[number], token) if number < len(plans) else None

    def _named(self, plan: Plan) -> names.Names:
        if plan.number not in self._names:
            named = names.names(self.rules, plan)
            own = [token for of_market in named.token_ids for token in of_market]
            self._places |= {token: (plan.number, place) for place, token in enumerate(own)}
            self._names[plan.number] = named
        return self._names[plan.number]

    def _path(self, plan: Plan) -> Path:
        if plan.number not in self._paths:
            self._paths[plan.number] = path(self.rules, plan)
        return self._paths[plan.number]

    def _play(self, number: int) -> Played:
        """One event's rows up to its end, which the calendar must reach."""
        plan = self._schedule.plan(number)
        self._reach(plan.closes)
        agents = self._population.before(plan.closes)
        mine = self._bursts.get(number, NO_BURSTS)
        return play(self.rules, scene(self.rules, plan, self._path(plan), agents, mine, self._load))

    def _reach(self, second: int) -> None:
        """Extend the load of days and the calendar of bursts to a second."""
        if second <= self._horizon:
            return
        days = second // DAY_S + 30
        self._horizon = days * DAY_S
        plans = self._schedule.before(self._horizon + PATIENCE_S)
        self._load = daily_load(plans, days)
        agents = self._population.before(self._horizon)
        self._bursts = bursts(agents, plans, self._horizon)
