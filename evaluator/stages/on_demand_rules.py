"""How the features of new wallets are computed at once: how many wallets, how often, from when."""

from dataclasses import dataclass, field
from typing import ClassVar


def _count(default: int, doc: str) -> int:
    value: int = field(default=default, metadata={"doc": doc})
    return value


@dataclass(frozen=True, slots=True)
class OnDemandRules:
    """Bounds of computing the features of new wallets at once."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    max_wallets_per_tick: int = _count(50, "Wallets of one run.")
    max_attempts: int = _count(3, "Runs that may end without an outcome of a wallet.")
    max_runs: int = _count(2, "Runs at once; the wallets of more wait.")
    min_settled: int = _count(5, "Settled trades in the window from which a wallet has a row.")
    concurrency: int = _count(10, "Wallets of a run whose fills are read at the same time.")
    window_days: int = _count(30, "Window of the features.")
