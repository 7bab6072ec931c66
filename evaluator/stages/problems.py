"""What could not be read or computed, while the rest could."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One subject (a wallet, a market, a token) that was passed over, and why."""

    subject: str
    error: str
