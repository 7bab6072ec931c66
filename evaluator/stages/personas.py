"""Verdicts on all wallets of a day: clusters, a plan of shards, one shard, one commit.

The serial and the parallel way call the same functions; shards are sets of wallet buckets.
Verdicts on some wallets are in `personas_of_wallets`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from evaluator.domain import ids
from evaluator.domain.errors import TransientError
from evaluator.domain.exact import ratio
from evaluator.domain.features.career import career
from evaluator.domain.features.compute import feature_rows
from evaluator.domain.features.history import Bucket, Cell, Market, prepare
from evaluator.domain.personas import clusters
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.personas.verdicts import Verdicts, classify
from evaluator.domain.schema import MICRO
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import (
    WALLET_EXCLUSIONS,
    WALLET_FEATURES,
    WALLET_PERSONAS,
    WALLET_TRAITS,
)
from evaluator.domain.tables.history import FILLS
from evaluator.stages import history
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit, Place
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot


class IncompletePersonasError(TransientError):
    """Shards or wallets are missing, so nothing is published."""

    code = "incomplete_personas"
    hint = "run the job again; see the failed shard's log"

    def __init__(self, missing: int, buckets: Sequence[int]) -> None:
        super().__init__(f"{missing} wallets have no verdict; buckets without a result: {buckets}")


@dataclass(frozen=True, slots=True)
class Failure:
    """A wallet whose verdict could not be computed."""

    proxy_wallet: int
    error: str


@dataclass(frozen=True, slots=True)
class ShardResult:
    """Verdicts of the wallets of some buckets, and the wallets that failed."""

    buckets: tuple[int, ...]
    verdicts: Verdicts
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Judge:
    """What verdicts follow from beside the wallets' own rows."""

    cluster: pl.DataFrame
    rules: PersonaRules
    stamp: Stamp

    def is_ours(self) -> pl.Expr:
        """Whether a published row was computed by this code under this configuration."""
        return (pl.col("config_hash") == self.stamp.config_hash) & (
            pl.col("code_version") == self.stamp.code_version
        )

    def verdicts(self, rows: pl.DataFrame) -> Verdicts:
        """One verdict per row of features and career."""
        return classify(_judgeable(rows, self.cluster, self.rules), self.rules)


def find_clusters(now: Snapshot, day: date, rules: PersonaRules) -> pl.DataFrame:
    """proxy_wallet and cluster_size of wallets in a sybil component; one pass over all buckets."""
    cell = Cell(day, rules.sybil_window_days)
    buckets = (
        clusters.order_buckets(
            history.in_file_order(
                now.read(
                    FILLS,
                    partitions=[partitions.bucket(number)],
                    columns=["proxy_wallet", "token_id", "side", "filled_at"],
                    where="filled_at >= ? AND filled_at < ?",
                    parameters=[cell.start, cell.as_of],
                )
            ),
            cell.as_of,
            rules,
        )
        for number in history.ALL_BUCKETS
    )
    return clusters.find_clusters(pl.concat(buckets), rules)


def plan_shards(now: Snapshot, count: int) -> tuple[tuple[int, ...], ...]:
    """Buckets of each of at most `count` shards, balanced by fills.

    The largest bucket goes first, always to the shard with fewest fills.
    """
    sizes = dict.fromkeys(history.ALL_BUCKETS, 0)
    for entry in now.files(FILLS):
        sizes[int(entry.partition.removeprefix("bucket="))] += entry.rows
    shards: list[list[int]] = [[] for _ in range(max(1, min(count, len(sizes))))]
    loads = [0] * len(shards)
    for number in sorted(sizes, key=lambda each: (-sizes[each], each)):
        lightest = loads.index(min(loads))
        shards[lightest].append(number)
        loads[lightest] += sizes[number]
    return tuple(tuple(sorted(shard)) for shard in shards if shard)


