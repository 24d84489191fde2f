"""How tightly excitation and inhibition cancel: the correlation of their filtered currents.

``T`` steps, ``B`` samples, ``N`` neurons.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from bsnn.currents import Drive

WINDOW = 5
"""Steps of the median."""
ORDER = 4
CUTOFF, SHORT_CUTOFF = 0.05, 0.5
"""Of the low-pass, in units of the Nyquist frequency; the latter below ``LONG`` steps."""
LONG = 1000


class Balance(NamedTuple):
    """Mean of ``-corr(I_exc, I_inh)`` over samples and neurons: 1 where they cancel.

    Attributes:
        median: Both currents median-filtered.
        lowpass: Both low-passed.
    """

    median: float
    lowpass: float


def balance(drive: Drive) -> Balance:
    """Balance of one layer, sample by sample: whole currents would be the largest arrays there are.

    A neuron counts as 0 where one of its currents never changes. For a network, layers of equal
    size are averaged.
    """
    samples = drive.x_TBI.shape[1]
    means = [correlations(*drive.currents(slice(b, b + 1))).mean(1) for b in range(samples)]
    median, lowpass = -torch.stack(means).mean(0) if means else torch.zeros(2)
    return Balance(float(median), float(lowpass))


def correlations(excitatory_TBN: Tensor, inhibitory_TBN: Tensor) -> Tensor:
    """Correlation over time of both currents, ``[2, B N]``: median-filtered, and low-passed.

    Median over five steps, zeros beyond both ends; Butterworth low-pass of order 4, forwards and
    backwards, ends continued by odd reflection. Not finite (a constant current) becomes 0.
    """
    pair = [
        x.detach().flatten(1).numpy().astype(np.float64) for x in (excitatory_TBN, inhibitory_TBN)
    ]
    filtered = [[kind(x) for x in pair] for kind in (median_filtered, low_passed)]
    return torch.from_numpy(np.stack([_correlation(*two) for two in filtered]))


def median_filtered(x_TM: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over five steps, as ``scipy.signal.medfilt`` down each column.

    By minima and maxima: of a, b | c | d, e, the largest of both pairs' minima and the smallest of
    their maxima have the median between them and c.
    """
    padded = np.pad(x_TM, ((WINDOW // 2, WINDOW // 2), (0, 0)))
    low, high = np.minimum(padded[:-1], padded[1:]), np.maximum(padded[:-1], padded[1:])
    a, b = np.maximum(low[:-3], low[3:]), np.minimum(high[:-3], high[3:])
    return np.maximum(np.minimum(a, b), np.minimum(x_TM, np.maximum(a, b)))


def low_passed(x_TM: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low-pass down each column, see :func:`correlations`."""
    steps = len(x_TM)
    b, a = signal.butter(ORDER, CUTOFF if steps >= LONG else SHORT_CUTOFF)
    padding = min(3 * len(b), steps - 1)
    rows = np.ascontiguousarray(x_TM.T)
    result: NDArray[np.float64] = signal.filtfilt(b, a, rows, padlen=padding).T
    return result


def _correlation(x_TM: NDArray[np.float64], y_TM: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = x_TM - x_TM.mean(0), y_TM - y_TM.mean(0)
    products = np.einsum("tm,tm->m", x, y)
    sizes = np.einsum("tm,tm->m", x, x) * np.einsum("tm,tm->m", y, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(products / np.sqrt(sizes), nan=0.0, posinf=0.0, neginf=0.0)
