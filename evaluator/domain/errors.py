"""Errors a person can act on: what is wrong, and a hint what to do.

One base; classes are named for situations. `TransientError` may be retried, `PermanentError`
may not: the class decides.
"""

from typing import Any


class EvaluatorError(Exception):
    """Base of all errors that are shown as two lines: message and hint."""

    code = "error"
    hint = "see the log of the run"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by what it holds: processes hand errors on, whatever their class takes."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[EvaluatorError], args: tuple[Any, ...], held: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(held)
    return error


class PermanentError(EvaluatorError):
    """Trying again cannot help."""


class TransientError(EvaluatorError):
    """Trying again later may help."""


class ConfigurationError(PermanentError):
    """A setting is unknown or has a bad value."""

    code = "bad_configuration"
    hint = "correct the key in evaluator.toml or the environment"

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        super().__init__(f"setting {key}: {problem}")


class InvalidArgumentError(PermanentError):
    """A value given on the command line or in a request is not usable."""

    code = "invalid_argument"

    def __init__(self, name: str, value: object, problem: str, hint: str) -> None:
        self.name, self.value, self.hint = name, value, hint
        super().__init__(f"{name} {value!r}: {problem}")
