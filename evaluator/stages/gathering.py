"""Asking a venue that may stop answering, and telling of many commits as of one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from evaluator.domain.errors import EvaluatorError, PermanentError
from evaluator.stages.discovery_answers import Answers, each
from evaluator.stages.problems import Problem
from evaluator.stages.source import Gathered
from evaluator.store.commits import Commit, PartitionChange
from evaluator.store.lake import Lake
from evaluator.venue.quarantine import Parsed


def read_of(commit: Commit, problems: Sequence[Problem], *, left_count: int, what: str) -> Gathered:
    """What a pass has read; how many were over its bounds is a problem of its own."""
    left = Problem(f"{left_count} {what}", "left to the next pass: more than one pass reads")
    return Gathered(commit, problems=(*problems, *([left] if left_count else [])))


async def answers_of(
    subjects: Sequence[str], ask: Callable[[str], Awaitable[Parsed]], at_once: int
) -> Answers[str, Parsed]:
    """Ask about every subject; where none is answered, each is a problem of its own."""
    try:
        return await each(subjects, ask, asyncio.Semaphore(at_once))
    except EvaluatorError as error:
        problem = f"{type(error).__name__}: {error}"
        return Answers((), tuple(Problem(subject, problem) for subject in subjects))


async def answers_by_chunk(
    subjects: Sequence[str],
    ask: Callable[[Sequence[str]], Awaitable[Parsed]],
    chunk_size: int,
    at_once: int,
) -> Answers[str, Parsed]:
    """Ask about many subjects in one question; a refused one is asked again, one by one.

    A given answer stands beside the first subject of its chunk.
    """
    free = asyncio.Semaphore(at_once)

    async def answered(chunk: Sequence[str]) -> Answers[str, Parsed]:
        try:
            async with free:
                return Answers(((chunk[0], await ask(chunk)),), ())
        except PermanentError:
            return await answers_of(chunk, lambda subject: ask([subject]), at_once=1)
        except EvaluatorError as error:
            problem = f"{type(error).__name__}: {error}"
            return Answers((), tuple(Problem(subject, problem) for subject in chunk))

    found = await asyncio.gather(*map(answered, batches(subjects, chunk_size)))
    return Answers(
        tuple(given for answers in found for given in answers.given),
        tuple(problem for answers in found for problem in answers.problems),
    )


def batches(subjects: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Subjects in parts of at most that size, in order."""
    for first in range(0, len(subjects), size):
        yield subjects[first : first + size]


def one_commit(lake: Lake, commits: Iterable[Commit]) -> Commit:
    """Several commits as the newest of them, changes of a partition added up."""
    listed = tuple(commits)
    if not listed:
        return Commit(lake.latest_commit_id(), ())
    sums: dict[tuple[str, str], PartitionChange] = {}
    for change in (change for commit in listed for change in commit.changes):
        place = (change.table, change.partition)
        seen = sums.get(place)
        rows, given = (seen.rows, seen.given) if seen else (0, 0)
        sums[place] = PartitionChange(*place, change.mode, rows + change.rows, given + change.given)
    return Commit(max(commit.commit_id for commit in listed), tuple(sums.values()))
