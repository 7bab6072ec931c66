"""How each report reads as text."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import date

from evaluator.reports.new_wallets import NewWallet
from evaluator.reports.personas import Funnel, PersonaCount
from evaluator.reports.ranking import Ranking
from evaluator.reports.status import TableStatus
from evaluator.reports.wallet import Row, WalletReport
from evaluator.terminal.output import print_table, say

_COMPONENTS = ("edge", "consistency", "market_skill", "timing", "behavior")
_FACTORS = ("win_rate_multiplier", "trust_multiplier", "obscurity_multiplier")


def ranking(found: Ranking) -> None:
    """Title, ranks, and why the others have none."""
    state = "" if found.is_final else ", provisional"
    say(
        f"Ranking of {found.day}, window {found.window_days} days{state}: "
        f"{found.rankable_count} of {found.wallet_count} wallets"
    )
    print_table(found.rows.columns, found.rows.iter_rows())
    if found.unranked:
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.unranked.items())
        say(f"Not ranked: {reasons}")


def funnel(found: Funnel) -> None:
    """From all wallets to the followable ones."""
    say(f"Funnel of {found.day}")
    rows: list[tuple[str, str, int | None, int]] = [("", "all wallets", None, found.wallets)]
    rows += [(drop.stage, drop.reason, -drop.wallets, drop.left) for drop in found.drops]
    rows.append(("", "followable", None, found.followable))
    print_table(("stage", "reason", "wallets", "left"), rows)


def new_wallets(found: Sequence[NewWallet]) -> None:
    """One line per wallet whose features were computed at once."""
    say("New wallets, computed on demand")
    print_table([each.name for each in fields(NewWallet)], map(astuple, found))


def personas(day: date, counts: Sequence[PersonaCount]) -> None:
    """One line per persona."""
    say(f"Personas of {day}")
    print_table([each.name for each in fields(PersonaCount)], map(astuple, counts))


def status(commit_id: int, tables: Sequence[TableStatus]) -> None:
    """One line per table."""
    say(f"Commit {commit_id}")
    print_table([each.name for each in fields(TableStatus)], map(astuple, tables))


def wallet(found: WalletReport) -> None:
    """Scores, verdict, features and lots of one wallet, one block each."""
    say(f"{found.address}: {found.fills} fills; as of the end of {found.day}")
    columns = ("window_days", "rank", "wscore", *_COMPONENTS, *_FACTORS, "reason")
    rows = [row | {"reason": row["score_reason"] or row["rank_reason"]} for row in found.scores]
    _block("Scores", columns, rows)
    _verdict(found)
    _block("Features", tuple(found.features[0]) if found.features else (), found.features)
    lots = found.last_closed_lots
    _block("Lots closed last", tuple(lots[0]) if lots else (), lots)


def _verdict(found: WalletReport) -> None:
    if found.verdict is None:
        return
    verdict = found.verdict
    confidence = verdict["confidence"]
    sure = "" if confidence is None else f", confidence {confidence:.2f}"
    follow = f"; follow: {verdict['follow_mode']}" if verdict["follow_mode"] else ""
    say(f"\nVerdict: {verdict['persona']} (stage {verdict['stage']}{sure}){follow}")
    if verdict["nearest_persona"]:
        say(f"Nearest: {verdict['nearest_persona']}, margin {verdict['nearest_margin']:.3g}")
    if found.traits:
        say("Traits: " + ", ".join(_trait(row) for row in found.traits))
    _block("Exclusions", tuple(found.exclusions[0]) if found.exclusions else (), found.exclusions)
    margins = sorted(
        verdict["margins"].items(), key=lambda item: (item[1] is None, -(item[1] or 0), item[0])
    )
    if margins:
        say("\nMargins (positive: satisfied)")
        print_table(("detector", "margin"), margins)


def _trait(row: Row) -> str:
    return f"{row['trait']}={row['detail']}" if row["detail"] else str(row["trait"])


def _block(title: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    cells = [[row[name] for name in columns] for row in rows]
    if cells:
        say(f"\n{title}")
        print_table(columns, cells)
