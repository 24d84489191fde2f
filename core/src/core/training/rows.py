"""What is kept and said of an epoch: its row of ``metrics.jsonl``, and its line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.metrics import Metrics
from core.training.job import Job
from core.training.progress import duration


def epoch_row(
    job: Job, epoch: int, trained: Metrics | None, measured: dict[str, Metrics], seconds: float
) -> dict[str, Any]:
    """The row of an epoch.

    Args:
        job: Its optimiser has the learning rate.
        epoch: 0 is the untrained network.
        trained: What the training steps gave; None before any.
        measured: On ``val`` and ``test``.
        seconds: Of training and evaluation.
    """
    row = {
        "epoch": epoch,
        "train_loss": trained.loss if trained else None,
        "train_accuracy": trained.accuracy if trained else None,
        "val_loss": measured["val"].loss,
        "val_accuracy": measured["val"].accuracy,
        "test_loss": measured["test"].loss,
        "test_accuracy": measured["test"].accuracy,
        "sop": measured["test"].sop,
        "learning_rate": job.optimizer.param_groups[0]["lr"],
        "seconds": round(seconds, 3),
    }
    if (rate := measured["test"].rate) is not None:
        row["rate"] = rate
    if rates := measured["test"].layer_rates:
        row["layer_rates"] = list(rates)
    parts = {"val": measured["val"], "test": measured["test"]}
    for name, metrics in ({"train": trained, **parts} if trained else parts).items():
        row |= {f"{name}_{key}": value for key, value in metrics.further.items()}
    return row


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """An epoch as it is printed."""
    train = "" if row["train_loss"] is None else f"train loss {row['train_loss']:.4f} | "
    return (
        f"epoch {row['epoch']}/{epochs} | {train}"
        f"val loss {row['val_loss']:.6f}, accuracy {row['val_accuracy']:.2f} % | "
        f"test loss {row['test_loss']:.4f}, accuracy {row['test_accuracy']:.2f} %"
        f"{spikes_of(row)} | {duration(row['seconds'])}"
    )


def spikes_of(row: Mapping[str, Any]) -> str:
    """How much the network spikes, to end a phrase with; nothing where it has no spikes."""
    if row["sop"] is None:
        return ""
    rate = row.get("rate")
    per_step = "" if rate is None else f" ({rate:.4f} per neuron and step)"
    return f", {row['sop']:.1f} spikes per sample{per_step}"


def seconds_per_epoch(history: list[dict[str, Any]]) -> float | None:
    """Median over trained epochs: one pause of the machine does not count."""
    seconds = sorted(row["seconds"] for row in history[1:])
    return seconds[len(seconds) // 2] if seconds else None
