"""64-bit surrogates of text identifiers, and the wallet bucket derived from them.

Wallets, markets, tokens and events have ids of 40 to 78 characters; inside the project they are
the first 64 bits of a BLAKE2b digest, so that any process computes the same surrogate without
asking a register. The store keeps the text beside each surrogate and refuses a collision.
"""

import hashlib

import polars as pl

from evaluator.domain.schema import BUCKET_COUNT


def surrogate(text: str) -> int:
    """The signed 64-bit surrogate of one identifier.

    >>> surrogate("0x0000000000000000000000000000000000000001")
    7349922029623905721
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def surrogates(texts: pl.Series) -> pl.Series:
    """Surrogates of a text series, null for null; hashes each distinct text once."""
    distinct = texts.drop_nulls().unique()
    keys = pl.Series([surrogate(text) for text in distinct], dtype=pl.Int64)
    return texts.replace_strict(distinct, keys, return_dtype=pl.Int64, default=None)


def resolution_ref(token_id: str) -> str:
    """The text id of the resolution of a token, as `close_id` and `open_fill_id` show it."""
    return f"resolve:{token_id}"


def bucket_of(key: int) -> int:
    """The wallet bucket, 0 to 15, of a wallet's surrogate."""
    return key % BUCKET_COUNT


def bucket_expr(column: str = "proxy_wallet") -> pl.Expr:
    """`bucket_of` for a column of surrogates (Polars' `%` also floors)."""
    return (pl.col(column) % BUCKET_COUNT).cast(pl.Int32)
