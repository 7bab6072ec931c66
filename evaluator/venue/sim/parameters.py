"""Query parameters, checked as the venue checks them: what it refuses is a `RefusedError`."""

import math
import re
from collections.abc import Collection, Iterable

from starlette.datastructures import QueryParams

from evaluator.venue.columns import snake_case

BAD_REQUEST, NOT_FOUND, UNPROCESSABLE = 400, 404, 422

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_CONDITION = re.compile(r"0x[0-9a-fA-F]{64}")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class RefusedError(Exception):
    """The venue refuses a request: an HTTP status, and what it says."""

    def __init__(self, said: str, status: int = BAD_REQUEST) -> None:
        self.said, self.status = said, status
        super().__init__(said)


class Query:
    """Parameters of one request; `is_snake` also accepts camelCase for snake_case names.

    An empty value counts as absent. `status` is that of a refusal.
    """

    def __init__(
        self, parameters: QueryParams, *, is_snake: bool = False, status: int = BAD_REQUEST
    ) -> None:
        self._status = status
        self._values: dict[str, list[str]] = {}
        for name, value in parameters.multi_items():
            known = snake_case(name) if is_snake else name
            self._values.setdefault(known, []).append(value)

    def refuse(self, said: str) -> RefusedError:
        """What to raise."""
        return RefusedError(said, self._status)

    def has(self, name: str) -> bool:
        """Whether the parameter was sent at all."""
        return name in self._values

    def texts(self, name: str) -> list[str]:
        """All values of a parameter that may be repeated."""
        return [value for value in self._values.get(name, []) if value]

    def text(self, *names: str) -> str | None:
        """The value under the first of the names that has one."""
        for name in names:
            values = self.texts(name)
            if len(values) > 1:
                raise self.refuse(f"duplicate field `{name}`")
            if values:
                return values[0]
        return None

    def listed(self, *names: str, most: int) -> list[str]:
        """Distinct values between commas; raises for more than `most`."""
        text = self.text(*names)
        values = list(dict.fromkeys(text.split(","))) if text else []
        if len(values) > most:
            raise self.refuse(f"at most {most} distinct values are accepted for '{names[0]}'")
        return values

    def address(self, name: str) -> str | None:
        """A wallet, in lower case."""
        text = self.text(name)
        if text is not None and not _ADDRESS.fullmatch(text):
            raise self.refuse(f"invalid address: {text}")
        return text.lower() if text else None

    def conditions(self, *names: str, most: int) -> list[str] | None:
        """Market ids, in lower case; None without any."""
        values = self.listed(*names, most=most)
        return [self.condition(value) for value in values] or None

    def condition(self, text: str) -> str:
        """One market id, in lower case."""
        if not _CONDITION.fullmatch(text):
            raise self.refuse(f"invalid condition id: {text}")
        return text.lower()

    def whole(self, name: str, default: int = 0, *, most: int | None = None) -> int:
        """A number from 0 to `most`; a larger one is refused."""
        text = self.text(name)
        if text is None:
            return default
        if not _WHOLE.fullmatch(text) or int(text) < 0:
            raise self.refuse(f"invalid {name}: {text}")
        if most is not None and int(text) > most:
            raise self.refuse(f"max {name} of {most} exceeded")
        return int(text)

    def clamped(self, name: str, default: int, *, most: int) -> int:
        """A number from 0; a larger one than `most` is taken for `most`."""
        return min(self.whole(name, default), most)

    def number(self, name: str, default: float | None = None) -> float | None:
        """A finite number."""
        text = self.text(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.refuse(f"invalid {name}: {text}")
        return value

    def flag(self, name: str, *, default: bool | None = None) -> bool | None:
        """True or false."""
        text = self.text(name)
        if text is None:
            return default
        value = _FLAGS.get(text.lower())
        if value is None:
            raise self.refuse(f"invalid {name}: {text}")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """One of some words, in any case; returned as the list spells it."""
        text = self.text(name)
        if text is None:
            return default
        return self.word(name, text, allowed)

    def words(self, name: str, allowed: Collection[str]) -> list[str] | None:
        """Some words between commas, as the list spells them; None without any."""
        values = self.listed(name, most=len(allowed) + 1)
        return [self.word(name, value, allowed) for value in values] or None

    def word(self, name: str, text: str, allowed: Iterable[str]) -> str:
        """The word that a text means."""
        found = {word.lower(): word for word in allowed}
        if text.lower() not in found:
            raise self.refuse(f"{name} must be one of {', '.join(found.values())}")
        return found[text.lower()]
