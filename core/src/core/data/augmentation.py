"""Random changes of a waveform that do not change the word: the training data of HD and SC.

The steps, their order, probabilities and ranges are those of Bittar and Garner (2022).

``N`` samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.data.audio import SAMPLE_RATE
from core.data.reverb import reverb

POLARITY, NOISE, GAIN, REVERB = 0.8, 0.1, 0.3, 0.6
"""Probability of every step."""


def augment(waveform_N: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Return a changed copy of a waveform; a pure function of it and of the generator's state.

    In this order, each with its probability: the sign is inverted, noise is added, the gain is
    lowered by 1 to 20 dB, and reverberation is added, with reverberance, damping and room size
    from 0 to 99 per cent. The last two keep within -1 and 1.
    """
    changed_N = waveform_N
    if generator.random() <= POLARITY:
        changed_N = -changed_N
    if generator.random() <= NOISE:
        unit_N = generator.standard_normal(len(changed_N), np.float32)
        changed_N = add_noise(changed_N, unit_N, generator.random())
    if generator.random() <= GAIN:
        changed_N = lower_gain(changed_N, generator.uniform(-20.0, -1.0))
    if generator.random() <= REVERB:
        reverberance, damping, room_size = generator.integers(100, size=3)
        changed_N = reverb(
            changed_N,
            reverberance=reverberance,
            damping=damping,
            room_size=room_size,
            rate=SAMPLE_RATE,
        ).clip(-1, 1)
    return changed_N


def add_noise(
    waveform_N: NDArray[np.float32], unit_N: NDArray[np.float32], r: float
) -> NDArray[np.float32]:
    """Return ``x + sigma z`` with ``sigma = (0.0001 + 0.8999 r) std(x)``.

    ``z`` is standard normal noise and ``r`` uniform in [0, 1); the standard deviation is the
    unbiased one over the whole waveform.
    """
    sigma = np.float32((0.0001 + 0.8999 * r) * waveform_N.std(ddof=1))
    return waveform_N + sigma * unit_N


def lower_gain(waveform_N: NDArray[np.float32], decibels: float) -> NDArray[np.float32]:
    """Return ``x 10^(dB / 20)``, kept within -1 and 1."""
    return (waveform_N * np.float32(10 ** (decibels / 20))).clip(-1, 1)
