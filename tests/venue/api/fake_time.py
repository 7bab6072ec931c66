"""Time and chance that tests hold in their hands: sleeping moves the clock, nothing waits."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from evaluator.venue.api.transport import Timing

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class FakeTime:
    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    chance: float = 0.5

    def monotonic(self) -> float:
        return self.seconds

    def clock(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    def timing(self) -> Timing:
        return Timing(self.clock, self.monotonic, self.sleep, lambda: self.chance)
