"""Features of new wallets at once: their histories, lots, rows and outcomes, for them alone.

Which wallets wait is in `new_wallets`. No retries of its own: a wallet that fails is left to
the batch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Literal

import polars as pl
from opentelemetry import trace

from evaluator.domain import ids
from evaluator.domain.errors import EvaluatorError
from evaluator.domain.features.history import Cell
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_FEATURES_ON_DEMAND
from evaluator.domain.tables.history import ACTIVITY, FILLS, ON_DEMAND_OUTCOMES
from evaluator.stages import features, history, on_demand_reading, some_wallets
from evaluator.stages.new_fills import NewFills
from evaluator.stages.on_demand_reading import Histories, Reading
from evaluator.stages.problems import Problem
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit, Place, Upsert
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.api.errors import NotFoundError
from evaluator.venue.fill_rows import ADDRESS
from evaluator.venue.quarantine import no_rows

Word = Literal["computed", "insufficient_trades", "not_found", "failed"]

ON_DEMAND = "on_demand"
"""`source` of the rows."""

_NO_ANSWER = "the venue stopped answering before it was asked"
_BROKEN = (pl.exceptions.PolarsError, ArithmeticError, ValueError, TypeError)
_tracer = trace.get_tracer(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """Addresses to evaluate, the day of their rows, and which attempt of which run it is."""

    wallets: tuple[str, ...]
    day: date
    attempt: int = 1
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one wallet; `seconds` from its discovery to the row, null if never discovered."""

    proxy_wallet: str
    outcome: Word
    settled_count: int | None = None
    error: str | None = None
    fetch_s: float = 0.0
    seconds: float | None = None

    @property
    def warning(self) -> str:
        """What a person should know; empty where the wallet has its row."""
        match self.outcome:
            case "insufficient_trades":
                return f"{self.proxy_wallet}: no row, it has {self.settled_count} settled trades"
            case "not_found":
                return f"{self.proxy_wallet}: no row, the venue knows nothing of it"
            case "failed":
                return f"{self.proxy_wallet}: no row, the batch tries again: {self.error}"
        return ""

    def figures(self) -> dict[str, str | float]:
        """What is known of it, without nulls."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a run has committed: an outcome per wallet asked for, and the fills that were new.

    `problems` are markets that could not be read.
    """

    commit: Commit
    outcomes: tuple[Outcome, ...]
    new_fills: NewFills
    problems: tuple[Problem, ...] = ()

    def words(self) -> dict[str, Word]:
        """Outcome by address; keys that are none are left out."""
        return {
            each.proxy_wallet: each.outcome
            for each in self.outcomes
            if re.fullmatch(ADDRESS, each.proxy_wallet)
        }


async def compute(lake: Lake, reading: Reading, asked: Asked, stamp: Stamp) -> Evaluated:
    """Read, build lots, compute features and commit, for exactly these wallets.

    Histories, lots and states appear in one commit, rows and outcomes in the next. A wallet
    that fails costs the others nothing, and the same call again gives the same rows. Raises
    only where not even the outcomes can be committed.
    """
    with _tracer.start_as_current_span("on_demand_features"):
        run = _Run(reading, asked, stamp, reading.venue.now())
        return _publish(lake, await _found(lake, run), run)


@dataclass(frozen=True, slots=True)
class _Run:
    """What was asked, and what rows and outcomes carry of the run that made them."""

    reading: Reading
    asked: Asked
    stamp: Stamp
    began_at: datetime

    @property
    def cell(self) -> Cell:
        """Day and window of the rows."""
        return Cell(self.asked.day, self.reading.rules.window_days)


@dataclass(frozen=True, slots=True)
class _Found:
    """Outcomes, and the features of all wallets that have some, below the gate or not."""

    outcomes: tuple[Outcome, ...]
    rows: pl.DataFrame | None = None
    new_fills: NewFills = field(default_factory=NewFills)
    problems: tuple[Problem, ...] = ()


async def _found(lake: Lake, run: _Run) -> _Found:
    """Everything up to the last commit; an error that concerns all wallets fails all of them."""
    asked = run.asked
    wallets = [name for name in asked.wallets if re.fullmatch(ADDRESS, name)]
    strange = tuple(Outcome(name, "not_found") for name in asked.wallets if name not in wallets)
    if not wallets:
        return _Found(strange)
    try:
        histories = await on_demand_reading.read(lake, run.reading, wallets, asked.day)
    except EvaluatorError as error:
        return _Found((*_all_failed(wallets, error), *strange))
    found = _evaluated(lake, run, wallets, histories)
    return replace(found, outcomes=(*found.outcomes, *strange))


def _evaluated(lake: Lake, run: _Run, wallets: Sequence[str], histories: Histories) -> _Found:
    """Histories and lots committed; the features that follow from them."""
    new_fills = NewFills()
    try:
        new_fills = on_demand_reading.publish(lake, histories, run.asked.day)
        with lake.snapshot() as now:
            read = on_demand_reading.keys(list(histories.fetched.coverages)).to_frame()
            rows, broken = _rows(now, read, run.cell)
            known = _with_history(now, read)
    except EvaluatorError as error:
        return _Found(_all_failed(wallets, error), None, new_fills, histories.problems)
    settled = dict(rows.select("proxy_wallet", "settled_count").iter_rows())
    judge = _Judge(histories, settled, broken, known, run.reading.rules.min_settled)
    return _Found(tuple(map(judge.outcome, wallets)), rows, new_fills, histories.problems)


