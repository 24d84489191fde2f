"""A split that takes the same part of every class, without chance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError


def split_classes(
    labels_N: NDArray[np.int64], fraction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into (training, validation), class after class.

    Of the ``n`` rows of a class, in their order, the first ``ceil(n (1 - fraction))`` are for
    training (rounded as floating point does it), the others for validation.

    Raises:
        UserError: no row is left for validation.
    """
    train, held_out = [], []
    for label in range(int(labels_N.max()) + 1):
        (rows,) = np.nonzero(labels_N == label)
        kept = math.ceil(len(rows) * (1 - fraction))
        train.append(rows[:kept])
        held_out.append(rows[kept:])
    validation = np.concatenate(held_out)
    if not len(validation):
        raise UserError(f"no class can spare {fraction:g} of its samples; hold a larger part out.")
    return np.concatenate(train), validation
