"""The task: which digit is it, from its eight rows of pixels, one per step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from core.data import Batches, digest, load_digits, split_indices, time_first
from core.paper import Task
from plif.config import Config


def rows_as_steps(images_BHW: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Packed images to float32 ``[T, B, I]`` in ``[0, 1]``, ``T = H``, and int64 ``[B]``."""
    return time_first(images_BHW).to(torch.float32) / 16, labels_B.to(torch.int64)


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> Task:
    """Digits of scikit-learn, whatever the weights of the network."""
    train, test = load_digits("train"), load_digits("test")
    rows, held_out = split_indices(len(train.labels), config.val_fraction, seed=config.seed)
    make = partial(Batches, batch_size=config.batch_size, seed=config.seed, transform=rows_as_steps)
    return Task(
        data="digits",
        data_digest=digest("digits"),
        inputs=8,
        classes=10,
        train=make(train.images[rows], train.labels[rows], shuffle=True),
        validation=make(train.images[held_out], train.labels[held_out], shuffle=False),
        test=make(test.images, test.labels, shuffle=False),
    )