@dataclass(frozen=True, slots=True)
class _Judge:
    """What is known of the wallets; those of `settled` are keyed by surrogate, as are others."""

    histories: Histories
    settled: Mapping[int, int]
    broken: Mapping[int, str]
    known: frozenset[int]
    min_settled: int

    def outcome(self, name: str) -> Outcome:
        """What comes of one wallet."""
        key, spent = ids.surrogate(name), self.histories.seconds.get(name, 0.0)
        error = self._errors().get(name) or self.broken.get(key)
        if error and error.startswith(NotFoundError.__name__):
            return Outcome(name, "not_found", fetch_s=spent)
        if error:
            return Outcome(name, "failed", error=error, fetch_s=spent)
        if key not in self.known:
            return Outcome(name, "not_found", fetch_s=spent)
        count = self.settled[key]
        word: Word = "computed" if count >= self.min_settled else "insufficient_trades"
        return Outcome(name, word, count, fetch_s=spent)

    def _errors(self) -> dict[str, str]:
        fetched = self.histories.fetched
        return dict.fromkeys(fetched.skipped, _NO_ANSWER) | {
            problem.subject: problem.error for problem in fetched.problems
        }


def _rows(now: Snapshot, wallets: pl.DataFrame, cell: Cell) -> tuple[pl.DataFrame, dict[int, str]]:
    """Features of all wallets that have some; halves the wallets until the failing are alone."""
    try:
        return some_wallets.rows(now, wallets, cell), {}
    except _BROKEN as error:
        if wallets.height == 1:
            told = {wallets["proxy_wallet"].item(): _told(error)}
            return some_wallets.rows(now, wallets.clear(), cell), told
        middle = wallets.height // 2
        left, left_broken = _rows(now, wallets[:middle], cell)
        right, right_broken = _rows(now, wallets[middle:], cell)
        return pl.concat([left, right]), left_broken | right_broken


def _with_history(now: Snapshot, wallets: pl.DataFrame) -> frozenset[int]:
    """Those of the wallets that have ever done anything."""
    where, theirs = some_wallets.of_wallets(wallets["proxy_wallet"])
    return frozenset(
        key
        for table in (FILLS, ACTIVITY)
        for key in now.read(table, partitions=where, columns=["proxy_wallet"], **theirs)[
            "proxy_wallet"
        ].unique()
    )


def _publish(lake: Lake, found: _Found, run: _Run) -> Evaluated:
    """Rows above the gate that the batch has not got, and the outcomes, in one commit."""
    with lake.snapshot() as now:
        discovered = _discovered(now, [each.proxy_wallet for each in found.outcomes])
        rows = dict(_upserts(now, found, run))
    ended_at = run.reading.venue.now()
    outcomes = tuple(
        replace(each, seconds=(ended_at - at).total_seconds())
        if (at := discovered.get(each.proxy_wallet))
        else each
        for each in found.outcomes
    )
    frame = pl.DataFrame(
        [
            {
                **asdict(each),
                "attempt": run.asked.attempt,
                "run_id": run.asked.run_id,
                "discovered_at": discovered.get(each.proxy_wallet),
                "started_at": run.began_at,
                "ended_at": ended_at,
            }
            for each in outcomes
        ],
        schema_overrides=no_rows(ON_DEMAND_OUTCOMES).schema,
    ).select(ON_DEMAND_OUTCOMES.schema.names())
    commit = lake.commit(
        upsert={**rows, (ON_DEMAND_OUTCOMES, partitions.SINGLE): frame}, what="on demand"
    )
    return Evaluated(commit, outcomes, found.new_fills, found.problems)


def _upserts(now: Snapshot, found: _Found, run: _Run) -> Iterator[tuple[Place, Upsert]]:
    """The rows of the day; a wallet evaluated again loses the row that it had, or has a new one."""
    if found.rows is None:
        return
    cell, rows = run.cell, found.rows
    where = [partitions.day_window(cell.day, cell.window_days)]
    of_batch = now.read(
        WALLET_FEATURES,
        partitions=where,
        columns=["proxy_wallet"],
        **history.among("proxy_wallet", rows["proxy_wallet"]),
    )
    ours = rows.join(of_batch, on="proxy_wallet", how="anti", maintain_order="left")
    if ours.is_empty():
        return
    enough = ours.filter(pl.col("settled_count") >= run.reading.rules.min_settled)
    stamped = features.stamped(enough, cell, run.stamp).with_columns(source=pl.lit(ON_DEMAND))
    place = (WALLET_FEATURES_ON_DEMAND, partitions.day(cell.day))
    yield place, Upsert(stamped, ours.select("proxy_wallet"))


def _discovered(now: Snapshot, wallets: Sequence[str]) -> dict[str, datetime]:
    """When each of the wallets was discovered."""
    wanted = history.among("proxy_wallet", on_demand_reading.keys(wallets))
    rows = now.read(WALLETS, columns=["proxy_wallet", "discovered_at"], **wanted)
    first = dict(rows.sort("discovered_at", descending=True).iter_rows())
    keyed = {name: ids.surrogate(name) for name in wallets}
    return {name: first[key] for name, key in keyed.items() if key in first}


def _all_failed(wallets: Sequence[str], error: EvaluatorError) -> tuple[Outcome, ...]:
    return tuple(Outcome(name, "failed", error=_told(error)) for name in wallets)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
