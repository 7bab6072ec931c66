"""Sybil clusters: wallets that place the same orders in the same ten minutes.

Two wallets are joined where the Jaccard overlap of their sets of (token, side, bucket of an
order's start) exceeds a bound; a cluster is a connected component.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from evaluator.domain.personas.rules import PersonaRules

Ints = NDArray[np.int64]


def order_buckets(fills: pl.DataFrame, as_of: datetime, rules: PersonaRules) -> pl.DataFrame:
    """Distinct (wallet, token, side, bucket) of orders started in the days before as_of.

    `fills` are those of whole wallets with columns proxy_wallet, token_id, side, filled_at, by
    wallet, token and instant; orders are chained within the days looked at.
    """
    start = as_of - timedelta(days=rules.sybil_window_days)
    at = pl.col("filled_at")
    gap = at - at.shift(1).over("proxy_wallet", "token_id", "side")
    bucket = at.dt.epoch("s") // rules.sybil_bucket_s
    return (
        fills.lazy()
        .filter((at >= start) & (at < as_of))
        .filter(gap.is_null() | (gap > pl.duration(seconds=10)))
        .select("proxy_wallet", "token_id", "side", bucket.alias("bucket"))
        .unique()
        .filter(pl.len().over("proxy_wallet") >= rules.sybil_min_elements)
        .collect()
    )


def find_clusters(buckets: pl.DataFrame, rules: PersonaRules) -> pl.DataFrame:
    """proxy_wallet and cluster_size of every wallet joined with another.

    Only pairs that share their rarest elements are compared (prefix filter: two sets overlapping
    by more than t share one of their ⌊(1 − t)·n⌋ + 1 rarest elements), then counted exactly.
    """
    elements = buckets.with_columns(
        pl.struct("token_id", "side", "bucket").rank("dense").cast(pl.Int64).alias("element")
    ).with_columns(pl.len().over("element").alias("frequency"))
    sizes = elements.group_by("proxy_wallet").agg(pl.len().alias("size"))
    pairs = _candidates(elements, rules)
    overlaps = _overlaps(pairs, elements, sizes)
    edges = overlaps.filter(pl.col("jaccard") > rules.sybil_min_jaccard)
    return _components(edges)


def _candidates(elements: pl.DataFrame, rules: PersonaRules) -> pl.DataFrame:
    """Pairs (left < right) that share an element of both prefixes."""
    ordered = elements.sort("proxy_wallet", "frequency", "element").with_columns(
        pl.int_range(pl.len()).over("proxy_wallet").alias("place"),
        pl.len().over("proxy_wallet").alias("size"),
    )
    kept = ((1 - rules.sybil_min_jaccard) * pl.col("size")).floor() + 1
    prefix = ordered.filter((pl.col("place") < kept) & (pl.col("frequency") > 1))
    left = prefix.select("element", pl.col("proxy_wallet").alias("left"), "size")
    right = prefix.select("element", pl.col("proxy_wallet").alias("right"), "size")
    smaller = pl.min_horizontal("size", "size_right")
    larger = pl.max_horizontal("size", "size_right")
    return (
        left.lazy()
        .join(right.lazy(), on="element")
        .filter(pl.col("left") < pl.col("right"))
        .filter(smaller > rules.sybil_min_jaccard * larger)
        .select("left", "right")
        .unique()
        .collect()
    )


def _overlaps(pairs: pl.DataFrame, elements: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Exact Jaccard overlap of each pair."""
    sets = elements.lazy().select("proxy_wallet", "element")
    shared = (
        pairs.lazy()
        .join(sets, left_on="left", right_on="proxy_wallet")
        .join(sets, left_on=["right", "element"], right_on=["proxy_wallet", "element"])
        .group_by("left", "right")
        .agg(pl.len().alias("shared"))
    )
    return (
        shared.join(sizes.lazy(), left_on="left", right_on="proxy_wallet")
        .join(sizes.lazy(), left_on="right", right_on="proxy_wallet", suffix="_right")
        .with_columns(
            (pl.col("shared") / (pl.col("size") + pl.col("size_right") - pl.col("shared"))).alias(
                "jaccard"
            )
        )
        .collect()
    )


def _components(edges: pl.DataFrame) -> pl.DataFrame:
    """Connected components of the edges: proxy_wallet, cluster_size."""
    wallets = pl.concat([edges["left"], edges["right"].alias("left")]).unique().sort()
    left = wallets.search_sorted(edges["left"]).cast(pl.Int64).to_numpy()
    right = wallets.search_sorted(edges["right"]).cast(pl.Int64).to_numpy()
    root = _roots(wallets.len(), left, right)
    members = pl.DataFrame({"proxy_wallet": wallets, "root": root})
    return members.select(
        "proxy_wallet", pl.len().over("root").cast(pl.Int64).alias("cluster_size")
    )


@njit(cache=True, nogil=True)
def _roots(count: int, left: Ints, right: Ints) -> Ints:
    """Union-find: the root of each of `count` members under the edges."""
    root = np.arange(count)
    for edge in range(left.size):
        a, b = left[edge], right[edge]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        root[max(a, b)] = min(a, b)
    for member in range(count):
        top = member
        while root[top] != top:
            top = root[top]
        root[member] = top
    return root
