"""How the venue's histories and market data are read: how much at once, how far, how often."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class IngestionRules:
    """Bounds of reading; none changes what the tables hold in the end."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    concurrency: int = field(default=16, metadata={"doc": "Wallets or tokens read at once."})
    batches_at_once: int = field(
        default=2, metadata={"doc": "Batches of wallets in flight: one commits, the next is read."}
    )
    wallets_per_commit: int = field(
        default=50,
        metadata={"doc": "Wallets of a commit whose history is read for the first time."},
    )
    known_wallets_per_commit: int = field(
        default=200, metadata={"doc": "Wallets of a commit of which only news are read."}
    )
    pages_per_walk: int = field(
        default=20, metadata={"doc": "Pages of a wallet's listing between two commits."}
    )
    overlap_s: float = field(
        default=600.0, metadata={"doc": "Seconds before the last reading that are read again."}
    )
    failures_until_stop: int = field(
        default=10,
        metadata={
            "doc": "Wallets failing in a row, trying again included, until the rest is left."
        },
    )
    positions_per_pass: int = field(
        default=2_000, metadata={"doc": "Wallets whose official positions are read in a pass."}
    )
    markets_per_pass: int = field(
        default=2_000,
        metadata={"doc": "Traded markets, unknown or past their end, read in a pass."},
    )
    tokens_per_pass: int = field(
        default=1_000, metadata={"doc": "Tokens whose prices and books are read in a pass."}
    )
    events_per_pass: int = field(
        default=200, metadata={"doc": "Events whose comments are read in a pass."}
    )
    traded_hours: float = field(
        default=24.0, metadata={"doc": "A token traded by a known wallet is followed so long."}
    )
    price_history_days: int = field(
        default=90, metadata={"doc": "Longest price history read of a token met first."}
    )
    price_chunk_days: int = field(
        default=15, metadata={"doc": "Days of a price history that are asked for at once."}
    )
    price_rows_per_commit: int = field(
        default=500_000, metadata={"doc": "Prices that wait for a commit, at most about."}
    )
    tokens_per_request: int = field(default=50, metadata={"doc": "Books asked for at once."})
    comment_history_days: int = field(
        default=30, metadata={"doc": "Oldest comments read of an event met first."}
    )

    @property
    def overlap(self) -> timedelta:
        """`overlap_s` as a duration."""
        return timedelta(seconds=self.overlap_s)
