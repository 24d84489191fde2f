"""Batches from packed arrays in memory, in an order that can be computed again.

All randomness comes from NumPy's ``default_rng`` over (seed, purpose, epoch), so splits,
permutations and orders are independent of each other, of the device, and of how often anything
else drew a random number. Resuming a run needs the seed and the epoch, no loader state.

Shapes: ``B`` batch, ``T`` time, ``N`` input channels, ``H`` x ``W`` pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NoReturn, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from core.errors import NotFinite, UserError

Packed: TypeAlias = NDArray[np.generic] | Tensor
Batch: TypeAlias = tuple[Tensor, Tensor]
Transform: TypeAlias = Callable[[Tensor, Tensor], Batch]
Take: TypeAlias = Callable[[Tensor, int], Batch]


class Purpose(IntEnum):
    """What random numbers are drawn for; every purpose has its own stream."""

    SPLIT = 1
    PIXELS = 2
    ORDER = 3
    SPEAKERS = 4
    AUGMENTATION = 5
    CUES = 6


def split_indices(
    n: int, fraction: float, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split ``range(n)`` at random into (training, validation), each in ascending order.

    The validation part has ``int(fraction * n)`` members, drawn by a NumPy generator: a split
    depends on the seed only, not on torch's random state.

    Raises:
        UserError: ``fraction`` is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UserError(f"the validation fraction is {fraction}; it must be at least 0, below 1.")
    shuffled = random_stream(seed, Purpose.SPLIT).permutation(n)
    held_out = int(fraction * n)
    return np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out])


def hold_out_speakers(
    speakers: ArrayLike, *, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into (training, validation) by speaker, each in ascending order.

    Speakers are drawn in a random order, and each gives all its rows to the validation part until
    that holds at least ``fraction`` of them. So validation hears only voices that training does
    not, as a test set with new speakers does.

    Args:
        speakers: the speaker of every row, of any type that can be sorted.
        fraction: smallest part of the rows to hold out, above 0 and below 1.
        seed: decides the order of the speakers.

    Raises:
        UserError: ``fraction`` is out of range, or it leaves no speaker to train on.
    """
    if not 0 < fraction < 1:
        raise UserError(f"the validation fraction is {fraction}; it must be above 0 and below 1.")
    names, speaker_N, rows_of = np.unique(speakers, return_inverse=True, return_counts=True)
    drawn = random_stream(seed, Purpose.SPEAKERS).permutation(len(names))
    held = np.cumsum(rows_of[drawn])
    chosen = drawn[: 1 + int(np.searchsorted(held, fraction * len(speaker_N)))]
    if len(chosen) >= len(names):
        raise UserError(
            f"holding out {fraction:g} of the samples by speaker needs all {len(names)} speakers; "
            "use a smaller validation fraction."
        )
    out_N = np.isin(speaker_N, chosen)
    return np.flatnonzero(~out_N), np.flatnonzero(out_N)


def make_permutation(n: int, seed: int) -> Tensor:
    """Return a random order of ``n`` pixels, int64 [n], for permuted sequential images."""
    return torch.from_numpy(random_stream(seed, Purpose.PIXELS).permutation(n))


def to_sequence(images_BHW: Tensor, max_value: int, permutation: Tensor | None = None) -> Tensor:
    """Turn uint8 images into sequences of one pixel per step, float32 [T, B, 1], T = H * W.

    Pixels are divided by ``max_value`` and read row by row; with a permutation,
    ``sequence[t] = pixel[permutation[t]]``.
    """
    pixels_BT = images_BHW.flatten(start_dim=1)
    if permutation is not None:
        pixels_BT = pixels_BT[:, permutation.to(pixels_BT.device)]
    return (time_first(pixels_BT).to(torch.float32) / max_value).unsqueeze(-1)


def time_first(packed_BT: Tensor) -> Tensor:
    """Turn [B, T, ...] into contiguous [T, B, ...] of the same type.

    Do this before widening the type: moving packed bytes is cheaper.
    """
    return packed_BT.transpose(0, 1).contiguous()


def arrays_to_model(inputs_BTN: Tensor, targets_B: Tensor) -> Batch:
    """Turn arrays, batch first, into float32 [T, B, ...] and int64 targets."""
    return time_first(inputs_BTN).to(torch.float32), targets_B.to(torch.int64)


