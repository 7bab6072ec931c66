"""The questions a person asks of the tables: read-only, answered from the newest commit."""

from dataclasses import asdict
from datetime import date

import click

from evaluator.cli.shared import DEFAULT_LIMIT, DEFAULT_WINDOW, as_json, newest_tables
from evaluator.reports import markets as market_reports
from evaluator.reports import personas as persona_reports
from evaluator.reports import ranking, wallet
from evaluator.terminal import answers, output
from evaluator.terminal.parameters import Day


@click.command()
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="How rows are written.",
)
@as_json
def sql(query: str, form: str, *, is_json: bool) -> None:
    """Read-only SQL over views named as the tables."""
    with newest_tables() as now:
        output.print_frame(now.sql(query), "json" if is_json else form)


@click.command()
@click.option("--window", type=int, default=DEFAULT_WINDOW, help="Window in days.")
@click.option("--limit", type=click.IntRange(1), default=DEFAULT_LIMIT, help="Ranks to show.")
@click.option("--day", type=Day(), help="A day computed; default: the newest.")
@as_json
def rank(window: int, limit: int, day: date | None, *, is_json: bool) -> None:
    """The best wallets of a window."""
    with newest_tables() as now:
        found = ranking.ranking(now, window, limit, day)
        if is_json:
            rest = {name: getattr(found, name) for name in found.__slots__}
            output.print_json(rest | {"rows": found.rows.to_dicts()})
        else:
            answers.ranking(found)


@click.command(name="wallet")
@click.argument("address")
@as_json
def show_wallet(address: str, *, is_json: bool) -> None:
    """Scores, verdict with margins, features and last lots of one wallet."""
    with newest_tables() as now:
        found = wallet.wallet_report(now, address)
        output.print_json(asdict(found)) if is_json else answers.wallet(found)


@click.command()
@as_json
def personas(*, is_json: bool) -> None:
    """How many wallets have which persona."""
    with newest_tables() as now:
        day, counts = persona_reports.persona_counts(now)
        if is_json:
            output.print_json({"day": day, "personas": [asdict(each) for each in counts]})
        else:
            answers.personas(day, counts)


@click.command()
@as_json
def funnel(*, is_json: bool) -> None:
    """Where wallets drop out, by stage and reason."""
    with newest_tables() as now:
        found = persona_reports.funnel(now)
        output.print_json(asdict(found)) if is_json else answers.funnel(found)


@click.command()
@click.option("--limit", type=click.IntRange(1), default=DEFAULT_LIMIT, help="Markets to show.")
@as_json
def markets(limit: int, *, is_json: bool) -> None:
    """The most traded markets."""
    with newest_tables() as now:
        rows = market_reports.markets_report(now, limit)
        output.print_frame(rows, "json" if is_json else "table")
