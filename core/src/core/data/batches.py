"""Batches from packed arrays in memory, in an order that can be computed again.

All randomness comes from NumPy's ``default_rng`` over (seed, purpose, epoch), so splits,
permutations and orders are independent of each other, of the device, and of how often anything
else drew a random number. Resuming a run needs the seed and the epoch, no loader state.

Shapes: ``B`` batch, ``T`` time, ``N`` input channels, ``H`` x ``W`` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError

Packed: TypeAlias = NDArray[np.generic] | Tensor
Transform: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class _Purpose(IntEnum):
    SPLIT = 1
    PIXELS = 2
    ORDER = 3


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
    shuffled = _generator(seed, _Purpose.SPLIT).permutation(n)
    held_out = int(fraction * n)
    return np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out])


def make_permutation(n: int, seed: int) -> Tensor:
    """Return a random order of ``n`` pixels, int64 [n], for permuted sequential images."""
    return torch.from_numpy(_generator(seed, _Purpose.PIXELS).permutation(n))


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


class Batches:
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
        transform: the border between packed data and the model.

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
        transform: Transform,
    ) -> None:
        if len(inputs) != len(targets):
            raise ValueError(f"{len(inputs)} inputs but {len(targets)} targets")
        if len(inputs) == 0:
            raise UserError("a data split is empty; use more samples or another split fraction.")
        if batch_size < 1:
            raise UserError(f"the batch size is {batch_size}; it must be at least 1.")
        self.inputs = torch.as_tensor(inputs)
        self.targets = torch.as_tensor(targets)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.transform = transform

    @property
    def samples(self) -> int:
        """Number of samples in one epoch."""
        return len(self.inputs)

    def __len__(self) -> int:
        """Number of batches in one epoch."""
        return -(-self.samples // self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Return the sample indices of one epoch, int64 [n]."""
        if not self.shuffle:
            return torch.arange(self.samples)
        generator = _generator(self.seed, _Purpose.ORDER, epoch)
        return torch.from_numpy(generator.permutation(self.samples))

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the transformed batches of one epoch; may be called any number of times."""
        for chosen in self.order(epoch).to(self.inputs.device).split(self.batch_size):
            yield self.transform(self.inputs[chosen], self.targets[chosen])


def _generator(seed: int, purpose: _Purpose, epoch: int = 0) -> np.random.Generator:
    return np.random.default_rng((seed, int(purpose), epoch))