class RowBatches:
    """Batches of rows of anything, in an order that is a pure function of (seed, epoch).

    Args:
        take: ``take(rows, epoch)`` gives inputs and targets of the chosen rows, int64 [B], as the
            model takes them: time first and float32. What it returns may depend on nothing else.
        samples: number of rows.
        batch_size: rows per batch; the last, smaller batch is kept.
        shuffle: a new order every epoch; otherwise ascending.
        seed: the order of epoch ``e`` is a pure function of (seed, e).
        name: ``name(row)`` says where a row comes from, for messages.

    Raises:
        UserError: no rows, or a batch size below 1.
    """

    def __init__(
        self,
        take: Take,
        samples: int,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        name: Callable[[int], str] = "sample {} (counted from 0)".format,
    ) -> None:
        if samples == 0:
            raise UserError("a data split is empty; use more samples or another split fraction.")
        if batch_size < 1:
            raise UserError(f"the batch size is {batch_size}; it must be at least 1.")
        self.take = take
        self.samples = samples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.name = name

    def __len__(self) -> int:
        """Number of batches in one epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> NoReturn:
        """Batches have an order per epoch, so they cannot be iterated without one."""
        raise TypeError(
            f"{type(self).__name__} has an order of its own for every epoch; iterate over "
            ".epoch(n), such as `for inputs, targets in batches.epoch(0)`"
        )

    def order(self, epoch: int) -> Tensor:
        """Return the rows of one epoch, int64 [n]."""
        if not self.shuffle:
            return torch.arange(self.samples)
        generator = random_stream(self.seed, Purpose.ORDER, epoch)
        return torch.from_numpy(generator.permutation(self.samples))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; may be called any number of times.

        Raises:
            NotFinite: an input is NaN or infinite; names its row.
        """
        for count, rows_B in enumerate(self.order(epoch).split(self.batch_size), start=1):
            inputs_TBI, targets = self.take(rows_B, epoch)
            # The sum is much cheaper to look at than every entry, and misses nothing.
            if not math.isfinite(inputs_TBI.sum()):
                self._require_finite(inputs_TBI, rows_B, count)
            yield inputs_TBI, targets

    def _require_finite(self, inputs_TBI: Tensor, rows_B: Tensor, count: int) -> None:
        broken_B = ~torch.isfinite(inputs_TBI).movedim(1, 0).flatten(1).all(1)
        if broken := rows_B[broken_B.cpu()].tolist():  # otherwise only the sum is too large
            raise NotFinite(
                "the input",
                f"batch {count}",
                f"{self.name(broken[0])} holds NaN or infinite values; get it again from where the "
                "data set came, or remove it from the set",
            )


class Batches(RowBatches):
    """Packed inputs and targets with one transform to the model's layout, applied per batch.

    The arrays stay as they are (NumPy arrays are not copied; tensors may lie on any device);
    ``transform(inputs, targets)`` gets one batch of each, batch first and packed, and returns
    what the model takes, time first and float32. The last, smaller batch is kept.

    Args:
        inputs: packed array [n, ...].
        targets: packed array [n, ...].
        batch_size: samples per batch.
        shuffle: a new order every epoch; otherwise the order of the arrays.
        seed: the order of epoch ``e`` is a pure function of (seed, e).
        transform: the border between packed data and the model; without one, arrays [B, T, ...]
            become float32 [T, B, ...] and targets int64.

    Raises:
        UserError: no samples, or a batch size below 1.
        ValueError: inputs and targets have different lengths.
    """

    def __init__(
        self,
        inputs: Packed,
        targets: Packed,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        transform: Transform | None = None,
    ) -> None:
        if len(inputs) != len(targets):
            raise ValueError(f"{len(inputs)} inputs but {len(targets)} targets")
        self.inputs = torch.as_tensor(inputs)
        self.targets = torch.as_tensor(targets)
        if transform is None and self.inputs.ndim < 3:
            raise ValueError(
                f"inputs have shape {list(self.inputs.shape)}; without a transform they must be "
                "[samples, time steps, channels]"
            )
        self.transform = transform or arrays_to_model
        super().__init__(
            self._packed_rows, len(inputs), batch_size=batch_size, shuffle=shuffle, seed=seed
        )

    def _packed_rows(self, rows_B: Tensor, epoch: int) -> Batch:
        there_B = rows_B.to(self.inputs.device)
        return self.transform(self.inputs[there_B], self.targets[there_B])


def random_stream(seed: int, purpose: Purpose, epoch: int = 0, *more: int) -> np.random.Generator:
    """Return a generator of its own for every (seed, purpose, epoch, ...)."""
    return np.random.default_rng((seed, int(purpose), epoch, *more))
