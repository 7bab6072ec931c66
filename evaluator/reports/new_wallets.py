"""What came of computing the features of new wallets at once."""

from dataclasses import dataclass
from datetime import datetime

from evaluator.store.snapshot import Snapshot

_NEWEST = """
    SELECT proxy_wallet, outcome, settled_count, started_at AS at,
        round(epoch(ended_at - started_at), 1) AS seconds
    FROM on_demand_outcomes
    QUALIFY row_number() OVER (PARTITION BY proxy_wallet ORDER BY attempt DESC) = 1
    ORDER BY ended_at DESC, proxy_wallet LIMIT ?"""


@dataclass(frozen=True, slots=True)
class NewWallet:
    """One new wallet: the outcome of its newest attempt, begun `at`, and how long that took.

    `settled_count` is null where nothing was computed.
    """

    proxy_wallet: str
    outcome: str
    settled_count: int | None
    at: datetime
    seconds: float


def new_wallets(now: Snapshot, limit: int) -> list[NewWallet]:
    """The newest outcomes, the last first."""
    return [NewWallet(*row) for row in now.sql(_NEWEST, [limit]).iter_rows()]
