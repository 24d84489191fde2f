"""What is measured of a network: loss, accuracy, and spikes per sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BatchResult:
    """What an objective says about one batch.

    Attributes:
        loss: Scalar that ``backward`` runs on.
        value: Scalar to report; differs from ``loss`` by its scale only (per step, say).
        correct: Number of right predictions.
        predictions: Number of predictions (samples, or samples times steps).
        spikes: Number of spikes, exact (int64).
        samples: Number of samples.
    """

    loss: Tensor
    value: Tensor
    correct: Tensor
    predictions: int
    spikes: Tensor
    samples: int


@dataclass(frozen=True)
class Metrics:
    """Means over an epoch.

    Attributes:
        loss: Unweighted mean over batches of the batch value, as the authors' codes report it.
        accuracy: Right predictions in percent, exact over all predictions.
        sop: Spikes per sample, ``sum of spikes / samples`` (synaptic operations per sample).
        samples: Number of samples seen.
    """

    loss: float
    accuracy: float
    sop: float
    samples: int


class Totals:
    """Adds up the batches of an epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.correct = self.predictions = self.spikes = self.samples = 0

    def add(self, result: BatchResult) -> float:
        """Count a batch; returns its value."""
        value = float(result.value)
        self.values.append(value)
        self.correct += int(result.correct)
        self.predictions += result.predictions
        self.spikes += int(result.spikes)
        self.samples += result.samples
        return value

    def metrics(self) -> Metrics:
        """Means over everything added so far."""
        return Metrics(
            loss=math.fsum(self.values) / max(1, len(self.values)),
            accuracy=100.0 * self.correct / max(1, self.predictions),
            sop=self.spikes / max(1, self.samples),
            samples=self.samples,
        )
