"""What the network is to follow: the signal, and its leaky or perfect integral.

``T`` steps, ``J`` dimensions. Random numbers are drawn in the authors' order.
"""

from __future__ import annotations

import random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from bsnn.boerlin.config import Sandbox
from core.errors import UserError

Array: TypeAlias = NDArray[np.float64]

STEPS = 20_000
"""Of the signal made of steps."""


def signal(config: Sandbox, seed: int, generator: np.random.RandomState) -> Array:
    """The signal without noise, ``[T, J]``.

    Raises:
        UserError: The shd files are missing.
    """
    if config.data == "float":
        return _steps(max(config.j, 1), seed)
    # Data sets import PyTorch, which takes longer than a simulation.
    if config.data == "cue":
        from core.data.cue_accumulation import published_split, unpack

        frames = unpack(published_split(generator, seed).spikes[:1])[0].astype(np.float64)
    else:
        frames = _shd_frames(config)
    return np.repeat(config.input_scale * frames, config.repeat, 0)


def _steps(dimensions: int, seed: int) -> Array:
    """Constant pieces: two in the first dimension, three to eight of random value in others."""
    c = np.zeros((STEPS, dimensions))
    c[2000:5000, 0] = 50
    c[7000:9000, 0] = -100
    drawn = random.Random(seed)
    for j in range(1, dimensions):
        lengths = [drawn.randint(1, STEPS) for _ in range(drawn.randint(3, 8))]
        start = 0
        for length in lengths:
            stop = start + int(length / sum(lengths) * STEPS)
            c[start:stop, j] = drawn.randint(-100, 100)
            start = stop
    return c


def _shd_frames(config: Sandbox) -> Array:
    """Frames of the first training sample of SHD, in the chosen channels."""
    from core.data.binning import bin_events, linear_edges
    from core.data.speech import find_speech, load_event_split

    events = load_event_split(find_speech("shd", config.data_folder), "train")
    frames = bin_events(events, linear_edges(100, 1.4)).take([0])[:, 0].numpy()
    if config.j > 0:
        if config.j > frames.shape[1] - 501:
            raise UserError(
                f"--j {config.j}: there are {frames.shape[1] - 501} channels from 501 on; "
                "0 takes all"
            )
        frames = frames[:, 501 : 501 + config.j]
    return frames.astype(np.float64)


def noisy(c_TJ: Array, sigma: float, generator: np.random.RandomState) -> Array:
    """The signal with noise; its last step, which nothing follows, stays zero."""
    c = np.zeros_like(c_TJ)
    c[:-1] = c_TJ[:-1] + sigma * generator.randn(len(c) - 1, c.shape[1])
    return c


def integrated(input_TJ: Array, keep: float) -> Array:
    """``x_{k+1} = keep x_k + input_k`` from zero, ``[T, J]``."""
    integral: Array = lfilter([0.0, 1.0], [1.0, -keep], input_TJ, axis=0)
    return integral
