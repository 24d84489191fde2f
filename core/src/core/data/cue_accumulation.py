"""Cue accumulation: on which side were more cues? Synthetic, after the experiments with mice.

Seven cues of 100 ms, each after 50 ms of silence, on the left or the right; 1200 ms of waiting, the
last 150 ms of them with a signal to recall; one step is 1 ms. Four groups of ten channels: left,
right, recall, noise. Channels fire at 40 Hz (noise, all the time, at 10 Hz). Every sample favours a
side, on which each of its cues is with probability 0.7. The label is 1 if more than three are on
the right. Source: G. Bellec et al., A solution to the learning dilemma for recurrent networks of
spiking neurons, Nature Communications 11, 2020, with the constants of RWTH-IDS/bsnn.

``N`` samples, ``T`` = 2250 steps, ``I`` = 40 channels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.batches import Batch, Batches, Purpose, random_stream, time_first
from core.data.digests import digest_arrays
from core.data.presentation import slowed

CUES = 7
CHANNELS = 40
CLASSES = 2
STEPS = 2250
WAIT_FROM = 1050
"""First step after the last cue."""
SAMPLES = 200
"""Of each published split."""

Protocol: TypeAlias = Literal["published", "clean"]

_GROUP = 10  # channels
_SILENCE, _INTERVAL, _RECALL = 50, 150, 150  # steps
_RATE, _NOISE_RATE = 0.04, 0.01  # spikes per step
_SIDES = np.array([[0.3, 0.7], [0.7, 0.3]], np.float32)  # of left and right, by side bias


class CueData(NamedTuple):
    """One split.

    Attributes:
        spikes: Bits of ``[N, T, I]``, uint8 ``[N, T I / 8]``; see :func:`unpack`.
        labels: int64 ``[N]``, 0 left, 1 right.
        cues: uint8 ``[N, 7]``, the side of each.
        bias: uint8 ``[N]``; 0 where cues are on the right with probability 0.7, 1 where with 0.3.
    """

    spikes: NDArray[np.uint8]
    labels: NDArray[np.int64]
    cues: NDArray[np.uint8]
    bias: NDArray[np.uint8]


def unpack(spikes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``[N, T, I]`` of zeros and ones, from their bits."""
    return np.unpackbits(spikes, axis=1).reshape(len(spikes), STEPS, CHANNELS)


def published_split(
    generator: np.random.RandomState, noise_seed: int, samples: int = SAMPLES
) -> CueData:
    """One split as the authors draw it.

    Sides come from ``generator``, all spikes from a fresh one of ``noise_seed``: splits that share
    that number share all their noise, and sample ``n`` differs between them in its cues alone.

    Args:
        generator: NumPy's global one in the original; goes on where it stands.
        noise_seed: Seed of the experiment, the same for all splits.
        samples: ``N``.
    """
    bias = generator.choice([0, 1], samples).astype(np.uint8)
    cues = np.stack([generator.choice([0, 1], CUES, p=_SIDES[k]) for k in bias])
    noise = np.random.RandomState(noise_seed)
    uniform = (noise.random_sample((STEPS, CHANNELS)) for _ in range(samples))
    return _data(bias, cues.astype(np.uint8), uniform)


def published_splits(seed: int, samples: int = SAMPLES) -> tuple[CueData, CueData, CueData]:
    """Training, validation and test split of the authors' experiment with that seed, bit for bit.

    They are no independent samples: see :func:`published_split`.
    """
    generator = np.random.RandomState(seed)
    train, validation, test = (published_split(generator, seed, samples) for _ in range(3))
    return train, validation, test


