"""Log-mel filterbank of a waveform, as Kaldi computes it.

``N`` samples, ``F`` frames.
"""

from __future__ import annotations

from torch import Tensor

MEL_BINS = 40
FRAME = 400
"""Samples of one frame: 25 ms at 16 kHz."""
SHIFT = 160
"""Samples from one frame to the next: 10 ms at 16 kHz."""


def log_mel(waveform_N: Tensor) -> Tensor:
    """Return the filterbank of one waveform, float32 [F, 40], ``F = 1 + (N - 400) // 160``.

    Every frame of 400 samples loses its mean, is pre-emphasised (0.97), weighted with the Povey
    window and padded to 512; its power spectrum is summed by 40 triangles that lie equally spaced
    on ``mel(f) = 1127 ln(1 + f / 700)`` from 20 Hz to 8 kHz, and the natural logarithm is taken,
    at least that of 1.19e-7: silence is -15.94. No dither, no energy, no normalisation.

    Raises:
        ValueError: fewer than 400 samples.
    """
    if len(waveform_N) < FRAME:
        raise ValueError(f"{len(waveform_N)} samples, a frame of the filterbank takes {FRAME}")
    from torchaudio.compliance.kaldi import fbank  # here: it takes a third of a second to import

    return fbank(waveform_N.unsqueeze(0), num_mel_bins=MEL_BINS)
