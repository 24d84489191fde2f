"""Batches of recordings as frames of a filterbank, or of other features.

``T`` frames of the longest recording of a batch, ``B`` recordings, ``F`` frames of one of them,
``M`` mel bins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from core.data.audio import RateRule, Utterances, read_waveform
from core.data.augmentation import augment
from core.data.batches import Batch, Purpose, RowBatches, random_stream
from core.data.filterbank import FRAME, log_mel
from core.data.numbers import exact_int64
from core.errors import UserError


def audio_batches(
    utterances: Utterances,
    rows: ArrayLike | None = None,
    *,
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
    sample_rate: RateRule = "resample",
    augmented: bool = False,
    features: Callable[[Tensor], Tensor] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
) -> RowBatches:
    """Return batches of filterbank frames, float32 [T, B, 40], and labels, int64 [B].

    Recordings that are shorter than the longest of their batch end in frames of zeros; networks
    see them as any other frames (Bittar and Garner 2022), so what a network says about a recording
    may depend on its companions.

    Frames of recordings that are not augmented are computed when they are first needed and then
    kept: 16 kB for a second of sound, 1.3 GB for the training part of Speech Commands. They are not
    kept on disk: computing them takes half a millisecond each, once per run.

    Args:
        utterances: all recordings of a split.
        rows: the recordings to use, by default all.
        batch_size: recordings per batch.
        shuffle: a new order every epoch, a pure function of (seed, epoch).
        seed: of that order and of the augmentation.
        sample_rate: see :func:`core.data.audio.read_waveform`.
        augmented: change every recording at random, anew in every epoch; the change is a pure
            function of (seed, epoch, recording).
        features: from a waveform [N] at least a frame long to what is kept of it, [F, M]; by
            default :func:`core.data.filterbank.log_mel`.
        transform: of a whole batch, [T, B, M].
    """
    labels_N = torch.from_numpy(utterances.labels)
    chosen = (
        torch.arange(len(utterances.paths))
        if rows is None
        else torch.as_tensor(exact_int64(rows, "rows"))
    )
    kept: dict[int, Tensor] = {}

    def frames(row: int, epoch: int) -> Tensor:
        if row in kept:
            return kept[row]
        stream = random_stream(seed, Purpose.AUGMENTATION, epoch, row) if augmented else None
        found_FM = (features or log_mel)(_waveform(utterances, row, sample_rate, stream))
        if not augmented:
            kept[row] = found_FM
        return found_FM

    def take(picked: Tensor, epoch: int) -> Batch:
        rows_B = chosen[picked]
        frames_TBM = pad([frames(row, epoch) for row in rows_B.tolist()])
        return frames_TBM if transform is None else transform(frames_TBM), labels_N[rows_B]

    return RowBatches(
        take,
        len(chosen),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        name=lambda picked: str(utterances.paths[chosen[picked]]),
    )


def pad(sequences: Sequence[Tensor]) -> Tensor:
    """Stack [F, M] sequences of any lengths into float32 [T, B, M], zeros at their ends."""
    return torch.nn.utils.rnn.pad_sequence(list(sequences))


def _waveform(
    utterances: Utterances, row: int, sample_rate: RateRule, stream: np.random.Generator | None
) -> Tensor:
    path = utterances.paths[row]
    waveform_N = read_waveform(path, sample_rate=sample_rate)
    if len(waveform_N) < FRAME:
        raise UserError(
            f"{path} is too short: {len(waveform_N)} samples, a frame takes {FRAME}. Get it again "
            "from where the data set came, or remove it from the set."
        )
    if stream is not None:
        with np.errstate(invalid="ignore"):  # what is not finite, its batch will name
            waveform_N = torch.from_numpy(augment(waveform_N.numpy(), stream))
    return waveform_N