def clean_split(seed: int, split: int, samples: int = SAMPLES) -> CueData:
    """A split of independent samples.

    Sample ``n`` is a function of ``(seed, split, n)``: a larger split begins as a smaller one.

    Args:
        seed: Of the run.
        split: 0 training, 1 validation, 2 test.
        samples: ``N``.
    """
    streams = [random_stream(seed, Purpose.CUES, split, n) for n in range(samples)]
    bias = np.array([stream.integers(2) for stream in streams], np.uint8)
    drawn = np.stack([stream.random(CUES) for stream in streams])
    cues = (drawn >= _SIDES[bias, :1]).astype(np.uint8)
    return _data(bias, cues, (stream.random((STEPS, CHANNELS)) for stream in streams))


class CueBatches(NamedTuple):
    """The task, ready to train on.

    Attributes:
        train: Shuffled batches of float32 ``[R T, B, I]`` and int64 ``[B]``.
        validation: Another split.
        test: A third one; in the published protocol the very object ``validation``.
        digest: Of the splits that are used.
        t_crop: First step that the readout looks at, ``1050 R``.
    """

    train: Batches
    validation: Batches
    test: Batches
    digest: str
    t_crop: int


def cue_batches(
    protocol: Protocol,
    *,
    seed: int,
    batch_size: int,
    samples: tuple[int, int, int] = (SAMPLES, SAMPLES, SAMPLES),
    scale: float = 1.0,
    repeat: int = 1,
) -> CueBatches:
    """Splits of the task as batches.

    Args:
        protocol: ``published``: noise shared between the splits, tested on the split that selects
            the epoch, as the authors do; ``clean``: three independent splits.
        seed: Of the samples and of the order of the training batches.
        batch_size: Samples per batch.
        samples: Of training, validation and test; published splits are equally large.
        scale: Value of a spike.
        repeat: ``R``, steps per millisecond.

    Raises:
        ValueError: Published splits of different sizes.
        UserError: A split or a batch without samples.
    """
    splits = _splits(protocol, seed, samples)
    used = splits[:2] if protocol == "published" else splits

    def batches(data: CueData, *, shuffle: bool = False) -> Batches:
        def frames(packed: Tensor, labels: Tensor) -> Batch:
            steps_TBI = time_first(torch.from_numpy(unpack(packed.numpy())))
            return slowed(steps_TBI, scale=scale, repeat=repeat), labels

        return Batches(
            data.spikes,
            data.labels,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            transform=frames,
        )

    validation = batches(splits[1])
    return CueBatches(
        train=batches(splits[0], shuffle=True),
        validation=validation,
        test=validation if protocol == "published" else batches(splits[2]),
        digest=digest_arrays(*(array for data in used for array in data[:2])),
        t_crop=WAIT_FROM * repeat,
    )


def _splits(protocol: Protocol, seed: int, samples: tuple[int, int, int]) -> tuple[CueData, ...]:
    if protocol == "clean":
        return tuple(clean_split(seed, split, count) for split, count in enumerate(samples))
    if len(set(samples)) > 1:
        raise ValueError(f"published splits are equally large, not {samples}")
    return published_splits(seed, samples[0])


def _data(
    bias: NDArray[np.uint8], cues: NDArray[np.uint8], uniform: Iterable[NDArray[np.float64]]
) -> CueData:
    """Spikes where the rate is above ``uniform``, ``[T, I]`` of one sample after the other."""
    spikes = np.empty((len(cues), STEPS * CHANNELS // 8), np.uint8)
    for n, drawn_TI in enumerate(uniform):
        spikes[n] = np.packbits(_rates(cues[n]) > drawn_TI)
    labels = (cues.sum(1) > CUES // 2).astype(np.int64)
    return CueData(spikes, labels, cues, bias)


def _rates(cues: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Spikes per step of one sample, ``[T, I]``."""
    rates = np.zeros((STEPS, CHANNELS // _GROUP, _GROUP))
    for j, side in enumerate(cues):
        rates[_INTERVAL * j + _SILENCE : _INTERVAL * (j + 1), side] = _RATE
    rates[STEPS - _RECALL :, 2] = _RATE
    rates[:, 3] = _NOISE_RATE
    return rates.reshape(STEPS, CHANNELS)