def classify_buckets(
    now: Snapshot,
    day: date,
    buckets: Sequence[int],
    cluster: pl.DataFrame,
    rules: PersonaRules,
    stamp: Stamp,
) -> ShardResult:
    """Verdicts of every wallet of the buckets, in one pass a batch of them."""
    cell = Cell(day, rules.window_days)
    judge = Judge(cluster, rules, stamp)
    taken = _published(now, buckets, cell, judge).select("proxy_wallet")
    needed = history.held(now, cell, buckets, taken)
    market = history.market(now, [cell], history.among("token_id", needed))
    parts, failures = [], []
    for batch in history.batches(now, buckets):
        verdicts, failed = _judged(now, batch, market, cell, judge)
        parts.append(verdicts)
        failures.extend(failed)
    return ShardResult(tuple(buckets), _together(parts), tuple(failures))


def publish(
    lake: Lake, day: date, results: Sequence[ShardResult], stamp: Stamp, base: Snapshot
) -> Commit:
    """Publish personas, exclusions and traits of a day together, or nothing.

    Raises IncompletePersonasError where a bucket or a wallet has no result.
    """
    verdicts = _together(result.verdicts for result in results)
    _check_complete(base, day, results, verdicts)
    return lake.commit(replace=dated(verdicts, day, stamp), base=base, what="personas")


def classify_all(lake: Lake, day: date, rules: PersonaRules, stamp: Stamp) -> Commit:
    """The serial way: one shard of all buckets, in this process."""
    with lake.snapshot(pin=True) as now:
        cluster = find_clusters(now, day, rules)
        result = classify_buckets(now, day, history.ALL_BUCKETS, cluster, rules, stamp)
        return publish(lake, day, [result], stamp, now)


