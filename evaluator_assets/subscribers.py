"""Subscribers: sensors that turn events into runs, each event at least once.

What is tried and fails, be it the handler or the run it asked for, is tried three times; then
the event goes to `dead_letters` and the subscriber goes on.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from evaluator.domain.errors import EvaluatorError
from evaluator.stages import dead_letters
from evaluator.stages.dead_letters import Letter
from evaluator.store.lake import Lake
from evaluator_assets import event_log, events, run_outcomes
from evaluator_assets.event_log import Logged
from evaluator_assets.events import AnyEvent, Malformed
from evaluator_assets.run_outcomes import Ended, Waits

ATTEMPTS = 3
ENTRIES_PER_TICK = 500
"""Log entries of each asset that one tick looks at; the rest is the next tick's."""

REQUEST = "evaluator/request"
"""Tag of a run: the request that it answers, whatever restarted it."""

HANDLER_ERRORS = (
    EvaluatorError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a handler may raise without stopping the events after it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What an event asks for: work of one key is done together, for all wallets named."""

    key: str
    wallets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A run to request: its run key, and the work of some events in it."""

    run_key: str
    key: str
    wallets: tuple[str, ...]

    @property
    def tags(self) -> dict[str, str]:
        """What the run must carry for its subscriber to find it."""
        return {REQUEST: self.run_key}


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who wants which events, what they ask for, and how long they are collected for one run.

    `work` may raise; None is for an event that asks for nothing.
    """

    name: str
    kinds: tuple[type[AnyEvent], ...]
    work: Callable[[AnyEvent], Work | None]
    request: Callable[[Order], dg.RunRequest]
    collect_s: float = 0.0

    @property
    def assets(self) -> tuple[str, ...]:
        """Where its events are logged."""
        return events.assets_of(self.kinds)

    def wants(self, event: Logged) -> bool:
        """Whether an event is one of its own, or may be: nobody knows of a malformed one."""
        if event.only_for not in {"", self.name}:
            return False
        return isinstance(event.event, (Malformed, *self.kinds))


@dataclass(frozen=True, slots=True)
class Bus:
    """Where events and runs are, where dead letters go, and what time it is."""

    instance: dg.DagsterInstance
    lake: Lake
    now: datetime


class Asked(BaseModel):
    """Events for which a run has been requested that is not known to have ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_key: str
    attempt: int
    events: tuple[str, ...]


class Position(BaseModel):
    """A subscriber's cursor: all events up to `after` are handled, but for those it names.

    `failed` are the attempts by event that is to be tried again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int = 0
    failed: dict[str, int] = {}
    asked: tuple[Asked, ...] = ()

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """Read a cursor; one that cannot be read starts over."""
        try:
            return cls.model_validate_json(cursor or "{}")
        except ValidationError:
            return cls()


def tick(subscriber: Subscriber, bus: Bus, cursor: str | None) -> dg.SensorResult:
    """One tick: see what became of the runs asked for, then hand over the events since.

    The cursor is a `Position`. A run key follows from the events, so nothing is run twice.
    """
    begun = Position.of(cursor)
    now = _Tick(subscriber, bus, after=begun.after)
    waits = now.settle(begun)
    if waits is None:
        now.take(begun.failed | now.failed)
    else:
        now.failed = begun.failed | now.failed
    dead_letters.bury(bus.lake, now.letters)
    dead_letters.mark_replayed(bus.lake, subscriber.name, now.replayed)
    done = Position(after=now.after, failed=now.failed, asked=tuple(now.asked))
    return dg.SensorResult(
        run_requests=now.requests,
        skip_reason=None if now.requests else waits or now.said,
        cursor=done.model_dump_json(),
    )


@dataclass(slots=True)
class _Tick:
    """What one tick has found and decided so far."""

    subscriber: Subscriber
    bus: Bus
    after: int
    fact: str = ""
    failed: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    requests: list[dg.RunRequest] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)

    @property
    def said(self) -> str:
        """Why no run is requested."""
        again = f"{len(self.failed)} events failed and are tried again" if self.failed else ""
        given_up = f"{len(self.letters)} events are dead letters now" if self.letters else ""
        return "; ".join(part for part in (again, given_up, self.fact) if part)

    def settle(self, begun: Position) -> str | None:
        """See what became of each run; the reason to wait where one has not been started."""
        waits = None
        for asked in begun.asked:
            match run_outcomes.of(self.bus.instance, {REQUEST: asked.run_key}, self.bus.now):
                case Waits(fact=fact, is_started=is_started):
                    self.asked.append(asked)
                    waits = waits if is_started else fact
                case Ended(error=""):
                    self._handled(self._known(asked.events).values())
                case Ended(error=error):
                    tried = dict.fromkeys(asked.events, asked.attempt)
                    for event, attempts in self._again(tried):
                        self._failed(event, attempts, error)
                case None:  # the daemon died before it made the run: ask again
                    self.failed |= dict.fromkeys(asked.events, asked.attempt - 1)
        return waits

    def take(self, failed: Mapping[str, int]) -> None:
        """Hand over events that failed before, and the new ones once they are collected."""
        self.failed = {}
        works: defaultdict[tuple[str, int], list[tuple[Logged, Work]]] = defaultdict(list)
        for event, attempts in (*self._again(failed), *((new, 0) for new in self._new())):
            if work := self._work(event, attempts):
                works[work.key, attempts + 1].append((event, work))
        for (key, attempt), parts in works.items():
            self._ask(key, attempt, parts)

    def _new(self) -> Sequence[Logged]:
        """Events since the last tick that are ours; none while they are being collected."""
        page = event_log.read(
            self.bus.instance, self.subscriber.assets, self.after, ENTRIES_PER_TICK
        )
        mine = [event for event in page.events if self.subscriber.wants(event)]
        if mine and page.is_last and self.subscriber.collect_s:
            left = mine[0].at + timedelta(seconds=self.subscriber.collect_s) - self.bus.now
            if left > timedelta():
                self.after = mine[0].storage_id - 1
                self.fact = (
                    f"{len(mine)} events are collected for {left.total_seconds():.0f} s more"
                )
                return ()
        self.fact = f"no run is needed for {len(mine)} events after {self.after}"
        self.after = page.last_id
        return mine

    def _again(self, failed: Mapping[str, int]) -> Iterator[tuple[Logged, int]]:
        """Failed events with their attempts; those that the log has no longer are given up."""
        known = self._known(failed)
        for event_id, attempts in failed.items():
            if event_id in known:
                yield known[event_id], attempts
            else:
                self._give_up(event_id, "the log has it no longer", attempts)

    def _work(self, event: Logged, attempts: int) -> Work | None:
        """What an event asks for; None where nothing, or where that cannot be told."""
        if isinstance(event.event, Malformed):
            self._failed(event, attempts + 1, event.event.error)
            return None
        try:
            work = self.subscriber.work(event.event)
        except HANDLER_ERRORS as error:
            self._failed(event, attempts + 1, _said(error))
            return None
        if work is None:
            self._handled([event])
        return work

    def _ask(self, key: str, attempt: int, parts: Sequence[tuple[Logged, Work]]) -> None:
        ids = tuple(event.event_id for event, _ in parts)
        wallets = sorted({wallet for _, work in parts for wallet in work.wallets})
        digest = hashlib.blake2b(" ".join(ids).encode(), digest_size=8).hexdigest()
        run_key = f"{self.subscriber.name}/{digest}/{attempt}"
        try:
            self.requests.append(self.subscriber.request(Order(run_key, key, tuple(wallets))))
        except HANDLER_ERRORS as error:
            for event, _ in parts:
                self._failed(event, attempt, _said(error))
        else:
            self.asked.append(Asked(run_key=run_key, attempt=attempt, events=ids))

    def _handled(self, done: Iterable[Logged]) -> None:
        self.replayed |= {event.replay_of for event in done if event.replay_of}

    def _failed(self, event: Logged, attempts: int, error: str) -> None:
        """Have it tried again, or give it up."""
        if attempts < ATTEMPTS:
            self.failed[event.event_id] = attempts
            return
        self._give_up(event.replay_of or event.event_id, error, attempts, event)

    def _give_up(
        self, event_id: str, error: str, attempts: int, event: Logged | None = None
    ) -> None:
        letter = Letter(
            event_id=event_id,
            subscriber=self.subscriber.name,
            event_type=event.kind if event else None,
            payload=event.payload if event else "",
            error=error,
            attempts=attempts,
            failed_at=self.bus.now,
        )
        self.letters.append(letter)

    def _known(self, event_ids: Iterable[str]) -> dict[str, Logged]:
        return event_log.some(self.bus.instance, self.subscriber.assets, event_ids)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
