"""Who was maker and who taker: trades carry no role, but a listing of takers only can be asked for.

Why it is right. Rows that agree in all fields are interchangeable, so of such a group it only
matters how many are takers: as many as the takers' listing has, those with the lowest ordinals.
Both listings count ordinals alike, so these are the rows whose `fill_id` is in the takers' listing.
That count does not need all rows of the group: the first ones may be told apart before the rest is
read, and are told the same again with it. What it does need is a takers' listing that is whole in
that second; a row that it does not cover stays `unknown`, because the first role stored stays.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from evaluator.domain.errors import PermanentError
from evaluator.domain.tables.history import ROLE
from evaluator.venue.api.errors import VenueError
from evaluator.venue.api.paging import Window
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import Walk

_logger = logging.getLogger(__name__)

_UNKNOWN = pl.col("role") == "unknown"


@dataclass(frozen=True, slots=True)
class Takers:
    """Rows of `fills` of takers only: all at or after `covered_from`, which None does not bound.

    `is_counted` says that no number of equal rows is in doubt. `has_all_wallets` says that they
    are a market's: there each transaction has a taker, so one without any has not been listed.
    """

    rows: pl.DataFrame
    covered_from: datetime | None = None
    is_counted: bool = True
    has_all_wallets: bool = False


def with_roles(
    fills: pl.DataFrame, takers: Takers, complete_from: datetime | None = None
) -> pl.DataFrame:
    """Rows of `fills` with the roles that the takers' listing tells; `unknown` where it does not.

    `fills` lacks no row from `complete_from` on, up to its newest. A taker there that it lacks has
    come in between the listings, so the roles of that second stay open. Known roles stay.
    """
    found = takers.rows
    is_taker = pl.col("fill_id").is_in(found["fill_id"].implode())
    is_told = ~pl.col("filled_at").is_in(_disputed(fills, found, complete_from).implode())
    if takers.covered_from is not None:
        is_told &= pl.col("filled_at") >= takers.covered_from
    if not takers.is_counted:
        is_told &= is_taker | (pl.col("ordinal") == 0)
    if takers.has_all_wallets:
        is_told &= is_taker | _is_in_listed_match(found)
    told = pl.when(is_taker).then(pl.lit("taker")).otherwise(pl.lit("maker")).cast(ROLE.frame)
    role = pl.when(_UNKNOWN & is_told).then(told).otherwise("role")
    return fills.with_columns(role.alias("role"))


def _disputed(
    fills: pl.DataFrame, takers: pl.DataFrame, complete_from: datetime | None
) -> pl.Series:
    """Seconds in which the takers' listing has a row that the other should have and has not."""
    strays = takers.join(fills, on="fill_id", how="anti")["filled_at"].unique()
    return strays if complete_from is None else strays.filter(strays >= complete_from)


def _is_in_listed_match(takers: pl.DataFrame) -> pl.Expr:
    hashes = takers["transaction_hash"].drop_nulls().unique()
    return pl.col("transaction_hash").is_in(hashes.implode()).fill_null(value=False)


def stretch(fills: pl.DataFrame) -> Window | None:
    """From the oldest to the newest row without a role; None where all have one."""
    at = fills.filter(_UNKNOWN)["filled_at"]
    oldest, newest = at.min(), at.max()
    if not isinstance(oldest, datetime) or not isinstance(newest, datetime):
        return None
    return Window(oldest, newest)


async def told_apart(
    walk: Walk,
    read_takers: Callable[[Window], Awaitable[Walk]],
    *,
    complete_from: datetime | None,
    has_all_wallets: bool = False,
) -> Walk:
    """The walk with roles, at the price of a second one over the same stretch, of takers only.

    Roles stay unknown where the host refuses that second one, which is logged. What may pass is
    raised, as of the first: the fills are read again then, with their roles.
    """
    window = stretch(walk.found.rows)
    if window is None:
        return walk
    try:
        second = await read_takers(window)
    except VenueError as error:
        if not isinstance(error, PermanentError):
            raise
        _logger.warning("roles of %d fills stay unknown: %s", walk.found.rows.height, error)
        return walk
    takers = _listed(second, has_all_wallets=has_all_wallets)
    if takers is None:
        return walk
    # Refused rows and counts are those of the first walk, which has seen the same rows.
    rows = with_roles(walk.found.rows, takers, complete_from)
    return replace(walk, found=Parsed(rows, walk.found.quarantine, walk.found.counts))


def _listed(walk: Walk, *, has_all_wallets: bool) -> Takers | None:
    """A walk over takers as what it tells; None where it tells nothing."""
    if not walk.is_exhausted and walk.covered_from is None:
        return None
    found = walk.found
    is_counted = found.counts.possible_undercount == 0
    return Takers(found.rows, walk.covered_from, is_counted, has_all_wallets)