def save(result: ShardResult, folder: Path) -> None:
    """Write a shard's result as Parquet files for `load`, in another process."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FRAMES:
        getattr(result.verdicts, name).write_parquet(folder / f"{name}.parquet")
    failures = pl.DataFrame(
        [(failure.proxy_wallet, failure.error) for failure in result.failures],
        schema={"proxy_wallet": pl.Int64, "error": pl.String},
        orient="row",
    )
    failures.write_parquet(folder / "failures.parquet")


def load(folder: Path, buckets: Sequence[int]) -> ShardResult:
    """Read what `save` wrote."""
    frames = {name: pl.read_parquet(folder / f"{name}.parquet") for name in _FRAMES}
    failures = pl.read_parquet(folder / "failures.parquet")
    return ShardResult(
        tuple(buckets), Verdicts(**frames), tuple(Failure(*row) for row in failures.iter_rows())
    )


_FRAMES = ("personas", "exclusions", "traits")


def _judged(
    now: Snapshot, batch: Sequence[int], market: Market, cell: Cell, judge: Judge
) -> tuple[Verdicts, list[Failure]]:
    """Verdicts on every wallet of a batch of buckets.

    Features published by this code and configuration, from this history, are taken; the rest
    are computed from the ledger.
    """
    bucket = history.wallets(now, batch, market.tokens)
    everyone = _population(now, batch, bucket, cell)
    published = _published(now, batch, cell, judge)
    careers = career(bucket, cell).collect()

    def verdicts(wallets: pl.DataFrame) -> Verdicts:
        known = published.join(wallets, on="proxy_wallet", how="semi")
        missing = wallets.join(known, on="proxy_wallet", how="anti")
        own = prepare(history.of_wallets(bucket, missing), market)
        return judge.verdicts(
            with_careers(known, feature_rows(own, cell, careers, missing), careers)
        )

    return isolated(everyone, verdicts)


def _published(now: Snapshot, buckets: Sequence[int], cell: Cell, judge: Judge) -> pl.DataFrame:
    """Rows of `wallet_features` of the buckets that can be taken as they are."""
    if not history.is_current(now, cell):
        return now.read(WALLET_FEATURES, partitions=[])
    where = [partitions.day_window(cell.day, cell.window_days)]
    rows = now.read(WALLET_FEATURES, partitions=where, **history.of_buckets(buckets))
    return rows.filter(judge.is_ours())


def with_careers(
    known: pl.DataFrame, computed: pl.DataFrame, careers: pl.DataFrame
) -> pl.DataFrame:
    """Rows taken and rows computed, by wallet, with what the gates ask of the whole history."""
    columns = [name for name in known.columns if name in computed.columns]
    rows = pl.concat([known.select(columns), computed.select(columns)])
    whole = rows.join(careers.drop("history_complete"), on="proxy_wallet", how="left")
    return whole.sort("proxy_wallet")


def dated(verdicts: Verdicts, day: date, stamp: Stamp) -> dict[Place, pl.DataFrame]:
    """The rows of each table, with their day and run."""
    where = partitions.day(day)
    return {
        (table, where): frame.with_columns(persona_date=pl.lit(day), **extra).select(
            table.schema.names()
        )
        for table, frame, extra in (
            (WALLET_PERSONAS, verdicts.personas, stamp.columns(day)),
            (WALLET_EXCLUSIONS, verdicts.exclusions, {}),
            (WALLET_TRAITS, verdicts.traits, {}),
        )
    }


def _population(now: Snapshot, batch: Sequence[int], bucket: Bucket, cell: Cell) -> pl.DataFrame:
    """Wallets discovered, or with a fill, before as_of."""
    discovered = now.read(
        WALLETS, columns=["proxy_wallet"], where="discovered_at < ?", parameters=[cell.as_of]
    )
    traded = bucket.fills.filter(pl.col("filled_at") < cell.as_of).select("proxy_wallet")
    mine = discovered.filter(ids.bucket_expr().is_in(list(batch)))
    return pl.concat([traded, mine]).unique().sort("proxy_wallet")


def _judgeable(rows: pl.DataFrame, cluster: pl.DataFrame, rules: PersonaRules) -> pl.DataFrame:
    """Adds what the gates and detectors ask for beyond the features."""
    bots = [ids.surrogate(address) for address in rules.known_bots]
    cost = pl.col("career_cost_usdc")
    return (
        rows.join(cluster, on="proxy_wallet", how="left")
        .with_columns(
            pl.col("cluster_size").fill_null(1),
            pl.col("career_fill_count", "recent_pnl_usdc").fill_null(0),
            ratio(pl.col("career_pnl_usdc"), cost).alias("career_roi"),
            pl.col("proxy_wallet").is_in(bots).alias("is_known_bot"),
        )
        .with_columns(ratio(pl.col("recent_pnl_usdc"), MICRO))
    )


def isolated(
    wallets: pl.DataFrame, verdicts: Callable[[pl.DataFrame], Verdicts]
) -> tuple[Verdicts, list[Failure]]:
    """Verdicts on all wallets that have one; halves the wallets until the failing are alone."""
    try:
        return verdicts(wallets), []
    except (pl.exceptions.PolarsError, ArithmeticError, ValueError, TypeError) as error:
        if wallets.height == 1:
            failure = Failure(wallets["proxy_wallet"].item(), f"{type(error).__name__}: {error}")
            return verdicts(wallets.clear()), [failure]
        middle = wallets.height // 2
        left, left_failed = isolated(wallets[:middle], verdicts)
        right, right_failed = isolated(wallets[middle:], verdicts)
        return _together([left, right]), [*left_failed, *right_failed]


def _together(parts: Iterable[Verdicts]) -> Verdicts:
    verdicts = list(parts)
    return Verdicts(*(pl.concat(getattr(part, name) for part in verdicts) for name in _FRAMES))


def _check_complete(
    base: Snapshot, day: date, results: Sequence[ShardResult], verdicts: Verdicts
) -> None:
    done = {number for result in results for number in result.buckets}
    absent = sorted(set(history.ALL_BUCKETS) - done)
    as_of = Cell(day, 1).as_of
    wallets = pl.concat(
        base.read(table, columns=["proxy_wallet"], where=f"{at} < ?", parameters=[as_of])
        for table, at in ((FILLS, "filled_at"), (WALLETS, "discovered_at"))
    ).unique()
    failed = {failure.proxy_wallet for result in results for failure in result.failures}
    missing = wallets.join(verdicts.personas, on="proxy_wallet", how="anti").filter(
        ~pl.col("proxy_wallet").is_in(list(failed))
    )
    if absent or missing.height:
        raise IncompletePersonasError(missing.height, absent)
