"""A breaker per host: after failures in a row nothing is asked until a trial succeeds."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Circuit:
    """Closed, open, or half open with one trial under way; times are a monotonic clock's."""

    threshold: int
    cool_down_s: float
    _failures: int = field(default=0, init=False)
    _open_until: float | None = field(default=None, init=False)
    _has_trial: bool = field(default=False, init=False)

    @property
    def is_closed(self) -> bool:
        """Requests pass freely."""
        return self._open_until is None

    def wait_s(self, now: float) -> float:
        """Seconds until a request may pass, 0 for now; passing an open circuit is its trial."""
        if self._open_until is None:
            return 0.0
        if self._has_trial:
            return max(self._open_until - now, 1.0)
        if now < self._open_until:
            return self._open_until - now
        self._has_trial = True
        return 0.0

    def failed(self, now: float) -> bool:
        """The host failed; returns whether that opens the circuit, at first or after a trial."""
        self._failures += 1
        is_opened = self._has_trial or self._failures >= self.threshold
        if is_opened:
            self._open_until, self._has_trial = now + self.cool_down_s, False
        return is_opened

    def ended(self, *, is_answered: bool) -> None:
        """A request is over, told after `failed`; any answer of the host closes the circuit.

        One that was neither answered nor failed, such as a cancelled one, gives up its trial.
        """
        self._has_trial = False
        if is_answered:
            self._failures, self._open_until = 0, None
