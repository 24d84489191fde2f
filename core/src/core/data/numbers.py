"""Numbers of any type as the type that is computed with: exactly, or not at all.

NumPy's own conversions round, wrap and cut off without a word: 1.7 becomes 1, 2**63 becomes -2**63.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_numbers(values: ArrayLike, what: str) -> NDArray[np.integer[Any]]:
    """Return whole numbers; integers keep their width, so that no wide copy of them is made.

    Args:
        values: integers or fractions of any type and byte order; fractions become int64.
        what: what they are, for the message.

    Raises:
        TypeError: they are no real numbers.
        ValueError: one of them is not whole, or too large to be told from its neighbours.
    """
    array = _native(values)
    if array.dtype.kind in "bu":
        return array.astype(np.uint8) if array.dtype.kind == "b" else array
    if array.dtype.kind == "i":
        return array
    numbers = exact_float64(array, what)
    whole = (np.abs(numbers) <= 2.0**53) & (np.trunc(numbers) == numbers)
    if not whole.all():
        raise ValueError(f"{what} must be whole numbers, found {numbers[~whole].flat[0]}")
    return numbers.astype(np.int64)


def exact_int64(values: ArrayLike, what: str) -> NDArray[np.int64]:
    """:func:`whole_numbers` as int64; raises ValueError too where one does not fit."""
    whole = whole_numbers(values, what)
    if whole.dtype == np.uint64 and whole.size and whole.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{what} up to {whole.max()} do not fit into 64 bits with a sign")
    return whole.astype(np.int64, copy=False)


def exact_float64(values: ArrayLike, what: str) -> NDArray[np.float64]:
    """Return real numbers of any type and byte order as float64.

    Raises:
        TypeError: they are no real numbers.
        ValueError: float64 cannot hold one of them exactly.
    """
    array = _native(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{what} of type {array.dtype}, expected numbers")
    with np.errstate(invalid="ignore", over="ignore"):  # both are what is looked for
        wide = array.astype(np.float64, copy=False)
        inexact = (wide.astype(array.dtype, copy=False) != array) & (array == array)
    if inexact.any():
        raise ValueError(f"{what} such as {array[inexact].flat[0]} are not exact in float64")
    return wide


def _native(values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
