"""Many questions to a venue at once, where one without an answer costs only itself.

Also what every reading does with answers: their rows and refusals in one frame each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import polars as pl

from evaluator.domain.errors import EvaluatorError
from evaluator.domain.schema import Table
from evaluator.domain.tables.history import QUARANTINE
from evaluator.stages.problems import Problem
from evaluator.venue.quarantine import Parsed, no_rows

Subject = TypeVar("Subject")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Answers(Generic[Subject, Answer]):
    """Subjects with their answers, and those without one, both in the order of asking."""

    given: tuple[tuple[Subject, Answer], ...]
    problems: tuple[Problem, ...]


async def each(
    subjects: Iterable[Subject],
    ask: Callable[[Subject], Awaitable[Answer]],
    at_once: asyncio.Semaphore,
    named: Callable[[Subject], str] = str,
) -> Answers[Subject, Answer]:
    """Ask about every subject, as many at once as the semaphore lets.

    An EvaluatorError is that subject's problem; raises the first one where nothing was answered.
    Cancelling it cancels all questions.
    """

    async def answered(subject: Subject) -> Answer | EvaluatorError:
        async with at_once:
            try:
                return await ask(subject)
            except EvaluatorError as error:
                return error

    listed = tuple(subjects)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answered(subject)) for subject in listed]
    results = [(subject, task.result()) for subject, task in zip(listed, tasks, strict=True)]
    failed = [(s, found) for s, found in results if isinstance(found, EvaluatorError)]
    if failed and len(failed) == len(results):
        raise failed[0][1]
    return Answers(
        tuple((s, found) for s, found in results if not isinstance(found, EvaluatorError)),
        tuple(Problem(named(s), f"{type(found).__name__}: {found}") for s, found in failed),
    )


def rows_of(table: Table, found: Iterable[Parsed]) -> pl.DataFrame:
    """The good rows of all answers, the first of each key."""
    rows = pl.concat([no_rows(table), *(parsed.rows for parsed in found)])
    return rows.unique(table.key, keep="first", maintain_order=True)


def refusals_of(found: Iterable[Parsed]) -> pl.DataFrame:
    """The refused rows of all answers, each once."""
    rows = pl.concat([no_rows(QUARANTINE), *(parsed.quarantine for parsed in found)])
    return rows.unique(QUARANTINE.key, keep="first", maintain_order=True)
