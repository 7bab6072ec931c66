"""One way to ask the venue: within its limits, with retries, deadlines, a breaker, a trace.

What is asked and what answers mean is decided elsewhere; here an answer is any JSON value.
"""

import asyncio
import json
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar

import httpx
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from evaluator.venue.api.circuit import Circuit
from evaluator.venue.api.endpoints import Endpoint, Hosts
from evaluator.venue.api.errors import (
    CircuitOpenError,
    DeadlineExceededError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    VenueFaultError,
    VenueTimeoutError,
    VenueUnavailableError,
)
from evaluator.venue.api.limits import Limiter
from evaluator.venue.api.tally import Tally

Params = Mapping[str, str | int | float | bool | list[str]]
Answer = TypeVar("Answer")

_NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 404, 429, 500
_RETRIED = frozenset({408, 425, _TOO_MANY})
_SAID = 200
MOST_IN_FLIGHT = 64
"""Questions of one group of paths that wait for their turn or an answer at the same time; others
queue before them in order. So no request takes a grant and then waits for a connection, and the
limiter has few to wake, however much is asked at once."""

_logger = logging.getLogger(__name__)
_tracer = trace.get_tracer("evaluator.venue")


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a request is."""

    max_attempts: int = 6
    timeout_s: float = 20.0
    deadline_s: float = 120.0
    backoff_s: float = 0.5
    longest_backoff_s: float = 20.0
    longest_retry_after_s: float = 60.0
    largest_answer_bytes: int = 64 * 1024 * 1024
    circuit_threshold: int = 20
    circuit_cool_down_s: float = 30.0

    def wait_s(self, attempt: int, retry_after_s: float | None, draw: float) -> float:
        """Pause after a failed attempt: full jitter over a doubling range, or the host's wish.

        `draw` is uniform in [0, 1). The host's wish counts as a least, up to a bound.
        """
        widest = min(self.longest_backoff_s, self.backoff_s * 2.0 ** (attempt - 1))
        asked = min(retry_after_s or 0.0, self.longest_retry_after_s)
        return max(asked, widest * draw)


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time and chance come from: real ones, or a test's."""

    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[], float] = random.random


REAL = Timing()
"""The real clocks and chance."""


@dataclass(frozen=True, slots=True)
class _Question:
    endpoint: Endpoint
    params: Params
    body: Any


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: httpx.Headers
    body: bytes

    def said(self) -> str:
        """The beginning of the host's own words, on one line."""
        return " ".join(self.body[: 4 * _SAID].decode(errors="replace").split())[:_SAID]


