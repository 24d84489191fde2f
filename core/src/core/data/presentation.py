"""How samples are presented: larger, more slowly, or in the order of PyTorch's loader."""

from __future__ import annotations

import torch
from torch import Tensor

from core.buffers import empty
from core.data.batches import Batch, RowBatches


def slowed(steps_TBI: Tensor, *, scale: float, repeat: int) -> Tensor:
    """``scale`` times the input, every step ``repeat`` times: float32 ``[R T, B, I]``."""
    wide_TBI = steps_TBI.to(torch.float32)
    if scale != 1.0:
        wide_TBI = wide_TBI * scale
    if repeat == 1:
        return wide_TBI
    if wide_TBI.device.type != "cpu":
        return wide_TBI.repeat_interleave(repeat, 0)
    # A tenth of the time of repeat_interleave, which gathers row by row into fresh memory.
    slow = empty((len(wide_TBI), repeat, *wide_TBI.shape[1:]), torch.float32)
    return slow.copy_(wide_TBI.unsqueeze(1).expand_as(slow)).flatten(0, 1)


def slowed_batches(batches: RowBatches, *, scale: float = 1.0, repeat: int = 1) -> RowBatches:
    """The same rows in the same order, each input :func:`slowed`.

    Args:
        batches: They are not changed, and themselves returned where there is nothing to do.
        scale: Factor on every input.
        repeat: ``R``, steps per step of the data.
    """
    if scale == 1.0 and repeat == 1:
        return batches

    def take(rows_B: Tensor, epoch: int) -> Batch:
        inputs_TBI, targets = batches.take(rows_B, epoch)
        return slowed(inputs_TBI, scale=scale, repeat=repeat), targets

    return RowBatches(
        take,
        batches.samples,
        batch_size=batches.batch_size,
        shuffle=batches.shuffle,
        seed=batches.seed,
        name=batches.name,
    )


class LoaderOrder(RowBatches):
    """Batches in the order in which ``torch.utils.data.DataLoader`` shuffles them.

    It is that of an experiment whose loop, epoch by epoch, goes through one shuffled loader (two
    numbers from PyTorch's generator) and one in order (one number), and draws nothing else. Epochs
    count from 1; 0, with which sizes are looked at, has the order of the first.

    Args:
        batches: Which rows, and how they are taken.
        state: PyTorch's generator before the first epoch, such as ``torch.get_rng_state()`` after
            the network was made.
    """

    def __init__(self, batches: RowBatches, state: Tensor) -> None:
        super().__init__(
            batches.take,
            batches.samples,
            batch_size=batches.batch_size,
            shuffle=True,
            seed=batches.seed,
            name=batches.name,
        )
        self.state = state

    def order(self, epoch: int) -> Tensor:
        """Return the rows of one epoch, int64 [n]."""
        experiment = torch.Generator()
        experiment.set_state(self.state)
        before = 3 * max(epoch - 1, 0) + 1  # earlier epochs, and the seed for workers
        *_, seed = (_draw(experiment) for _ in range(before + 1))
        return torch.randperm(self.samples, generator=torch.Generator().manual_seed(seed))


def _draw(generator: torch.Generator) -> int:
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator))
