"""The points that the authors' scripts show in TensorBoard, by their names and steps.

They stand in the folder ``steps`` of a run, beside those that every run here has.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from core.metrics import BatchResult
from core.training.events import EventLog
from plif.layers import neurons_of

EVERY = 256
"""Training steps between two batches that are shown."""


class AuthorsTags:
    """Accuracies, the loss of single batches, and the time constants of the layers.

    ``train_loss`` and ``train_accuracy`` of single batches by training step, ``test_accuracy`` and
    ``val_accuracy`` by epoch from 0 on, ``w0``, ``w1``, ... by the steps done so far. Of a layer
    with one time constant per neuron, ``w`` is the mean, and ``w_std`` its deviation.
    """

    def step(self, events: EventLog, result: BatchResult, step: int) -> None:
        """See :class:`core.training.job.RunLog`."""
        if step % EVERY == 0:
            events.scalar("train_accuracy", float(result.correct) / result.predictions, step)
            events.scalar("train_loss", float(result.value), step)

    @torch.no_grad()
    def epoch(self, events: EventLog, row: dict[str, Any], model: nn.Module, steps: int) -> None:
        """See :class:`core.training.job.RunLog`."""
        for split in ("test", "val"):
            events.scalar(f"{split}_accuracy", row[f"{split}_accuracy"] / 100, row["epoch"] - 1)
        for layer, neurons in enumerate(neurons_of(model)):
            if "w" not in neurons.state_dict():
                continue
            events.scalar(f"w{layer}", float(neurons.w.mean()), steps)
            if neurons.w.numel() > 1:
                events.scalar(f"w_std{layer}", float(neurons.w.std()), steps)
