"""`python -m bench`: time every stage on synthetic histories, beside the serial design.

`python -m bench generate` only makes the histories. They are kept and used again.
"""

import argparse
import json
from pathlib import Path

from bench import report
from bench.generate import history_lake
from bench.world import Size

HOME = Path("data/bench")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run it."""
    given = _parser().parse_args(arguments)
    sizes = [
        Size(wallets=given.wallets, fills=fills, tokens=given.tokens, days=given.days,
             seed=given.seed)
        for fills in given.fills
    ]  # fmt: skip
    if given.command == "generate":
        for size in sizes:
            history_lake(size, given.home)
        return
    plan = report.Plan(
        sizes=sizes, home=given.home, shards=tuple(given.shards), repeats=given.repeats,
        sample=given.sample, warms_up=not given.cold,
    )  # fmt: skip
    measured = report.run(plan)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(measured, indent=1) + "\n")
        print(f"figures: {given.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("command", nargs="?", choices=("run", "generate"), default="run")
    add("--wallets", type=int, default=2_000)
    add("--fills", type=int, nargs="+", default=[200_000], help="one size or several")
    add("--tokens", type=int, default=0, help="0: one per 500 fills, from 200 to 40,000")
    add("--days", type=int, default=365)
    add("--seed", type=int, default=1)
    add("--shards", type=int, nargs="*", default=[2], help="parallel personas to time beside")
    add("--repeats", type=int, default=1, help="runs of which the median counts")
    add("--sample", type=int, default=300, help="wallets of the serial design; 0 leaves it out")
    add("--cold", action="store_true", help="no warm-up: kernels may be compiled while timed")
    add("--home", type=Path, default=HOME, help="where histories are kept")
    add("--out", type=Path, help="JSON file of all figures")
    return parser


if __name__ == "__main__":
    main()
