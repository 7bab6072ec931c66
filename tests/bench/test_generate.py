import dataclasses

import polars as pl
import pytest

from bench.generate import history_lake, working_copy
from bench.trades import bucket_fills
from bench.world import Size, markets, wallets
from evaluator.domain.schema import BUCKET_COUNT
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import FILLS, INGEST_STATE, RESOLUTIONS
from evaluator.store.lake import Lake

TABLES = (FILLS, MARKETS, RESOLUTIONS, INGEST_STATE)


def fills_of(size):
    cast, places = wallets(size), markets(size)
    return pl.concat(bucket_fills(size, cast, places, number) for number in range(BUCKET_COUNT))


def hashes_of(root):
    with Lake(root).snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def test_equal_arguments_give_equal_tables(size, history_root, tmp_path):
    again = history_lake(size, tmp_path, lambda _: None)
    assert again.name == history_root.name
    assert hashes_of(again) == hashes_of(history_root)


def test_another_seed_gives_another_history(size, history_root, tmp_path):
    other = history_lake(dataclasses.replace(size, seed=2), tmp_path, lambda _: None)
    assert other.name != history_root.name
    assert hashes_of(other)["fills"] != hashes_of(history_root)["fills"]


def test_a_history_that_is_there_is_used_again(size, home, history_root):
    said = []
    assert history_lake(size, home, said.append) == history_root
    assert said == [f"history is there: {history_root}"]


def test_wallets_and_fills_are_as_many_as_asked_for(size, history_root):
    with Lake(history_root).snapshot() as now:
        fills = now.read(FILLS)
    assert fills.height == size.fills
    assert fills["proxy_wallet"].n_unique() == size.wallets
    assert fills["fill_id"].is_unique().all()


def test_most_wallets_are_nearly_empty_and_few_hold_the_bulk():
    counts = wallets(Size(wallets=2_000, fills=200_000)).fill_count
    assert (counts <= 10).mean() == pytest.approx(0.86, abs=0.01)
    assert counts[:20].sum() > 0.2 * counts.sum()


def test_rows_lie_in_the_bucket_of_their_wallet_and_within_the_days(size):
    fills = fills_of(size)
    at = fills["filled_at"].dt.epoch("s")
    assert at.min() >= size.start_s
    assert at.max() < size.end_s
    assert fills["price"].is_between(0, 1, closed="none").all()
    assert (fills["size_shares"] > 0).all()


def test_without_overselling_no_wallet_sells_what_it_does_not_hold(size):
    fills = fills_of(dataclasses.replace(size, oversold_share=0.0))
    signed = pl.when(pl.col("side") == "BUY").then("size_shares").otherwise(-pl.col("size_shares"))
    held = fills.sort("filled_at", "side", maintain_order=True).select(
        signed.cum_sum().over("proxy_wallet", "token_id").alias("held")
    )
    assert held["held"].min() >= 0
    assert fills["side"].n_unique() == 2


def test_no_fill_follows_the_resolution_of_its_token(size, history_root):
    with Lake(history_root).snapshot() as now:
        fills, resolved = now.read(FILLS), now.read(RESOLUTIONS)
    late = fills.join(resolved, on="token_id").filter(pl.col("filled_at") >= pl.col("resolved_at"))
    assert resolved.height > 0
    assert late.height == 0


def test_the_texts_of_wallets_markets_and_tokens_are_known(size, history_root):
    with Lake(history_root).snapshot() as now:
        fills, texts = now.read(FILLS), now.texts()
    for name in ("proxy_wallet", "condition_id", "token_id"):
        assert fills[name].is_in(texts["key"].implode()).all()


def test_a_working_copy_is_written_to_without_touching_the_history(size, history_root, tmp_path):
    before = hashes_of(history_root)
    copy = Lake(working_copy(history_root, tmp_path / "copy"))
    with copy.snapshot() as now:
        state = now.read(INGEST_STATE).head(1)
    copy.commit(upsert={(INGEST_STATE, "all"): state.with_columns(cursor=pl.lit("later"))})
    assert hashes_of(copy.root)["ingest_state"] != before["ingest_state"]
    assert hashes_of(history_root) == before


def test_too_few_fills_are_refused():
    with pytest.raises(ValueError, match="10 fills are too few for 100 wallets"):
        wallets(Size(wallets=100, fills=10))
