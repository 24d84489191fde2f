"""Google Speech Commands as the seed repository prepares them: part of the files, 13 coefficients.

A recording becomes 100 frames of mel-frequency cepstral coefficients, cut or padded with zeros at
its end, then brought to mean 0 and deviation 1 over all its 1300 numbers, the padding included.
"""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.audio import SAMPLE_RATE

COEFFICIENTS = 13
STEPS = 100
TINY = 1e-8
"""What is added to a deviation before anything is divided by it."""
SAMPLING_SEED = 42
"""Decides which files are used, whatever the seed of a run: that of the seed repository."""


def sampled(files: int, percentage: float) -> NDArray[np.int64]:
    """Positions of ``int(files percentage / 100)`` files, at least one, in the order drawn.

    Python's own generator, started anew for every split, because the choice of the seed repository
    is the one to be had again.
    """
    count = max(1, int(files * percentage / 100))
    return np.array(random.Random(SAMPLING_SEED).sample(range(files), count), np.int64)


def features(waveform_N: Tensor) -> Tensor:
    """Coefficients of a waveform of 16 kHz, float32 [100, 13]: mean 0, deviation 1 over all."""
    with torch.no_grad():
        frames_FM = _mfcc()(waveform_N).t()[:STEPS]
    padded_TM = nn.functional.pad(frames_FM, (0, 0, 0, STEPS - len(frames_FM)))
    return (padded_TM - padded_TM.mean()) / (padded_TM.std() + TINY)


def standardised(frames_TBM: Tensor) -> Tensor:
    """Every coefficient with mean 0 and deviation 1 over time and batch.

    The seed repository does so for resonators, in tests as well: what a network says about a
    recording depends on its companions.
    """
    mean_M, std_M = frames_TBM.mean((0, 1)), frames_TBM.std((0, 1))
    return (frames_TBM - mean_M) / (std_M + TINY)


@cache
def _mfcc() -> nn.Module:
    """25 ms frames every 12.5 ms, 40 mel bins from 0 to 8 kHz, ``ln(power + 1e-6)``, DCT."""
    from torchaudio.transforms import MFCC  # here: it takes a third of a second to import

    frames = {"n_fft": 400, "hop_length": 200, "n_mels": 40}
    return MFCC(SAMPLE_RATE, n_mfcc=COEFFICIENTS, log_mels=True, melkwargs=frames)
