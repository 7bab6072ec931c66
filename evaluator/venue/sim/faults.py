"""Faults that a venue shows now and then, injected on demand and decided by a seed.

A question that has failed a few times in a row is answered, and no page is spoilt in a way that
hides a row: what a patient client can read in the end is the same as without faults.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, fields

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evaluator.venue.sim.ask import PageFaults

PAGE_FAULTS = "sim.page_faults"
"""Where a request's scope holds its `PageFaults`."""

CONTROL = "/_sim"
"""Paths below this are the simulation's own: never faulty, never counted."""

_ENDINGS = ("rate_limited", "server_error", "slow", "stalled", "truncated", "dropped")
_PAGES = ("duplicated", "shifted", "shuffled")
_ERRORS = (500, 502, 503, 504)
_MOST_SHIFT, _MOST_OVERLAP = 25, 20
_REMEMBERED = 200_000


class DroppedError(Exception):
    """The connection is cut in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Probability of each fault per request; at most one of the first six befalls a request.

    `duplicated` shows the end of the page before again, `shifted` moves pages by offset as new
    rows do, `shuffled` mixes the rows of a page. After `most_in_a_row` failures of one question
    it is answered. Raises ValueError for what is no probability.
    """

    seed: int = 0
    rate_limited: float = 0.0
    server_error: float = 0.0
    slow: float = 0.0
    stalled: float = 0.0
    truncated: float = 0.0
    dropped: float = 0.0
    duplicated: float = 0.0
    shifted: float = 0.0
    shuffled: float = 0.0
    slow_s: float = 0.05
    stall_s: float = 30.0
    retry_after_s: int = 1
    most_in_a_row: int = 3

    def __post_init__(self) -> None:
        for name in (*_ENDINGS, *_PAGES):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be 0 to 1")
        if sum(getattr(self, name) for name in _ENDINGS) > 1:
            raise ValueError(f"{', '.join(_ENDINGS)} together must be at most 1")
        for name in ("slow_s", "stall_s", "retry_after_s", "most_in_a_row"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")

    @classmethod
    def of(cls, values: object) -> "Faults":
        """Faults out of JSON; raises ValueError for anything that is not a field of theirs."""
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not set(values) <= names:
            raise ValueError(f"expected an object with some of {', '.join(sorted(names))}")
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values.values()):
            raise ValueError("every value must be a number")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Decision:
    """What befalls one request: an ending, None for a good one, and how its page is spoilt."""

    ending: str | None
    page: PageFaults
    draw: random.Random


class Plan:
    """Decides what befalls each request: by seed, question, and how often it has been asked.

    `befallen` counts requests by fault, `asked` all that were decided while there were faults.
    """

    def __init__(self, faults: Faults | None) -> None:
        self.faults = faults
        self.befallen: Counter[str] = Counter(dict.fromkeys(("asked", *_ENDINGS, *_PAGES), 0))
        self._asked: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._shift = 0

    def decide(self, question: str) -> Decision:
        """The next decision about a question."""
        faults = self.faults
        if faults is None:
            return Decision(None, PageFaults(shift=self._shift), random.Random(0))
        if len(self._asked) > _REMEMBERED:
            self._asked.clear()
        number = self._asked[question] = self._asked.get(question, 0) + 1
        draw = random.Random(f"{faults.seed} {number} {question}")
        ending = self._ending(faults, question, draw.random())
        self.befallen.update(["asked"] if ending is None else ["asked", ending])
        return Decision(ending, self._page(faults, draw), draw)

    def _ending(self, faults: Faults, question: str, drawn: float) -> str | None:
        in_a_row = self._failed.pop(question, 0)
        if in_a_row >= faults.most_in_a_row:
            return None
        for name in _ENDINGS:
            drawn -= getattr(faults, name)
            if drawn < 0:
                if name != "slow":
                    self._failed[question] = in_a_row + 1
                return name
        return None

    def _page(self, faults: Faults, draw: random.Random) -> PageFaults:
        """A shift only ever grows: were it to shrink, rows would slip between two pages."""
        overlap = draw.randint(1, _MOST_OVERLAP) if draw.random() < faults.duplicated else 0
        is_shifted = draw.random() < faults.shifted
        if is_shifted:
            self._shift = min(_MOST_SHIFT, self._shift + draw.randint(1, 5))
        shuffle = draw if draw.random() < faults.shuffled else None
        happened = (overlap > 0, is_shifted, shuffle is not None)
        self.befallen.update(name for name, did in zip(_PAGES, happened, strict=True) if did)
        return PageFaults(overlap=overlap, shift=self._shift, shuffle=shuffle)


class FaultInjection:
    """Middleware that spoils answers as a plan says."""

    def __init__(self, app: ASGIApp, plan: Plan) -> None:
        self._app, self._plan = app, plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or fail to."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        question = f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}"
        decision = self._plan.decide(question)
        scope[PAGE_FAULTS] = decision.page
        match decision.ending:
            case "rate_limited" | "server_error":
                await self._refuse(decision)(scope, receive, send)
            case "truncated" | "dropped":
                await self._cut(scope, receive, send, decision)
            case _:
                await self._late(scope, receive, send, decision.ending)

    def _refuse(self, decision: Decision) -> JSONResponse:
        faults = self._plan.faults or Faults()
        if decision.ending == "server_error":
            return JSONResponse({"error": "internal error"}, decision.draw.choice(_ERRORS))
        return too_many(faults.retry_after_s)

    async def _late(self, scope: Scope, receive: Receive, send: Send, ending: str | None) -> None:
        faults = self._plan.faults or Faults()
        if ending is not None:
            await asyncio.sleep(faults.slow_s if ending == "slow" else faults.stall_s)
        if ending == "stalled":
            raise DroppedError
        await self._app(scope, receive, send)

    async def _cut(self, scope: Scope, receive: Receive, send: Send, decision: Decision) -> None:
        """Send a part of the answer: as if it were all, or until the connection breaks."""
        start, body = await self._answer(scope, receive)
        kept = body[: decision.draw.randrange(max(1, len(body)))]
        length = len(kept) if decision.ending == "truncated" else len(body) + 1
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(length).encode()))
        await send({**start, "headers": headers})
        is_dropped = decision.ending == "dropped"
        await send({"type": "http.response.body", "body": kept, "more_body": is_dropped})
        if is_dropped:
            raise DroppedError

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def too_many(retry_after_s: int) -> JSONResponse:
    """A 429 that says when to come back."""
    headers = {"Retry-After": str(retry_after_s)}
    return JSONResponse({"error": "Too Many Requests"}, 429, headers)
