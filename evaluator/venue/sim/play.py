"""One event played to its end: its rows as frames of numbers, a pure function of rules and number."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from evaluator.venue.sim.aftermath import Activity, activity
from evaluator.venue.sim.agents import Agents
from evaluator.venue.sim.bursts import Bursts
from evaluator.venue.sim.events import Plan
from evaluator.venue.sim.fees import fee_rate
from evaluator.venue.sim.matching import Fills, Floor, fills
from evaluator.venue.sim.orders import Scene, orders
from evaluator.venue.sim.paths import Path
from evaluator.venue.sim.rules import DAY_S, WorldRules
from evaluator.venue.sim.seeds import Draw, Floats, Ints, hex_names, stream
from evaluator.venue.sim.styles import STYLES

_SECOND_BITS, _EVENT_BITS, _ROW_BITS = 28, 16, 19
"""Bits of a place on the chain: second, event, row within the event; 63 in all."""


@dataclass(frozen=True, slots=True)
class Played:
    """Rows of events: agents, and tokens and markets within their event, as numbers; seconds."""

    fills: pl.DataFrame
    activity: pl.DataFrame


_CODES: dict[str, pl.DataType] = {"event": pl.Int32(), "agent": pl.Int32()}
_ENDING: dict[str, pl.DataType] = {
    "second": pl.Int64(),
    "transaction_hash": pl.String(),
    "sequence": pl.Int64(),
}
NOTHING = Played(
    fills=pl.DataFrame(
        schema=_CODES
        | {"token": pl.Int32(), "is_buy": pl.Boolean(), "size_shares": pl.Int64()}
        | {"notional_usdc": pl.Int64(), "fee_usdc": pl.Int64(), "is_taker": pl.Boolean()}
        | _ENDING
    ),
    activity=pl.DataFrame(
        schema=_CODES
        | {"kind": pl.Int32(), "market": pl.Int32()}
        | {"size_shares": pl.Int64(), "amount_usdc": pl.Int64()}
        | _ENDING
    ),
)
"""No event's rows."""


def play(rules: WorldRules, scene: Scene) -> Played:
    """Orders, their fills, and what becomes of the tokens."""
    plan = scene.plan
    decided = orders(scene)
    floor = Floor(
        plan,
        scene.path,
        scene.agents,
        scene.fee_rate,
        stream(rules.seed, Draw.MATCHES, plan.number),
    )
    matched = fills(floor, decided)
    after = Floor(
        plan, scene.path, scene.agents, 0.0, stream(rules.seed, Draw.AFTERMATH, plan.number)
    )
    moved = activity(after, matched)
    names = stream(rules.seed, Draw.HASHES, plan.number)
    return Played(
        fills=_fill_frame(plan, matched, names),
        activity=_activity_frame(plan, moved, len(matched), names),
    )


def scene(
    rules: WorldRules, plan: Plan, path: Path, agents: Agents, bursts: Bursts, load: Floats
) -> Scene:
    """What an event's orders are made from; `load` is that of `events.daily_load`."""
    days = np.arange(plan.opens // DAY_S, -(-plan.closes // DAY_S))
    spans = np.minimum((days + 1) * DAY_S, plan.closes) - np.maximum(days * DAY_S, plan.opens)
    even = spans / DAY_S / np.maximum(load[:, days].sum(axis=0), 1.0)
    own = spans / DAY_S / np.maximum(load[plan.domain, days], 1.0)
    is_bound = np.array([style.domain is not None for style in STYLES])
    edges = np.concatenate([[plan.opens], np.minimum((days + 1) * DAY_S, plan.closes)])
    part = np.concatenate([[0.0], np.cumsum(even)])
    return Scene(
        plan=plan,
        path=path,
        agents=agents,
        bursts=bursts,
        exposure=np.where(is_bound, own.sum(), even.sum())[agents.style],
        clock=(part / part[-1], edges.astype(np.float64)),
        fee_rate=fee_rate(rules, plan),
        rng=stream(rules.seed, Draw.ORDERS, plan.number),
    )


def _sequence(plan: Plan, second: Ints, first_row: int) -> Ints:
    """Places on the chain: by second, then event, then row."""
    rows = first_row + np.arange(len(second))
    numbers = (int(second.max(initial=0)), plan.number, int(rows.max(initial=0)))
    bits = (_SECOND_BITS, _EVENT_BITS, _ROW_BITS)
    if any(number >> size for number, size in zip(numbers, bits, strict=True)):
        raise OverflowError(f"no place on the chain for second, event and row {numbers}")
    return (second << (_EVENT_BITS + _ROW_BITS)) + (plan.number << _ROW_BITS) + rows


def _fill_frame(plan: Plan, rows: Fills, names: np.random.Generator) -> pl.DataFrame:
    hashes = hex_names(names, int(rows.order.max(initial=-1)) + 1)
    return pl.DataFrame(
        {
            "event": np.full(len(rows), plan.number, dtype=np.int32),
            "agent": rows.agent.astype(np.int32),
            "token": rows.token.astype(np.int32),
            "is_buy": rows.is_buy,
            "size_shares": rows.shares,
            "notional_usdc": rows.notional,
            "fee_usdc": rows.fee,
            "is_taker": rows.is_taker,
            "second": rows.second,
            "transaction_hash": pl.Series(hashes, dtype=pl.String).gather(rows.order),
            "sequence": _sequence(plan, rows.second, 0),
        }
    )


def _activity_frame(
    plan: Plan, rows: Activity, first_row: int, names: np.random.Generator
) -> pl.DataFrame:
    hashes = hex_names(names, int(rows.group.max(initial=-1)) + 1)
    return pl.DataFrame(
        {
            "event": np.full(len(rows.agent), plan.number, dtype=np.int32),
            "agent": rows.agent.astype(np.int32),
            "kind": rows.kind.astype(np.int32),
            "market": rows.market.astype(np.int32),
            "size_shares": rows.shares,
            "amount_usdc": rows.amount,
            "second": rows.second,
            "transaction_hash": pl.Series(hashes, dtype=pl.String).gather(rows.group),
            "sequence": _sequence(plan, rows.second, first_row),
        }
    )