@dataclass(frozen=True, slots=True)
class Transport:
    """Asks the hosts, within one event loop.

    `circuits` holds one breaker per base URL, `queues` the places in flight per group of paths.
    """

    http: httpx.AsyncClient
    hosts: Hosts
    limiter: Limiter
    tally: Tally
    policy: Policy
    timing: Timing = REAL
    circuits: dict[str, Circuit] = field(default_factory=dict)
    queues: dict[tuple[str, str], asyncio.Semaphore] = field(default_factory=dict)

    async def get_json(
        self,
        endpoint: Endpoint,
        params: Params,
        read: Callable[[Endpoint, Any], Answer],
        body: Any = None,
    ) -> Answer:
        """The answer as `read` understands it; one that it finds malformed is asked for again.

        The deadline counts from when a place in flight is free. Raises RequestRefusedError at
        once, and a VenueFaultError after the last attempt.
        """
        async with self._queue(endpoint):
            return await self._ask(_Question(endpoint, params, body), read)

    def _queue(self, endpoint: Endpoint) -> asyncio.Semaphore:
        group = endpoint.host, endpoint.group
        return self.queues.setdefault(group, asyncio.Semaphore(MOST_IN_FLIGHT))

    async def _ask(self, question: _Question, read: Callable[[Endpoint, Any], Answer]) -> Answer:
        deadline = self.timing.monotonic() + self.policy.deadline_s
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(question, read, attempt, deadline)
            except (CircuitOpenError, DeadlineExceededError):
                raise
            except VenueFaultError as fault:
                await self._pause(fault, attempt, deadline)

    async def _pause(self, fault: VenueFaultError, attempt: int, deadline: float) -> None:
        """Wait before the next attempt; raises the fault after the last, or at the deadline."""
        if attempt >= self.policy.max_attempts:
            raise fault
        wait = self.policy.wait_s(attempt, fault.retry_after_s, self.timing.draw())
        if self.timing.monotonic() + wait >= deadline:
            problem = f"gave up after {attempt} attempts, at the deadline; last: {fault.problem}"
            raise DeadlineExceededError(fault.endpoint, problem, fault.retry_after_s) from fault
        await self.timing.sleep(wait)

    async def _attempt(
        self,
        question: _Question,
        read: Callable[[Endpoint, Any], Answer],
        attempt: int,
        deadline: float,
    ) -> Answer:
        """One request, when it is its turn; raises where that is not before the deadline."""
        endpoint = question.endpoint
        if not await self.limiter.acquire(endpoint, self.timing.sleep, deadline):
            raise DeadlineExceededError(endpoint.name, "no place within the rate limit in time")
        try:
            return await self._request(question, read, attempt, deadline)
        finally:
            self.limiter.end(endpoint)

    async def _request(
        self,
        question: _Question,
        read: Callable[[Endpoint, Any], Answer],
        attempt: int,
        deadline: float,
    ) -> Answer:
        """One request, counted and traced whatever becomes of it."""
        endpoint = question.endpoint
        circuit = self._circuit(endpoint)
        self._check(circuit, endpoint)
        began = self.timing.monotonic()
        status = "cancelled"
        with _span(endpoint, self.hosts, attempt) as span:
            try:
                reply = await self._send(question, deadline - began)
                status = str(reply.status)
                span.set_attribute("http.response.status_code", reply.status)
                answer = read(endpoint, self._answer(endpoint, reply))
            except VenueFaultError as fault:
                status = _status_of(fault, status)
                span.set_status(Status(StatusCode.ERROR, fault.code))
                self._note(circuit, fault)
                raise
            finally:
                circuit.ended(is_answered=status.isdigit() and int(status) < _SERVER_ERROR)
                seconds = self.timing.monotonic() - began
                self.tally.count(endpoint.name, status, seconds=seconds, is_retry=attempt > 1)
        return answer

    def _note(self, circuit: Circuit, fault: VenueFaultError) -> None:
        """A host that limits us is alive; any other fault is its failure."""
        if isinstance(fault, RateLimitedError):
            return
        if circuit.failed(self.timing.monotonic()):
            problem = "%s: failed %d times in a row, asked nothing for %.0f s"
            _logger.warning(
                problem, fault.endpoint, circuit.threshold, self.policy.circuit_cool_down_s
            )

    def _circuit(self, endpoint: Endpoint) -> Circuit:
        fresh = Circuit(self.policy.circuit_threshold, self.policy.circuit_cool_down_s)
        return self.circuits.setdefault(self.hosts.base(endpoint.host), fresh)

    def _check(self, circuit: Circuit, endpoint: Endpoint) -> None:
        """Raises where the host's breaker is open."""
        wait = circuit.wait_s(self.timing.monotonic())
        if wait > 0:
            self.tally.count(endpoint.name, "circuit_open", seconds=0.0, is_retry=False)
            raise CircuitOpenError(endpoint.name, self.hosts.base(endpoint.host), wait)

    async def _send(self, question: _Question, left_s: float) -> _Reply:
        """The response, its body read within the bounds of time and size."""
        endpoint = question.endpoint
        url = self.hosts.base(endpoint.host) + endpoint.path
        opened = self.http.stream(
            endpoint.method, url, params=dict(question.params), json=question.body
        )
        try:
            async with (
                asyncio.timeout(max(0.0, min(self.policy.timeout_s, left_s))),
                opened as response,
            ):
                body = await self._read(endpoint, response)
                return _Reply(response.status_code, response.headers, body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise VenueTimeoutError(endpoint.name, "no answer in time") from error
        except httpx.DecodingError as error:
            raise MalformedAnswerError(endpoint.name, "the answer cannot be decoded") from error
        except httpx.TransportError as error:
            problem = f"not reached or cut off ({type(error).__name__})"
            raise VenueUnavailableError(endpoint.name, problem) from error

    async def _read(self, endpoint: Endpoint, response: httpx.Response) -> bytes:
        """The body; raises MalformedAnswerError once it is larger than allowed."""
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self.policy.largest_answer_bytes:
                problem = f"an answer of more than {self.policy.largest_answer_bytes} bytes"
                raise MalformedAnswerError(endpoint.name, problem)
        return bytes(body)

    def _answer(self, endpoint: Endpoint, reply: _Reply) -> Any:
        """The JSON of a good response; raises what the status means for any other."""
        if not httpx.codes.is_success(reply.status):
            self._refuse(endpoint, reply)
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise MalformedAnswerError(endpoint.name, "the answer is no JSON") from error

    def _refuse(self, endpoint: Endpoint, reply: _Reply) -> NoReturn:
        status = reply.status
        if status in _RETRIED or status >= _SERVER_ERROR:
            kind = RateLimitedError if status == _TOO_MANY else VenueUnavailableError
            wish = retry_after_s(reply.headers.get("retry-after"), self.timing.clock())
            raise kind(endpoint.name, f"answered {status}", wish)
        said = reply.headers.get("location") or reply.said()
        kind_of_refusal = NotFoundError if status == _NOT_FOUND else RequestRefusedError
        raise kind_of_refusal(endpoint.name, status, said)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as a date; None unread."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not math.isnan(seconds):
        return max(0.0, seconds)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (zoned - now).total_seconds())


def _status_of(fault: VenueFaultError, status: str) -> str:
    """What the tally calls a failed request: its HTTP status, else the kind of fault."""
    if isinstance(fault, MalformedAnswerError) or not status.isdigit():
        return fault.code.removeprefix("venue_")
    return status


def _span(endpoint: Endpoint, hosts: Hosts, attempt: int) -> Any:
    """A span of one request: no parameter, hence no wallet, in its name or attributes."""
    attributes: dict[str, str | int] = {
        "http.request.method": endpoint.method,
        "server.address": httpx.URL(hosts.base(endpoint.host)).host,
        "url.template": endpoint.path,
        "http.request.resend_count": attempt - 1,
    }
    return _tracer.start_as_current_span(
        f"{endpoint.method} {endpoint.path}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )
