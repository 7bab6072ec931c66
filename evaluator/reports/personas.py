"""How many wallets have which persona, and where the others drop out.

Counted from the persona tables alone.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from evaluator.domain.personas.detectors import FIRST_FOLLOWABLE, detectors, gates
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.personas.verdicts import INSUFFICIENT_DATA, LOW_ROI, UNCLASSIFIED
from evaluator.domain.tables.evaluation import WALLET_PERSONAS
from evaluator.reports import places
from evaluator.store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class PersonaCount:
    """How many wallets have a persona."""

    persona: str
    stage: str
    wallets: int
    share: float
    is_exclusion: bool
    follow_mode: str | None


@dataclass(frozen=True, slots=True)
class Drop:
    """How many wallets a reason took out, and how many were left after it."""

    stage: str
    reason: str
    wallets: int
    left: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """From all wallets of a day to those worth following."""

    day: date
    wallets: int
    drops: tuple[Drop, ...]
    followable: int


def persona_counts(now: Snapshot, day: date | None = None) -> tuple[date, list[PersonaCount]]:
    """Personas of a day (the newest where None), the most frequent first."""
    on, counted = _counted(now, day)
    total = int(counted["wallets"].sum())
    rows = counted.sort(["wallets", "persona"], descending=[True, False])
    return on, [
        PersonaCount(
            row["persona"],
            row["stage"],
            row["wallets"],
            row["wallets"] / total,
            row["is_exclusion"],
            row["follow_mode"],
        )
        for row in rows.iter_rows(named=True)
    ]


def funnel(now: Snapshot, day: date | None = None) -> Funnel:
    """What each gate and detector takes out, in the order in which they decide."""
    on, counted = _counted(now, day)
    left = total = int(counted["wallets"].sum())
    order = {place: number for number, place in enumerate(_deciding_order())}
    lost = sorted(
        (
            ((row["stage"], row["persona"]), row["wallets"])
            for row in counted.iter_rows(named=True)
            if not row["is_followable"]
        ),
        key=lambda item: (order.get(item[0], len(order)), item[0]),
    )
    drops = []
    for (stage, reason), wallets in lost:
        left -= wallets
        drops.append(Drop(stage, reason, wallets, left))
    return Funnel(on, total, tuple(drops), left)


def _counted(now: Snapshot, day: date | None) -> tuple[date, pl.DataFrame]:
    on, where = places.day_partition(now, WALLET_PERSONAS, day)
    by = ["persona", "stage", "is_exclusion", "is_followable", "follow_mode"]
    rows = now.read(WALLET_PERSONAS, partitions=[where], columns=by)
    return on, rows.group_by(by).agg(pl.len().cast(pl.Int64).alias("wallets"))


def _deciding_order() -> list[tuple[str, str]]:
    """Stage and reason of everything that takes a wallet out, in order."""
    rules = PersonaRules()
    exclusions = [("2", each.label) for each in detectors(rules)[:FIRST_FOLLOWABLE]]
    rest = [("2", LOW_ROI), ("2", INSUFFICIENT_DATA), ("2", UNCLASSIFIED)]
    return [*((gate.stage, gate.label) for gate in gates(rules)), *exclusions, *rest]
