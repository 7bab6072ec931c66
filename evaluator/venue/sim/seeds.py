"""Randomness and names that follow from the world's seed alone, in any process."""

import hashlib
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Draw(IntEnum):
    """What is drawn: each has streams of its own, so that none shifts another."""

    ARRIVALS = 1
    AGENTS = 2
    EVENT_COUNT = 3
    PLAN = 4
    PATH = 5
    ORDERS = 6
    MATCHES = 7
    AFTERMATH = 8
    HASHES = 9
    COMMENTS = 10
    BOOK = 11
    NEWS = 12


_TOKEN_FLOOR = 10**77
_TOKEN_ROOM = 2**256 - _TOKEN_FLOOR


def stream(seed: int, draw: Draw, *key: int) -> np.random.Generator:
    """The random numbers of one thing."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(draw), *key])))


def hex_name(size: int, *key: object) -> str:
    """0x and `size` bytes in hexadecimal."""
    return "0x" + _digest(size, key).hex()


def token_name(*key: object) -> str:
    """A 256-bit integer of 78 digits, as text."""
    return str(_TOKEN_FLOOR + int.from_bytes(_digest(32, key), "big") % _TOKEN_ROOM)


def hex_names(rng: np.random.Generator, count: int) -> list[str]:
    """So many names of 32 bytes, such as transaction hashes."""
    digits = rng.bytes(32 * count).hex()
    return ["0x" + digits[place : place + 64] for place in range(0, 64 * count, 64)]


def _digest(size: int, key: tuple[object, ...]) -> bytes:
    return hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=size).digest()
