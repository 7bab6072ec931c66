"""What has to be computed next, as the lake says; each answer states the fact behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from evaluator.domain.features.history import Cell
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_PERSONAS, WALLET_SCORES
from evaluator.domain.tables.history import ACTIVITY, FILLS, INGEST_STATE, RESOLUTIONS
from evaluator.domain.tables.ledger import CLOSED_LOTS
from evaluator.store import partitions
from evaluator.store.catalog import Mode
from evaluator.store.snapshot import Snapshot

MOST_DAYS_AT_ONCE = 90
"""Days scored by one run after a standstill; of a longer one, the last of them."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whether something has to be computed, why or why not, and what that was seen at."""

    is_due: bool
    fact: str
    seen_at: int = 0


def watermark(now: Snapshot, *, is_frozen: bool) -> datetime | None:
    """Instant up to which the fills of all known wallets have been read; None without any.

    In files, a wallet is known up to its own last fill, so there the newest of all counts.
    """
    read = now.read(INGEST_STATE, columns=["newest_at"])
    newest: datetime | None = (read.max() if is_frozen else read.min()).item()
    return newest


def last_ended_day(reached: datetime, *, is_frozen: bool) -> date:
    """The newest day of which all fills are there: a source that has ended adds none."""
    return reached.date() if is_frozen else reached.date() - timedelta(days=1)


def markets(now: Snapshot, day: date) -> Due:
    """Markets of a day that have never been read."""
    if partitions.day(day) in now.partitions(MARKETS):
        return Due(is_due=False, fact=f"the markets of {day} are there, and the source has ended")
    return Due(is_due=True, fact=f"the markets of {day} have not been read")


def ledger(now: Snapshot, built: int | None) -> Due:
    """Lots older than what they are computed from; `built` is the commit held for them."""
    inputs = max(now.version(table) for table in (MARKETS, FILLS, ACTIVITY, RESOLUTIONS))
    if built is not None and built >= inputs:
        fact = f"the lots are built from commit {built}: no fill or market is newer"
        return Due(is_due=False, fact=fact, seen_at=built)
    return Due(is_due=True, fact=f"commit {inputs} has fills or markets newer than the lots")


def final_scores(now: Snapshot, cells: Sequence[Cell], config_hash: str, *, is_frozen: bool) -> Due:
    """Scores of a day that are missing, provisional, or of other thresholds.

    Of a source that has ended, those older than the lots too. A day before the first fill has
    nobody to score.
    """
    built = now.version(CLOSED_LOTS)
    if not built:
        return Due(is_due=False, fact="there are no lots yet")
    for cell in cells:
        version = now.version(WALLET_SCORES, [partitions.day_window(cell.day, cell.window_days)])
        problem = ""
        if version <= (built if is_frozen else 0):
            problem = f"of commit {version} and the lots of {built}" if version else "missing"
        elif not _is_final(now, cell, config_hash):
            problem = "provisional, or of other thresholds"
        if problem and cell.as_of <= _first_fill(now):
            return Due(is_due=False, fact=f"there is no fill up to {cell.day}", seen_at=built)
        if problem:
            fact = f"the scores of {cell.day} over {cell.window_days} days are {problem}"
            return Due(is_due=True, fact=fact, seen_at=built)
    return Due(is_due=False, fact=f"the scores of {cells[0].day} are final", seen_at=built)


def first_missed_day(now: Snapshot, last: date, windows: Sequence[int]) -> date:
    """The first day up to `last` to score with it: what a standstill has left out.

    That is the day after the last final one, whatever its thresholds; where no day has ever been
    final, the first that has scores. At most `MOST_DAYS_AT_ONCE`, none before the first fill.
    """
    earliest = max(last - timedelta(days=MOST_DAYS_AT_ONCE - 1), _first_fill(now).date())
    scored = [day for day in _scored_days(now, windows) if day < last]
    for day in reversed(scored):
        if _is_final_day(now, day):
            return max(day + timedelta(days=1), earliest)
    return max(scored[0], earliest) if scored else last


def personas(now: Snapshot, day: date, window: int) -> Due:
    """Verdicts of a day that are older than its features."""
    features = now.version(WALLET_FEATURES, [partitions.day_window(day, window)])
    verdicts = of_all_wallets(now, day)
    if not features:
        return Due(is_due=False, fact=f"there are no features of {day} over {window} days")
    if verdicts > features:
        return Due(is_due=False, fact=f"the verdicts of {day} are newer than its features")
    fact = f"the features of {day} are of commit {features}, its verdicts of {verdicts or 'none'}"
    return Due(is_due=True, fact=fact, seen_at=features)


def of_all_wallets(now: Snapshot, day: date) -> int:
    """The commit of the newest verdicts on all wallets of a day; those on some do not count."""
    files = now.files(WALLET_PERSONAS, [partitions.day(day)])
    return max((each.content_commit for each in files if each.mode is Mode.BASE), default=0)


def _first_fill(now: Snapshot) -> datetime:
    """The instant of the first fill; the end of time without any."""
    first: datetime | None = now.stored_sql("SELECT min(filled_at) FROM fills").item()
    return first or datetime.max.replace(tzinfo=UTC)


def _scored_days(now: Snapshot, windows: Sequence[int]) -> list[date]:
    """Days with scores over all windows, provisional or final, in order."""
    have = set(now.partitions(WALLET_SCORES))
    days = {date.fromisoformat(name.removeprefix("date=").partition("/")[0]) for name in have}
    return sorted(
        day for day in days if have.issuperset(partitions.day_window(day, each) for each in windows)
    )


def _is_final_day(now: Snapshot, day: date) -> bool:
    """Whether the day had ended when its scores were computed, whatever its thresholds."""
    query = "SELECT coalesce(bool_and(is_final), false) FROM wallet_scores WHERE score_date = ?"
    return bool(now.stored_sql(query, [day]).item())


def _is_final(now: Snapshot, cell: Cell, config_hash: str) -> bool:
    query = """
        SELECT coalesce(bool_and(is_final AND config_hash = ?), false) FROM wallet_scores
        WHERE score_date = ? AND window_days = ?"""
    return bool(now.stored_sql(query, [config_hash, cell.day, cell.window_days]).item())
