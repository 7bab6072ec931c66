"""Feature rows of small hand-written worlds.

Hours count from 2026-01-01; the window of day 7 and 7 days is the 168 hours from there. Each row
is also held against the oracle, which knows no price series.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from tests.domain.comparison import differences
from tests.domain.worlds import Run
from tests.oracle.features import features
from tests.oracle.stories import ANN, BOB, at, buy, world

if TYPE_CHECKING:
    from tests.domain.worlds import Price, Row
    from tests.oracle.world import Activity, Fill, Market

WEEK = 168.0  # the hour at which day 7 ends


def row_of(*facts: Fill | Activity | Market, day: int = 7, window: int = 7) -> Row:
    """Ann's features at the end of a day of January."""
    index = world(*facts)
    row = Run(index.world).row(ANN, date(2026, 1, day), window)
    expected = features(index, ANN, at(24 * day), window, force=True)
    assert expected is not None
    assert differences(row, expected) == {}
    return row


def priced_row(*facts: Fill | Activity | Market, series: tuple[Price, ...], day: int = 7) -> Row:
    """Ann's features of 7 days in a world where the venue's price series is known."""
    return Run(world(*facts).world, series).row(ANN, date(2026, 1, day), 7)


def quote(hours: float, price: float, token: str = "yes") -> Price:
    """One price of the venue's series."""
    return token, at(hours), price


def other(hours: float, price: float, token: str = "yes", **fields: Any) -> Fill:
    """Someone else buys one share."""
    return buy(hours, 1, price, proxy_wallet=BOB, token_id=token, **fields)


def has_row(*facts: Fill | Activity | Market, day: int = 7) -> bool:
    """Whether Ann has a row of her own."""
    index = world(*facts)
    run = Run(index.world)
    (frame,) = run.features([date(2026, 1, day)], [7]).values()
    found = ANN in {row["proxy_wallet"] for row in run.named(frame)}
    assert found == (features(index, ANN, at(24 * day), 7) is not None)
    return found
