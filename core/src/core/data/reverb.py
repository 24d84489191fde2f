"""Artificial reverberation with the structure of Freeverb.

Freeverb (Jezar at Dreampoint, 2000, public domain; described by J. O. Smith, Physical Audio Signal
Processing, section "Freeverb") adds eight parallel comb filters whose feedback passes a low-pass,
and sends the sum through four all-pass filters in series. Reverberance, damping and room size are
percentages that set the filters as the ``reverb`` effect of SoX does. It is not SoX bit for bit:
one channel is computed instead of two that are mixed, in float64, and without dither.

``N`` samples, ``K`` comb filters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Delays in samples at 44.1 kHz.
_COMBS = np.array([1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617])
_ALLPASSES = (556, 441, 341, 225)
_ALLPASS_FEEDBACK = 0.5
_INPUT_GAIN = 0.015


def reverb(
    waveform_N: NDArray[np.float32],
    *,
    reverberance: float,
    damping: float,
    room_size: float,
    rate: int,
) -> NDArray[np.float32]:
    """Return the waveform with its reverberation added, float32 [N], not clipped.

    ``g`` grows from 0.3 to 0.98 with the reverberance, ``d`` from 0.2 to 0.5 with the damping, and
    every delay ``D`` from a tenth to the whole of Freeverb's with the room size::

        comb:      y[n] = b[n - D],  f[n] = (1 - d) y[n] + d f[n - 1],  b[n] = 0.015 x[n] + g f[n]
        all-pass:  v[n] = x[n] + 0.5 v[n - D],  y[n] = v[n - D] - x[n]

    Args:
        waveform_N: dry sound.
        reverberance: 0 to 100.
        damping: 0 to 100, of high frequencies.
        room_size: 0 to 100.
        rate: samples per second.
    """
    feedback = 1 - 0.7 * (0.02 / 0.7) ** (reverberance / 100)
    smoothing = 0.2 + 0.3 * damping / 100
    scale = (0.1 + 0.9 * room_size / 100) * rate / 44100
    delays_K = np.maximum(1, np.rint(scale * _COMBS).astype(np.int64))
    wet_N = _combs(_INPUT_GAIN * waveform_N.astype(np.float64), delays_K, feedback, smoothing)
    for delay in _ALLPASSES:
        wet_N = _allpass(wet_N, max(1, round(scale * delay)))
    return (waveform_N + wet_N).astype(np.float32)


def _combs(
    x_N: NDArray[np.float64], delays_K: NDArray[np.int64], feedback: float, smoothing: float
) -> NDArray[np.float64]:
    """Return the sum of all combs, block by block: none echoes within its shortest delay."""
    from scipy.signal import lfilter  # here: it takes long to import

    length, block = len(x_N), int(delays_K.min())
    y_KN = np.zeros((len(delays_K), length + int(delays_K.max())))
    state_K1 = np.zeros((len(delays_K), 1))
    for start in range(0, length, block):
        end = min(start + block, length)
        f_KB, state_K1 = lfilter(
            [1 - smoothing], [1, -smoothing], y_KN[:, start:end], axis=1, zi=state_K1
        )
        b_KB = x_N[start:end] + feedback * f_KB
        for y_N, b_B, delay in zip(y_KN, b_KB, delays_K, strict=True):
            y_N[start + delay : end + delay] = b_B
    return y_KN[:, :length].sum(axis=0)


def _allpass(x_N: NDArray[np.float64], delay: int) -> NDArray[np.float64]:
    """Return one all-pass; as rows of ``delay`` samples, it is a one-pole filter down the rows."""
    from scipy.signal import lfilter

    rows = -(-len(x_N) // delay)
    x_RD = np.pad(x_N, (0, rows * delay - len(x_N))).reshape(rows, delay)
    v_RD = lfilter([1.0], [1.0, -_ALLPASS_FEEDBACK], x_RD, axis=0)
    y_RD = -x_RD
    y_RD[1:] += v_RD[:-1]
    return y_RD.reshape(-1)[: len(x_N)]
