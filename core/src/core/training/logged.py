"""What TensorBoard shows of a run; everything over epochs, so that curves lie on one axis."""

from __future__ import annotations

from typing import Any

from core.metrics import Metrics
from core.neurons import Neuron
from core.training.events import EventLog
from core.training.job import Job

HISTOGRAMS = 50
"""About so many of each parameter, evenly over the epochs of a run."""


def log_settings(events: EventLog, job: Job) -> None:
    """The settings of a run that starts, beside what it is judged by."""
    settings = job.manifest.get("config", {})
    events.settings(settings, {"Accuracy/test": 0.0, "Loss/val": 0.0})


def log_epoch(
    events: EventLog,
    job: Job,
    row: dict[str, Any],
    trained: Metrics | None,
    measured: dict[str, Metrics],
) -> None:
    """Loss, accuracy, spikes, rates, learning rate, and the parameters of the neurons.

    Args:
        events: Of the run.
        job: The run.
        row: Of ``metrics.jsonl``.
        trained: Metrics of training; None before the first epoch.
        measured: Metrics of ``val`` and ``test``.
    """
    epoch = row["epoch"]
    for name, metrics in measured.items():
        events.scalar(f"Loss/{name}", metrics.loss, epoch)
        events.scalar(f"Accuracy/{name}", metrics.accuracy, epoch)
        if metrics.sop is not None:
            events.scalar(f"SOP/{name}", metrics.sop, epoch)
    if trained is not None:
        events.scalar("Loss/train", trained.loss, epoch)
        events.scalar("Accuracy/train", trained.accuracy, epoch)
    events.scalar("Learning rate", row["learning_rate"], epoch)
    for layer, rate in enumerate(measured["test"].layer_rates or (), start=1):
        events.scalar(f"Firing rate/layer {layer}", rate, epoch)
    if epoch % max(1, job.epochs // HISTOGRAMS) == 0 or epoch == job.epochs:
        _log_neurons(events, job, epoch)


def _log_neurons(events: EventLog, job: Job, epoch: int) -> None:
    for name, module in job.model.named_modules():
        if isinstance(module, Neuron):
            for key, values in module.named_parameters(recurse=False):
                events.histogram(f"Neurons/{name}.{key}", values, epoch)
