"""ECG of the QT Database as level-crossing spikes, in the MATLAB files of Yin et al. (2021).

Each sequence has 1301 steps of two leads x (up, down) spikes and a one-hot wave label per step.
The 1301st step carries the end marker (-1 in the first channel) and is dropped, as every
published experiment does, which leaves T = 1300.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.fetch import fetch
from core.data.matlab import read_mat
from core.data.packing import Damaged
from core.errors import UserError

CLASSES = ("P", "PQ", "QR", "RS", "ST", "TP")
"""The waves of a heart beat; the label sequence advances cyclically in this order."""

STEPS_ON_DISK = 1301
_SIZES = {"train": 618, "test": 141}


class EcgData(NamedTuple):
    """Spike-coded ECG sequences.

    Attributes:
        spikes: uint8 [N, T, 4] of 0 and 1: lead 1 up, lead 1 down, lead 2 up, lead 2 down.
        labels: uint8 [N, T], index into :data:`CLASSES`. A step without a label is class 0: the
            published protocol takes the arg max of an all-zero one-hot row, so losses and
            accuracies of the literature count these steps as class P.
        labelled: bool [N, T], False where the file has no label.
    """

    spikes: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    labelled: NDArray[np.bool_]


def load_qtdb(split: Literal["train", "test"], folder: Path | None = None) -> EcgData:
    """Load one split: 618 training or 141 test sequences of T = 1300 steps.

    Args:
        split: which of the two published files.
        folder: where the two ``.mat`` files lie; by default they are fetched and verified.

    Raises:
        UserError: the file is missing, damaged, or not this split of the data set.
    """
    if folder is None:
        folder = fetch("qtdb")
    path = folder / f"QTDB_{split}.mat"
    count = _SIZES[split]
    if not path.is_file():
        raise _bad(path, "does not exist")
    shapes = {"x": (count, STEPS_ON_DISK, 4), "y": (count, STEPS_ON_DISK, len(CLASSES))}
    try:
        x, y = read_mat(path, shapes).values()
    except Damaged as error:
        raise _bad(path, str(error)) from error
    if not (x[:, -1] == [-1, 0, 0, 0]).all():
        raise _bad(path, "has no end marker in its last time step")
    x, y = x[:, :-1], y[:, :-1]
    if not np.isin(x, (0, 1)).all():
        raise _bad(path, "holds spikes that are neither 0 nor 1")
    if not np.isin(y, (0, 1)).all() or y.sum(axis=2).max() > 1:
        raise _bad(path, "holds labels that are neither one-hot nor all zero")
    return EcgData(
        spikes=np.ascontiguousarray(x, dtype=np.uint8),
        labels=y.argmax(axis=2).astype(np.uint8),
        labelled=y.max(axis=2) > 0,
    )


def _bad(path: Path, problem: str) -> UserError:
    return UserError(
        f"{path} {problem}. Move the file away if it exists and run `core fetch qtdb`."
    )
