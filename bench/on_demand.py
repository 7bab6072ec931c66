"""How soon a new wallet has its features and its verdict, under a running `dagster dev`.

`python -m bench.on_demand [--wallets 1 50 500]` prints JSON. The system starts by itself on a
simulated world as it was some days ago, with an instance and a home of its own; then the world
moves to the present. New wallets are those that have come to the venue meanwhile. They are
written to `wallets` as discovery would, N in one commit, and everything after that is the
system's: sensor, runs, reading the wallets' histories from the venue, features, verdicts. Times
are from that commit to the commit that holds what is waited for, looked for every 0.25 s.

Discovery is then measured without and with evaluation on demand beside it: the seconds of its
run, first with the sensor stopped, which leaves the wallets found waiting, then with that queue
being worked off. Schedules and what else follows discovery are stopped, so nothing else runs.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from bench.dev_server import DevServer, dagster_dev
from evaluator.domain.tables.discovery import WALLETS
from evaluator.settings import load_settings
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.venue.quarantine import no_rows
from evaluator.venue.sim.rules import WorldRules
from evaluator.venue.sim.world import World
from evaluator_assets.partitions import SINGLE_KEY

JUDGED = """
SELECT proxy_wallet FROM wallet_personas
WHERE (proxy_wallet, persona_date) IN (
    SELECT proxy_wallet, feature_date FROM wallet_features_on_demand)"""

AGE, UNSEEN = timedelta(days=8), timedelta(days=4)
"""Age of the world, and how much of it the first start has not seen."""

LOOK_S, PATIENCE_S = 0.25, 900.0
FEW = 200
REPEATS = 2
IN_THE_WAY = ("personas_of_ingested", "ledger_after_discovery", "final_scoring")


@dataclass(frozen=True, slots=True)
class Bench:
    """A running system, its tables, and the new wallets that nobody has written yet."""

    server: DevServer
    lake: Lake
    new: list[str]

    def commit(self, count: int) -> list[str]:
        """Discover the next of the new wallets, all in one commit."""
        taken, self.new[:count] = self.new[:count], []
        now = datetime.now(UTC)
        rows = pl.DataFrame(
            {"proxy_wallet": taken, "discovered_from": "HOLDER", "discovered_at": now},
            schema_overrides={"discovered_at": pl.Datetime("us", "UTC")},
        ).with_columns(discovered_in_market=pl.lit(None, pl.String))
        frame = rows.select(WALLETS.schema.names()).cast(dict(no_rows(WALLETS).schema))
        self.lake.commit(append={(WALLETS, partitions.day(now.date())): frame}, what="bench")
        return taken

    def measured(self, count: int) -> dict[str, Any]:
        """Seconds from the discovery of wallets to outcome, row and verdict of each."""
        taken = self.commit(count)
        seen = _Seen(self.lake, frozenset(taken), time.monotonic())
        self.server.wait(seen.look, PATIENCE_S, f"the verdicts on {count} wallets", every_s=LOOK_S)
        return {
            "wallets": len(taken),
            "outcome_s": _figures(seen.evaluated),
            "row_s": _figures(seen.with_row),
            "classified_s": _figures(seen.judged),
        }

    def discovery_s(self) -> float:
        """Seconds of one run of discovery."""
        day = datetime.now(UTC).date().isoformat()
        run = self.server.ended(self.server.launch("discovery", {SINGLE_KEY: day}), PATIENCE_S)
        if run.status != "SUCCESS":
            raise ValueError(run)
        return round(run.seconds, 2)


@dataclass(slots=True)
class _Seen:
    """When each of the wallets was first seen with an outcome, a row, a verdict."""

    lake: Lake
    wallets: frozenset[str]
    began: float
    evaluated: dict[str, float] = field(default_factory=dict)
    with_row: dict[str, float] = field(default_factory=dict)
    judged: dict[str, float] = field(default_factory=dict)

    def look(self) -> bool:
        """Whether every wallet has an outcome, and a verdict where it has a row."""
        spent = time.monotonic() - self.began
        with self.lake.snapshot() as now:
            for found, query in (
                (self.evaluated, "SELECT proxy_wallet FROM on_demand_outcomes"),
                (self.with_row, "SELECT proxy_wallet FROM wallet_features_on_demand"),
                (self.judged, JUDGED),
            ):
                for wallet in now.sql(query)["proxy_wallet"]:
                    if wallet in self.wallets:
                        found.setdefault(wallet, spent)
        return len(self.evaluated) == len(self.wallets) and self.judged.keys() >= set(self.with_row)


def _figures(seconds: dict[str, float]) -> dict[str, float | int] | None:
    if not seconds:
        return None
    values = seconds.values()
    return {
        "count": len(seconds),
        "median": round(statistics.median(values), 2),
        "max": round(max(values), 2),
    }


def _new_wallets(rules: WorldRules, cache: Path, then: datetime) -> list[str]:
    """Wallets whose first fill is later than that, those who closed most first."""
    now = datetime.now(UTC)
    history = World(rules, cache=cache).history(now)
    closed = history.markets.filter(pl.col("closed_at") < now).select("condition_id")
    trades = history.fills.group_by("proxy_wallet").agg(
        first=pl.col("filled_at").min(), sold=(pl.col("side") == "SELL").sum()
    )
    settled = (
        history.fills.filter(pl.col("side") == "BUY")
        .join(closed, on="condition_id")
        .group_by("proxy_wallet")
        .agg(resolved=pl.col("token_id").n_unique())
    )
    found = (
        trades.filter(pl.col("first") > then)
        .join(settled, on="proxy_wallet", how="left")
        .with_columns(settled=pl.col("sold") + pl.col("resolved").fill_null(0))
        .sort("settled", "proxy_wallet", descending=[True, False])
    )
    return found["proxy_wallet"].to_list()


def _variables(home: Path, most: int) -> dict[str, str]:
    """A world with some hundred wallets, and enough new ones."""
    start = (datetime.now(UTC) - AGE).date()
    return {
        "EVALUATOR_HOME": str(home),
        "EVALUATOR_SOURCE": "sim",
        "EVALUATOR_SIM__START": start.isoformat(),
        "EVALUATOR_SIM__WALLETS": "30",
        "EVALUATOR_SIM__EVENTS_PER_DAY": "6",
        "EVALUATOR_SIM__NEW_WALLETS_PER_DAY": "200" if most > FEW else "100",
    }


def measure(folder: Path, counts: Sequence[int], say: Callable[[str], None]) -> dict[str, Any]:
    """All figures, from a first start in an empty folder."""
    then, home = datetime.now(UTC) - UNSEEN, folder / "home"
    variables = _variables(home, sum(counts))
    sim = {
        name.removeprefix("EVALUATOR_SIM__").lower(): text
        for name, text in variables.items()
        if name.startswith("EVALUATOR_SIM__")
    }
    settings = load_settings(home=home, source="sim", sim=sim)
    with dagster_dev(folder, variables, then) as server:
        say("the first start")
        alive_s = server.wait(
            lambda: bool(server.succeeded("personas")), PATIENCE_S, "the first verdicts"
        )
        server.stop_schedules()
        for name in IN_THE_WAY:
            server.stop_sensor(name)
        server.wait(lambda: all(run.ended_at for run in server.runs()), PATIENCE_S, "rest")
        server.show(None)
        bench = Bench(
            server, settings.open_lake(), _new_wallets(settings.sim.rules(), home / "world", then)
        )
        figures: dict[str, Any] = {
            "first_verdicts_after_start_s": round(alive_s, 1),
            "batches": [],
        }
        for count in counts:
            say(f"{count} new wallets, of {len(bench.new)}")
            figures["batches"].append(bench.measured(count))
            say(json.dumps(figures["batches"][-1]))
        server.stop_sensor("new_wallets")
        say("discovery alone")
        figures["discovery_alone_s"] = [bench.discovery_s() for _ in range(REPEATS)]
        server.start_sensor("new_wallets")
        say("discovery beside evaluation on demand")
        figures["discovery_beside_on_demand_s"] = [bench.discovery_s() for _ in range(REPEATS)]
        figures["on_demand_runs"] = len(server.runs("on_demand"))
    return figures


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wallets", type=int, nargs="+", default=[1, 50, 500])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), asked.wallets, lambda text: print(text, flush=True))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
