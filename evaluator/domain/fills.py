"""Identity and total order of fills: the one place that defines them.

The venue names no fill, so identity is a hash of what is known of it, and the order within one
instant is derived. Reading and cleaning of fills belongs to `evaluator.venue`.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from evaluator.domain.ids import surrogates

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
Words = npt.NDArray[np.uint64]

HEX_DIGITS = 15
"""Hex digits of one word: 60 bits, so that every word is a positive Int64."""

UNKNOWN_KEY = 16**HEX_DIGITS - 1
"""Transaction key of a fill whose hash is unknown: it sorts after all others."""

NULL_WORD = np.uint64(0x6E756C6C_00000000)
"""What stands for a null in the hash; no other field value is this number."""

IDENTITY = (
    "transaction",
    "order",
    "proxy_wallet",
    "token_id",
    "side",
    "size_shares",
    "price_micros",
    "filled_at",
)
"""Fields that make a fill what it is, besides its ordinal. `transaction` and `order` are texts."""

TOTAL_ORDER = (
    "filled_at",
    "source_sequence",
    "side",
    "transaction_key",
    "token_id",
    "price",
    "size_shares",
    "ordinal",
    "fill_id",
)
"""Columns that order fills: time, then the source's sequence, else acquisitions before disposals
(BUY is the first word of `side`), then the fields of the fill. Nulls come last."""

_SEED = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_NOT_HEX = 1 << 32
_SIDES = {"BUY": 0, "SELL": 1}


def fill_ids(fills: pl.DataFrame) -> pl.Series:
    """64-bit identities of fills, from the columns of `IDENTITY` and `ordinal`.

    Wallets and tokens may be texts or surrogates. Each field is absorbed in turn by the finaliser
    of SplitMix64 (Steele et al. 2014). Odds that any two of n distinct fills agree are about
    n²/2⁶⁵: 2·10⁻⁹ for the 287,157 fills of the largest known archive, 3·10⁻⁶ for ten million.
    """
    numbers = fills.select(
        pl.col("side").cast(pl.String).replace_strict(_SIDES, return_dtype=pl.Int64),
        pl.col("size_shares", "price_micros").cast(pl.Int64),
        pl.col("filled_at").dt.epoch("s").cast(pl.Int64),
        pl.col("ordinal").cast(pl.Int64),
    )
    state = np.full(fills.height, _SEED, dtype=np.uint64)
    for words in (
        _text_words(fills["transaction"]),
        _text_words(fills["order"]),
        _id_words(fills["proxy_wallet"]),
        _id_words(fills["token_id"]),
        *map(_words, numbers),
    ):
        state = _absorb(state, words)
    return pl.Series("fill_id", state.view(np.int64))


def ordinals(fills: pl.DataFrame) -> pl.Series:
    """Number of each row among those of one response that agree in `IDENTITY`, from 0.

    Rows that agree are interchangeable, so the set of (row, ordinal) does not depend on order;
    taking the union of overlapping responses keeps the largest count of each.
    """
    number = pl.int_range(pl.len(), dtype=pl.Int32).over(IDENTITY)
    return fills.select(number.alias("ordinal")).to_series()


def transaction_keys(transactions: pl.Series) -> pl.Series:
    """The first 15 hex digits of transaction hashes as integers, in the order of the texts.

    A shorter key (13 digits in some archives) is shifted left; an unknown hash is `UNKNOWN_KEY`.
    """
    digits, _ = _hex_digits(transactions)
    padded = digits.str.slice(0, HEX_DIGITS).str.pad_end(HEX_DIGITS, "0")
    keys = padded.str.to_integer(base=16, dtype=pl.Int64)
    return keys.fill_null(UNKNOWN_KEY).alias("transaction_key")


def in_total_order(fills: Frame, text_order: str = "token_id") -> Frame:
    """Fills sorted by `TOTAL_ORDER`; `text_order` names a column that sorts as token texts do.

    With surrogates in `token_id`, give a column with the `token_rank` of `markets.tokens`.
    """
    columns = [text_order if name == "token_id" else name for name in TOTAL_ORDER]
    return fills.sort(columns, nulls_last=True, maintain_order=True)


def _hex_digits(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Lower-case hex digits of each text without 0x, and whether it was hex at all.

    Any other text is spelled in the hex of its bytes, which sorts as the text does.
    """
    given = pl.col(texts.name).cast(pl.String).str.to_lowercase().str.strip_prefix("0x")
    told = texts.to_frame().select(
        given.alias("digits"), given.str.contains("^[0-9a-f]+$").alias("is_hex")
    )
    digits, is_hex = told
    if is_hex.all():
        return digits, is_hex
    return digits.zip_with(is_hex.fill_null(value=True), digits.str.encode("hex")), is_hex


def _text_words(texts: pl.Series) -> Words:
    """One word per text: its hex digits absorbed 15 at a time, after their number."""
    digits, is_hex = _hex_digits(texts)
    known, lengths = pl.col("digits"), pl.col("digits").str.len_bytes().cast(pl.Int64)
    starts = range(0, _longest(digits), HEX_DIGITS)
    told = pl.DataFrame([digits.alias("digits"), is_hex.alias("is_hex")]).select(
        (lengths + pl.col("is_hex").not_().cast(pl.Int64) * _NOT_HEX).alias("mark"),
        *(
            known.str.slice(start, HEX_DIGITS)
            .str.to_integer(base=16, strict=False)
            .cast(pl.Int64)
            .alias(f"digits_{start}")
            for start in starts
        ),
        *((lengths > start).fill_null(value=False).alias(f"is_{start}") for start in starts),
    )
    words = _words(told["mark"])
    for start in starts:
        absorbed = _absorb(words, _words(told[f"digits_{start}"]))
        words = np.where(told[f"is_{start}"].to_numpy(), absorbed, words)
    return words


def _longest(texts: pl.Series) -> int:
    """The largest length in bytes, 0 where no text is known."""
    longest = texts.str.len_bytes().max()
    return longest if isinstance(longest, int) else 0


def _id_words(keys: pl.Series) -> Words:
    """Surrogates of wallets or tokens, whichever way the frame carries them."""
    return _words(surrogates(keys) if keys.dtype == pl.String else keys.cast(pl.Int64))


def _words(numbers: pl.Series) -> Words:
    """64-bit integers as unsigned words, null as `NULL_WORD`."""
    if not numbers.null_count():
        return numbers.to_numpy().view(np.uint64)
    words = numbers.fill_null(0).to_numpy().view(np.uint64)
    return np.where(numbers.is_null().to_numpy(), NULL_WORD, words)


def _absorb(state: Words, words: Words) -> Words:
    """The next state: SplitMix64's finaliser of the state combined with the words."""
    mixed = (state ^ words) + _SEED
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    result: Words = mixed ^ (mixed >> np.uint64(31))
    return result
