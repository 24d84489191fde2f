"""How tightly excitation and inhibition cancel: the correlation of their filtered currents.

``T`` steps, ``B`` samples, ``N`` neurons, ``M`` traces.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from bsnn.currents import Drive, Source
from bsnn.lowpass import ORDER, cutoff, padding
from core.scan.cpu.backend import missing

Traces: TypeAlias = NDArray[np.float64]

WINDOW = 5
"""Steps of the median."""
STILL = 1e-12
"""A current whose variance is a smaller part of its mean square never changes."""


class Balance(NamedTuple):
    """Mean of ``-corr(I_exc, I_inh)`` over samples and neurons: 1 where they cancel.

    Attributes:
        median: Both currents median-filtered: over five steps, zeros beyond both ends.
        lowpass: Both low-passed: Butterworth of order 4, forwards and backwards, ends continued by
            odd reflection.
        raw: As they are.
    """

    median: float
    lowpass: float
    raw: float


def balance(drive: Drive) -> Balance:
    """Balance of one layer; for a network, layers of equal size are averaged.

    A neuron counts as 0 where one of its currents never changes. On the CPU it is computed by
    :mod:`bsnn.kernel` where there are kernels (correlations to about 1e-7), else by SciPy, sample
    by sample: the currents themselves would be the largest arrays there are.
    """
    steps, samples = drive.x_TBI.shape[:2]
    sources = drive.sources()
    if _kernel_takes(sources):
        from bsnn.kernel import sums_of

        found = correlation(sums_of(sources).flatten(2), steps)
    else:
        one = [correlations(*drive.currents(slice(b, b + 1))) for b in range(samples)]
        found = torch.cat(one, 1)
    return Balance(*(-found.mean(1)).tolist())


def _kernel_takes(sources: list[Source]) -> bool:
    fits = all(
        x.device.type == "cpu" and x.dtype == torch.float32 and x.stride(2) == 1
        for x, *_ in sources
    )
    return fits and missing() is None


def correlations(excitatory_TBN: Tensor, inhibitory_TBN: Tensor) -> Tensor:
    """Correlation over time of both currents, each way of :class:`Balance`: ``[3, B N]``."""
    both = (excitatory_TBN, inhibitory_TBN)
    pair = [x.detach().cpu().flatten(1).numpy().astype(np.float64) for x in both]
    # Counted from its first value, a current that never changes stays zero in the low-pass.
    filters = (median_filtered, lambda x: low_passed(x - x[:1]), lambda x: x)
    sums = np.stack([_sums(*(kind(x) for x in pair)) for kind in filters])
    return correlation(torch.from_numpy(sums), len(excitatory_TBN))


def _sums(x_TM: Traces, y_TM: Traces) -> Traces:
    x, y = x_TM - x_TM[:1], y_TM - y_TM[:1]
    products = (np.einsum("tm,tm->m", *pair) for pair in ((x, x), (y, y), (x, y)))
    return np.stack([x.sum(0), y.sum(0), *products])


def correlation(sums: Tensor, steps: int) -> Tensor:
    """Pearson's, from sums of x, y, x x, y y and x y in the second dimension; 0 where undefined."""
    x, y, xx, yy, xy = sums.unbind(1)
    variances = [xx - x * x / steps, yy - y * y / steps]
    moving = (variances[0] > STILL * xx) & (variances[1] > STILL * yy)
    found = (xy - x * y / steps) / (variances[0] * variances[1]).sqrt()
    return torch.where(moving & found.isfinite(), found, 0.0)


def median_filtered(x_TM: Traces) -> Traces:
    """Median over five steps, as ``scipy.signal.medfilt`` down each column.

    By minima and maxima: of a, b | c | d, e, the largest of both pairs' minima and the smallest of
    their maxima have the median between them and c.
    """
    padded = np.pad(x_TM, ((WINDOW // 2, WINDOW // 2), (0, 0)))
    low, high = np.minimum(padded[:-1], padded[1:]), np.maximum(padded[:-1], padded[1:])
    a, b = np.maximum(low[:-3], low[3:]), np.minimum(high[:-3], high[3:])
    return np.maximum(np.minimum(a, b), np.minimum(x_TM, np.maximum(a, b)))


def low_passed(x_TM: Traces) -> Traces:
    """Low-pass down each column, see :class:`Balance`."""
    steps = len(x_TM)
    b, a = signal.butter(ORDER, cutoff(steps))
    rows = np.ascontiguousarray(x_TM.T)
    result: Traces = signal.filtfilt(b, a, rows, padlen=padding(steps)).T
    return result
