"""Asking the simulated venue in process, one question after the other."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp

from evaluator.venue.sim.in_process import BASE_URL, InProcess


def ask(app: ASGIApp, path: str, **parameters: Any) -> httpx.Response:
    """The answer to a GET."""

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=InProcess(app), base_url=BASE_URL) as client:
            return await client.get(path, params=parameters)

    return asyncio.run(get())


def rows(app: ASGIApp, path: str, **parameters: Any) -> Any:
    """The JSON of a good answer."""
    answer = ask(app, path, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def walk(app: ASGIApp, path: str, **parameters: Any) -> list[list[dict]]:
    """Pages of a version 2 listing along its cursors."""
    pages, cursor = [], {}
    while True:
        answer = rows(app, path, **parameters, **cursor)
        pages.append(answer["data"])
        told = answer["pagination"]
        assert told["has_more"] is (told["next_cursor"] is not None)
        if told["next_cursor"] is None:
            return pages
        cursor = {"cursor": told["next_cursor"]}


def flat(pages: list[list[dict]]) -> list[dict]:
    return [row for page in pages for row in page]
