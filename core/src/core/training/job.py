"""What a training needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from core.metrics import BatchResult, Metrics
from core.training.events import EventLog
from core.training.loop import Objective, TrainStep
from core.training.selection import Selects


class EpochBatches(Protocol):
    """Batches whose order in an epoch is a pure function of that epoch."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        """Batches of this epoch."""
        ...


@dataclass(frozen=True)
class Trained:
    """An epoch that was trained and evaluated, and is not yet kept.

    Attributes:
        model: May be changed: what is kept are its weights afterwards.
        epoch: Counted from 1.
        metrics: Of training.
        row: Of ``metrics.jsonl``.
        folder: Of the run.
    """

    model: nn.Module
    epoch: int
    metrics: Metrics
    row: Mapping[str, Any]
    folder: Path


def nothing_more(trained: Trained) -> None:
    """After most epochs there is nothing to do."""


def go_on(history: Sequence[Mapping[str, Any]]) -> str | None:
    """Most runs do all their epochs."""
    return None


class RunLog(Protocol):
    """Points for TensorBoard that only one paper has, in the folder ``steps`` of the run's."""

    def step(self, events: EventLog, result: BatchResult, step: int) -> None:
        """After a training step, counted from 0 over all epochs."""
        ...

    def epoch(self, events: EventLog, row: dict[str, Any], model: nn.Module, steps: int) -> None:
        """After an epoch of training: its row of ``metrics.jsonl``, and all steps so far."""
        ...


@dataclass
class Job:
    """What :func:`core.training.fit.fit` needs.

    Attributes:
        model: On its device already.
        objective: Loss and counts of a batch, used for evaluation.
        train_step: One training step.
        optimizer: Of the model's parameters.
        scheduler: Stepped after each epoch; one that waits for a plateau sees the validation
            accuracy.
        train: Training batches.
        validation: Selects the best epoch.
        test: Evaluated each epoch for the curve; never used to select, unless it is the very
            object that ``validation`` is, which is then evaluated once.
        epochs: Training epochs; there are ``epochs + 1`` evaluations.
        best_on_ties: Which of two equally good epochs is kept.
        manifest: Goes into every checkpoint, with epoch and metrics.
        device: Where the model is.
        selects: What the best epoch is chosen by.
        after_epoch: Called after every trained epoch, when it is evaluated, the learning rate is
            stepped, and nothing is saved yet.
        stop: Rows of ``metrics.jsonl`` so far to why the run ends after them, None to go on.
        log: Further points for TensorBoard.
    """

    model: nn.Module
    objective: Objective
    train_step: TrainStep
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    train: EpochBatches
    validation: EpochBatches
    test: EpochBatches
    epochs: int
    best_on_ties: Literal["first", "last"]
    manifest: dict[str, Any]
    device: torch.device
    selects: Selects = "val_loss"
    after_epoch: Callable[[Trained], None] = nothing_more
    stop: Callable[[Sequence[Mapping[str, Any]]], str | None] = go_on
    log: RunLog | None = None
