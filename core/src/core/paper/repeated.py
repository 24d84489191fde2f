"""Testing a network, several times where its state before the first step is random."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from core.counting import Counter, Counts
from core.metrics import Metrics
from core.training.job import EpochBatches
from core.training.loop import Objective, evaluate


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of one network on the same samples.

    Attributes:
        name: Which weights were tested.
        metrics: One per evaluation.
        counts: What the first one cost, see :mod:`core.counting`.
    """

    name: str
    metrics: tuple[Metrics, ...]
    counts: Counts

    @property
    def accuracies(self) -> list[float]:
        """Accuracy of every evaluation, percent."""
        return [metrics.accuracy for metrics in self.metrics]

    @property
    def mean(self) -> float:
        """Mean accuracy, percent."""
        return statistics.fmean(self.accuracies)

    @property
    def std(self) -> float | None:
        """Standard deviation (n - 1) of the accuracy, percent; None for a single evaluation."""
        return statistics.stdev(self.accuracies) if len(self.metrics) > 1 else None

    def mean_of(self, key: str) -> float | None:
        """Mean of another metric; None where the network has none of it."""
        values = [getattr(metrics, key) for metrics in self.metrics]
        return None if None in values else statistics.fmean(values)

    @property
    def further(self) -> dict[str, float]:
        """Means of whatever else the objective measures."""
        names = self.metrics[0].further
        return {name: statistics.fmean(m.further[name] for m in self.metrics) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "weights": self.name,
            "samples": self.metrics[0].samples,
            "accuracies": self.accuracies,
            "accuracy": self.mean,
            "accuracy_std": self.std,
            **{key: self.mean_of(key) for key in ("loss", "sop", "rate")},
            **self.further,
        }

    def __str__(self) -> str:
        spread = "" if self.std is None else f" +- {self.std:.2f}"
        times = "once" if len(self.metrics) == 1 else f"{len(self.metrics)} times"
        sop, rate = self.mean_of("sop"), self.mean_of("rate")
        spikes = "" if sop is None else f", {sop:.1f} spikes per sample"
        if rate is not None:
            spikes += f" ({rate:.4f} per neuron and step)"
        return (
            f"test of the {self.name}, {times} on {self.metrics[0].samples} samples: accuracy "
            f"{self.mean:.2f}{spread} %, loss {self.mean_of('loss'):.4f}{spikes}"
        )


def evaluate_repeatedly(
    model: nn.Module,
    batches: EpochBatches,
    objective: Objective,
    *,
    name: str,
    device: torch.device,
    seeds: Iterable[int],
) -> Evaluations:
    """Evaluate once with each seed of PyTorch's generator.

    Args:
        model: On ``device``.
        batches: Of the test set.
        objective: Loss and counts.
        name: Which weights these are.
        device: Where batches go.
        seeds: At least one.
    """
    metrics: list[Metrics] = []
    counter = Counter(model)
    for seed in seeds:
        torch.manual_seed(seed)
        with nullcontext() if metrics else counter:
            metrics.append(evaluate(model, batches.epoch(0), objective, device=device))
    return Evaluations(name, tuple(metrics), counter.counts(samples=metrics[0].samples))
