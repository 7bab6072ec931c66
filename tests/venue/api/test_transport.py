import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.domain.errors import EvaluatorError, PermanentError, TransientError
from evaluator.venue.api import endpoints, transport
from evaluator.venue.api.circuit import Circuit
from evaluator.venue.api.client import VenueClient
from evaluator.venue.api.errors import (
    CircuitOpenError,
    DeadlineExceededError,
    MalformedAnswerError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    VenueError,
    VenueFaultError,
    VenueTimeoutError,
    VenueUnavailableError,
)
from evaluator.venue.api.payloads import LIST
from evaluator.venue.api.transport import Policy, retry_after_s
from tests.venue.api.fake_time import BEGAN, FakeTime
from tests.venue.api.stub_host import Cut, StubHost, Turns

PATH = "/trades"
WALLET = "0x" + "a1" * 20


def ask(client: VenueClient) -> Any:
    async def once() -> Any:
        async with client:
            params = {"user": WALLET}
            return await client.transport.get_json(endpoints.TRADES_V1, params, LIST)

    return asyncio.run(once())


def asked(host: StubHost, clock: FakeTime | None = None, **policy: Any) -> Any:
    clock = clock or FakeTime()
    return ask(host.client(clock.timing(), policy=Policy(**policy)))


def answer_or_fault(host: StubHost, clock: FakeTime, **policy: Any) -> Any:
    try:
        return asked(host, clock, **policy)
    except VenueFaultError as fault:
        return fault


def status(code: int, **headers: str) -> Any:
    return lambda: httpx.Response(code, text="no", headers=headers)


FAULTS = (
    *((code, status(code)) for code in (408, 425, 429, 500, 502, 503, 504)),
    ("connect", lambda: httpx.ConnectError("refused")),
    ("read", lambda: httpx.ReadError("reset")),
    ("timeout", lambda: httpx.ReadTimeout("slow")),
    ("cut off", lambda: httpx.Response(200, stream=Cut())),
    ("truncated", lambda: httpx.Response(200, text='[{"a": 1')),
    ("no JSON", lambda: httpx.Response(200, text="<html>maintenance</html>")),
    ("too deep", lambda: httpx.Response(200, text="[" * 100_000)),
    ("other shape", lambda: httpx.Response(200, json={"error": "busy"})),
    ("bad UTF-8", lambda: httpx.Response(200, content=b'["\xff"]')),
)


@pytest.mark.parametrize("fault", [fault for _, fault in FAULTS], ids=[str(n) for n, _ in FAULTS])
def test_a_fault_that_passes_is_tried_again(fault):
    host = StubHost({PATH: Turns(fault, [1])})
    assert asked(host) == [1]
    assert host.count(PATH) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(429), RateLimitedError),
        (status(503), VenueUnavailableError),
        (lambda: httpx.ConnectError("refused"), VenueUnavailableError),
        (lambda: httpx.ConnectTimeout("slow"), VenueTimeoutError),
        (lambda: httpx.Response(200, text="{"), MalformedAnswerError),
    ],
)
def test_a_fault_that_stays_is_raised_after_the_last_attempt(fault, error):
    host = StubHost({PATH: Turns(fault)})
    with pytest.raises(error, match=r"^data /trades: ") as raised:
        asked(host, max_attempts=4)
    assert host.count(PATH) == 4
    assert isinstance(raised.value, TransientError)
    assert WALLET not in str(raised.value)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 413, 422])
def test_a_refusal_is_raised_at_once(code):
    host = StubHost({PATH: httpx.Response(code, json={"error": "no\nsuch thing"})})
    with pytest.raises(RequestRefusedError) as raised:
        asked(host)
    assert host.count(PATH) == 1
    assert isinstance(raised.value, PermanentError)
    assert isinstance(raised.value, NotFoundError) == (code == 404)
    assert str(raised.value) == f'data /trades answered {code}: {{"error":"no\\nsuch thing"}}'


