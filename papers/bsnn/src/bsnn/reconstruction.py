r"""What a balanced layer encodes, and how its spikes are read.

With ``V = -W W^T / (1 - alpha)`` and thresholds ``|W_i|^2 / 2`` the potentials are projections of
a coding error, and a neuron spikes where that makes the error smaller:

    x_t = alpha x_{t-1} + (1 - alpha) input_t
    xhat_t = alpha xhat_{t-1} + W^T s_{t-1}
    u_t = W (x_t - xhat_t)

``T`` steps, ``I`` inputs, ``N`` neurons.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array: TypeAlias = NDArray[np.floating]


def integrated(input_TI: Array, alpha: float) -> NDArray[np.float64]:
    """``x``, the signal: the input's leaky integral."""
    signal: NDArray[np.float64] = lfilter(
        [1.0 - alpha], [1.0, -alpha], input_TI.astype(np.float64), axis=0
    )
    return signal


def decoded(spikes_TN: Array, weight_NI: Array, alpha: float) -> NDArray[np.float64]:
    """``xhat``, the estimate that the spikes up to the step before give."""
    sent = spikes_TN.astype(np.float64) @ weight_NI.astype(np.float64)
    estimate: NDArray[np.float64] = lfilter([0.0, 1.0], [1.0, -alpha], sent, axis=0)
    return estimate
