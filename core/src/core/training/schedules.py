"""How the learning rate changes from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

SchedulerFactory = Callable[[Optimizer], LRScheduler]


def linear_decay(epochs: int) -> SchedulerFactory:
    """Learning rate times ``1 - epoch / epochs``; the last epoch uses ``lr / epochs``."""

    def make(optimizer: torch.optim.Optimizer) -> LRScheduler:
        return LambdaLR(optimizer, lambda e: 1.0 - e / max(1, epochs))

    return make


def plateau_of_accuracy(*, factor: float, patience: int, min_lr: float = 1e-6) -> SchedulerFactory:
    """Learning rate times ``factor`` once the validation accuracy has stopped to rise.

    An epoch is better where its accuracy exceeds ``(1 + 1e-4)`` times the best so far (PyTorch's
    relative threshold); ``patience`` epochs in a row may be no better, the next one that is not
    lowers the rate, down to ``min_lr`` at the least.
    """

    def make(optimizer: torch.optim.Optimizer) -> LRScheduler:
        return ReduceLROnPlateau(
            optimizer, mode="max", factor=factor, patience=patience, min_lr=min_lr
        )

    return make


def step(scheduler: LRScheduler, *, val_accuracy: float) -> None:
    """Step any scheduler at the end of an epoch; one that waits for a plateau sees the accuracy."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(val_accuracy)
    else:
        scheduler.step()
