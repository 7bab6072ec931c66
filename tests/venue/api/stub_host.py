"""A host for tests: answers by path, notes what it was asked, and fails when told to."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from evaluator.venue.api.client import VenueClient, open_client
from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.limits import Buckets
from evaluator.venue.api.options import Options
from evaluator.venue.api.transport import REAL, Timing

PAYLOADS = Path(__file__).resolve().parents[2] / "payloads"
HOSTS = Hosts("http://data.test", "http://gamma.test", "http://clob.test")

Params = dict[str, str]
Answer = httpx.Response | Exception | Any


def payload(name: str) -> Any:
    """A payload written by hand in the shape of the recorded ones."""
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


@dataclass
class Asked:
    path: str
    params: httpx.QueryParams
    body: Any


class Cut(httpx.AsyncByteStream):
    """A body that breaks off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'[{"proxyWallet":'
        raise httpx.RemoteProtocolError("peer closed connection")


@dataclass
class StubHost(httpx.AsyncBaseTransport):
    """`answers` maps a path to an answer, a list of answers in turn, or a function of params."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        body = json.loads(content) if content else None
        asked = Asked(request.url.path, request.url.params, body)
        self.asked.append(asked)
        answer = self._answer(asked)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, content=json.dumps(answer).encode())

    def _answer(self, asked: Asked) -> Answer:
        found = self.answers.get(asked.path, httpx.Response(404, text="no such path"))
        if isinstance(found, Turns):
            return found.next()
        return found(asked) if callable(found) else found

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    def client(self, timing: Timing = REAL, **options: Any) -> VenueClient:
        chosen = Options(**options)
        return open_client(HOSTS, chosen, timing=timing, transport=self, buckets=Buckets())


class Turns:
    """Answers in turn; the last one stays."""

    def __init__(self, *answers: Answer | Callable[[], Answer]) -> None:
        self._answers = list(answers)

    def next(self) -> Answer:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer() if callable(answer) else answer


def v2(rows: list[Any] | None, cursor: str | None = None) -> dict[str, Any]:
    """A page of version 2."""
    pagination = {"limit": 1000, "offset": 0, "has_more": cursor is not None}
    return {"data": rows, "pagination": {**pagination, "next_cursor": cursor}}
