"""Errors as two lines on stderr: what is wrong, what to do."""

import sys

from evaluator.domain.errors import EvaluatorError

USER_ERROR = 2


def show(error: EvaluatorError) -> None:
    """Write the message and the hint."""
    show_lines(str(error), error.hint)


def show_lines(message: str, hint: str) -> None:
    """Write two lines, however many the message has."""
    sys.stderr.write(f"error: {' '.join(message.split())}\nhint:  {' '.join(hint.split())}\n")
