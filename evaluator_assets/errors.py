"""Our errors as Dagster's: message and hint shown, transient ones tried again."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from evaluator.domain.errors import EvaluatorError, TransientError

RETRIES = 2
PAUSE_S = 1.0

P = ParamSpec("P")
R = TypeVar("R")


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Run the step; a TransientError is retried, any other of ours fails with its hint."""

    @wraps(function)
    def step(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TransientError as error:
            if _is_last_try():
                raise _failure(error) from error
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=PAUSE_S) from error
        except EvaluatorError as error:
            raise _failure(error) from error

    return step


def _is_last_try() -> bool:
    return dg.OpExecutionContext.get().retry_number >= RETRIES


def _failure(error: EvaluatorError) -> dg.Failure:
    return dg.Failure(
        description=f"{error}\nhint: {error.hint}",
        metadata={"code": error.code, "hint": error.hint},
        allow_retries=False,
    )
