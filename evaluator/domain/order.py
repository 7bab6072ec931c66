"""Whether rows are in order already, and integers that order floats.

Files keep the order of their rows, and a look is cheaper than a sort.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Keys = tuple[NDArray[np.int64], ...]
"""Keys by which compiled code orders rows, the first first: each over all rows (`fixed`)."""


def is_sorted(frame: pl.DataFrame, by: Sequence[str]) -> bool:
    """Whether the rows ascend by the columns, none of which has a null. Linear, vectorised.

    >>> is_sorted(pl.DataFrame({"a": [1, 1, 2], "b": [3, 4, 0]}), ["a", "b"])
    True
    """
    undecided = np.ones(max(frame.height - 1, 0), dtype=np.bool_)
    for name in by:
        values = frame[name].to_physical().to_numpy()
        if (undecided & (values[1:] < values[:-1])).any():
            return False
        undecided &= values[1:] == values[:-1]
        if not undecided.any():
            return True
    return True


def float_keys(numbers: pl.Series) -> NDArray[np.int64]:
    """Integers in the order of numbers from 0 up: their bits (IEEE 754), without nulls.

    >>> keys = float_keys(pl.Series([0.0, 1e-300, 0.5, 0.5000000000000001, 1.0]))
    >>> bool((keys[1:] > keys[:-1]).all())
    True
    """
    bits: NDArray[np.int64] = (numbers.to_numpy() + 0.0).view(np.int64)  # −0 becomes 0
    return bits


def fixed(integers: pl.Series) -> NDArray[np.int64]:
    """The integers of a series, never to be written: one type for compiled code, copied or not."""
    numbers: NDArray[np.int64] = integers.to_numpy().view()
    numbers.flags.writeable = False
    return numbers