def test_a_redirect_is_not_followed():
    elsewhere = httpx.Response(302, headers={"location": "https://elsewhere.test/"})
    host = StubHost({PATH: elsewhere})
    with pytest.raises(RequestRefusedError, match=r"answered 302: https://elsewhere\.test/"):
        asked(host)
    assert host.count(PATH) == 1


def test_the_host_is_obeyed_when_it_says_how_long_to_wait():
    clock = FakeTime()
    host = StubHost({PATH: Turns(status(429, **{"retry-after": "7"}), [1])})
    asked(host, clock)
    assert clock.slept == [7.0]


def test_a_host_that_wants_too_much_patience_gets_a_bounded_one():
    clock = FakeTime()
    host = StubHost({PATH: Turns(status(503, **{"retry-after": "86400"}), [1])})
    asked(host, clock, longest_retry_after_s=60.0)
    assert clock.slept == [60.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        ("-3", 0.0),
        (format_datetime(BEGAN + timedelta(seconds=9), usegmt=True), 9.0),
        (format_datetime(BEGAN - timedelta(days=1), usegmt=True), 0.0),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30.0),
        ("soon", None),
        ("nan", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after_s(header, BEGAN) == seconds


def test_pauses_double_and_draw_their_length_by_chance():
    policy = Policy(backoff_s=1.0, longest_backoff_s=8.0)
    assert [policy.wait_s(n, None, 0.999_999) for n in range(1, 7)] == pytest.approx(
        [1, 2, 4, 8, 8, 8], rel=1e-5
    )
    assert policy.wait_s(5, None, 0.0) == 0.0
    assert policy.wait_s(1, 3.0, 0.5) == 3.0


faults = st.lists(st.sampled_from([fault for _, fault in FAULTS]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    faults=faults,
    attempts=st.integers(1, 8),
    deadline=st.floats(1, 60),
    chance=st.floats(0, 0.99),
)
def test_attempts_and_time_are_bounded_whatever_fails(faults, attempts, deadline, chance):
    clock = FakeTime(chance=chance)
    host = StubHost({PATH: Turns(*faults, [1])})
    limits = {"max_attempts": attempts, "deadline_s": deadline, "circuit_threshold": 100}
    outcome = answer_or_fault(host, clock, **limits)
    if outcome == [1]:
        assert len(faults) < attempts
    else:
        assert isinstance(outcome, DeadlineExceededError) or host.count(PATH) == attempts
    assert host.count(PATH) <= attempts
    assert clock.seconds <= deadline


def test_the_deadline_ends_the_attempts():
    clock = FakeTime()
    host = StubHost({PATH: Turns(status(503, **{"retry-after": "50"}))})
    with pytest.raises(DeadlineExceededError) as raised:
        asked(host, clock, deadline_s=120.0)
    assert str(raised.value) == (
        "data /trades: gave up after 3 attempts, at the deadline; last: answered 503"
    )
    assert clock.slept == [50.0, 50.0]


def test_an_answer_that_never_ends_is_cut_off():
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b"[" * 1000

    host = StubHost({PATH: Turns(lambda: httpx.Response(200, stream=Endless()))})
    with pytest.raises(MalformedAnswerError, match="more than 5000 bytes"):
        asked(host, max_attempts=1, largest_answer_bytes=5000)


def test_an_answer_that_does_not_come_is_a_timeout():
    class Silent(httpx.AsyncByteStream):
        async def __aiter__(self):
            await asyncio.Event().wait()
            yield b""

    host = StubHost({PATH: Turns(lambda: httpx.Response(200, stream=Silent()))})
    with pytest.raises(VenueTimeoutError):
        asked(host, max_attempts=1, timeout_s=0.01)


def test_a_failing_host_is_left_alone_and_the_error_says_until_when():
    clock = FakeTime(chance=0.0)
    host = StubHost({PATH: Turns(*[status(503)] * 5, [1])})
    client = host.client(
        clock.timing(),
        policy=Policy(max_attempts=9, circuit_threshold=5, circuit_cool_down_s=30.0),
    )
    with pytest.raises(CircuitOpenError) as raised:
        ask(client)
    assert host.count(PATH) == 5
    assert str(raised.value) == (
        "data /trades: not asked, http://data.test keeps failing; the next trial is in 30 s"
    )
    assert raised.value.host == "http://data.test"
    rows = client.requests().select("endpoint", "status", "request_count").rows()
    assert ("data /trades", "circuit_open", 1) in rows


def test_an_open_circuit_lets_one_trial_pass_after_its_cool_down():
    circuit = Circuit(threshold=2, cool_down_s=10.0)
    circuit.failed(0.0)
    circuit.ended(is_answered=False)
    assert circuit.is_closed
    circuit.failed(1.0)
    assert circuit.wait_s(1.0) == 10.0
    assert circuit.wait_s(11.0) == 0.0
    assert circuit.wait_s(11.0) > 0, "only one trial at a time"
    circuit.failed(12.0)
    circuit.ended(is_answered=False)
    assert circuit.wait_s(13.0) == 9.0
    assert circuit.wait_s(22.0) == 0.0
    circuit.ended(is_answered=True)
    assert circuit.is_closed
    assert circuit.wait_s(22.0) == 0.0


def test_a_trial_that_is_abandoned_frees_its_place():
    circuit = Circuit(threshold=1, cool_down_s=1.0)
    circuit.failed(0.0)
    assert circuit.wait_s(2.0) == 0.0
    circuit.ended(is_answered=False)
    assert circuit.wait_s(2.0) == 0.0


def test_a_host_that_limits_us_is_no_failing_host():
    host = StubHost({PATH: Turns(*[status(429)] * 5, [1])})
    assert asked(host, max_attempts=9, circuit_threshold=2) == [1]


def test_requests_are_counted_by_endpoint_and_status():
    clock = FakeTime()
    host = StubHost({PATH: Turns(status(503), lambda: httpx.ReadTimeout("slow"), [1])})
    client = host.client(clock.timing())
    ask(client)
    rows = client.requests()
    assert rows.select("endpoint", "status", "request_count", "retry_count").rows() == [
        ("data /trades", "200", 1, 1),
        ("data /trades", "503", 1, 0),
        ("data /trades", "timeout", 1, 1),
    ]
    assert rows["pass_id"].n_unique() == 1
    assert client.transport.tally.total() == 3
    assert rows["began_at"].min() == BEGAN


@dataclass
class RecordingTracer:
    """Notes the spans that are begun in it."""

    spans: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def start_as_current_span(self, name: str, **span: Any) -> Iterator[Any]:
        noted = {"name": name, **span, "set": {}}
        self.spans.append(noted)
        yield RecordingSpan(noted)


@dataclass
class RecordingSpan:
    noted: dict[str, Any]

    def set_attribute(self, name: str, value: Any) -> None:
        self.noted["set"][name] = value

    def set_status(self, status: Any) -> None:
        self.noted["status"] = status


def test_every_request_is_traced_without_naming_a_wallet(monkeypatch):
    tracer = RecordingTracer()
    monkeypatch.setattr(transport, "_tracer", tracer)
    asked(StubHost({PATH: Turns(status(503), [1])}))
    first, second = tracer.spans
    assert first["name"] == second["name"] == "GET /trades"
    assert first["kind"].name == "CLIENT"
    assert first["set"] == {"http.response.status_code": 503}
    assert not first["status"].is_ok
    assert second["attributes"] == {
        "http.request.method": "GET",
        "server.address": "data.test",
        "url.template": "/trades",
        "http.request.resend_count": 1,
    }
    assert WALLET not in repr(tracer.spans)


def every_error() -> list[type[VenueError]]:
    found, kinds = [], [VenueError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.append(kind)
    return found[1:]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_venue_is_either_permanent_or_transient(kind):
    assert issubclass(kind, PermanentError) != issubclass(kind, TransientError)
    assert kind.code != "error"
    assert kind.hint != EvaluatorError.hint
