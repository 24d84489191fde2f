"""Synthetic ECG: a generated look-alike in the QTDB layout, for first runs and tests.

It is not a model of any heart and no result on it is a result on the QT Database. What it shares
with the real files: two leads as up and down level-crossing spikes, six waves that advance
cyclically with about the real durations, most spikes around the R peak (classes PQ and QR), and
some unlabelled steps at the start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.data.qtdb import CLASSES, EcgData

STEPS = 260
_SPLITS = {"train": (256, 0), "test": (64, 1)}  # sequences, seed

# Mean duration of each wave in steps, near the means of the real training file.
_DURATIONS = np.array([29, 16, 15, 12, 77, 60])
_DELTA = 0.3  # level distance, in the unit of the wave's standard deviations

# The wave is a sum of bumps: (wave that holds it, its centre and its width as fractions of that
# wave's duration, amplitude in lead 1 and in lead 2).
_BUMPS = (
    (0, 0.50, 0.20, 1.0, -0.8),  # P
    (1, 0.20, 0.15, -1.0, 0.7),  # Q
    (1, 0.80, 0.22, 5.0, -3.0),  # R
    (2, 0.35, 0.20, -2.5, 4.0),  # S
    (4, 0.55, 0.17, 1.8, 1.4),  # T
)


def load_synthetic_ecg(split: Literal["train", "test"]) -> EcgData:
    """Return one split of the embedded set: 256 training or 64 test sequences of 260 steps."""
    count, seed = _SPLITS[split]
    return make_synthetic_ecg(count, seed=seed)


def make_synthetic_ecg(count: int, *, steps: int = STEPS, seed: int) -> EcgData:
    """Generate ``count`` sequences of ``steps`` time steps from a NumPy generator.

    Every sequence has its own heart rate and starts at a random phase of the beat. Half of them
    have no labels in their first, incomplete wave.

    Returns:
        Spikes uint8 [N, T, 4], labels uint8 [N, T], labelled bool [N, T].
    """
    generator = np.random.default_rng(seed)
    spikes = np.empty((count, steps, 4), np.uint8)
    labels = np.empty((count, steps), np.uint8)
    labelled = np.ones((count, steps), np.bool_)
    for n in range(count):
        onsets = _wave_onsets(generator, steps)
        wave_index = np.searchsorted(onsets, np.arange(steps), side="right") - 1
        labels[n] = wave_index % len(CLASSES)
        if generator.random() < 0.5:
            labelled[n] = wave_index > wave_index[0]
        spikes[n] = _level_crossings(_leads(generator, onsets, steps))
    labels[~labelled] = 0  # as in the real files: see EcgData
    return EcgData(spikes, labels, labelled)


def write_qtdb_mat(path: Path, data: EcgData) -> None:
    """Write sequences as a MATLAB file in the QTDB layout, end marker included.

    For tests of the loader. Raises FileExistsError rather than overwriting.
    """
    from scipy.io import savemat

    count, steps, channels = data.spikes.shape
    x = np.zeros((count, steps + 1, channels), np.int16)
    x[:, :-1] = data.spikes
    x[:, -1, 0] = -1
    y = np.zeros((count, steps + 1, len(CLASSES)), np.uint8)
    y[:, :-1] = np.eye(len(CLASSES), dtype=np.uint8)[data.labels] * data.labelled[..., None]
    t = np.tile(np.arange(steps + 1, dtype=np.uint16), (count, 1))
    max_i = np.full((count, 1), steps + 1, np.uint16)
    with path.open("xb") as stream:
        savemat(stream, {"x": x, "y": y, "t": t, "max_i": max_i}, do_compression=True)


def _wave_onsets(generator: np.random.Generator, steps: int) -> NDArray[np.int64]:
    """Return the first steps of consecutive waves that cover 0 to ``steps``; [0] is a P wave."""
    rate = generator.uniform(0.85, 1.15)
    beats = 3 + int(steps / (0.7 * _DURATIONS.sum()))
    jitter = generator.uniform(0.9, 1.1, (beats, len(CLASSES)))
    durations = np.rint(rate * jitter * _DURATIONS).astype(np.int64)
    ends = durations.ravel().cumsum()
    phase = generator.integers(durations[0].sum())
    return np.concatenate(([0], ends)) - phase


def _leads(
    generator: np.random.Generator, onsets: NDArray[np.int64], steps: int
) -> NDArray[np.float64]:
    """Return the two leads [T, 2]: bumps of every beat, baseline wander and noise."""
    t = np.arange(steps)[:, None]
    durations = np.diff(onsets)
    strength = generator.uniform(0.85, 1.15)
    leads = np.zeros((steps, 2))
    for wave, centre, width, *amplitudes in _BUMPS:
        start, duration = onsets[:-1][wave :: len(CLASSES)], durations[wave :: len(CLASSES)]
        bump = np.exp(-0.5 * ((t - start - centre * duration) / (width * duration)) ** 2)
        leads += strength * bump.sum(axis=1, keepdims=True) * amplitudes
    wander = np.sin(2 * np.pi * (t / 400 + generator.random(2)))
    leads += 0.2 * wander + 0.04 * generator.standard_normal((steps, 2))
    # Rounded, so that the last bits of exp and sin on another machine change no spike.
    return leads.round(6)


def _level_crossings(leads: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Send-on-delta coding: a spike when a lead left its level by delta; the level follows."""
    spikes = np.zeros((len(leads), leads.shape[1], 2), np.uint8)
    level = leads[0].copy()
    for t, value in enumerate(leads):
        up, down = value - level > _DELTA, level - value > _DELTA
        spikes[t, :, 0], spikes[t, :, 1] = up, down
        level += _DELTA * (up.astype(np.float64) - down)
    return spikes.reshape(len(leads), -1)
