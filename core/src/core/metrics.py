"""What is measured of a network: loss, accuracy, and how much it spikes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class LayerSpikes(NamedTuple):
    """How much one layer spiked."""

    spikes: Tensor
    """Number of spikes, exact, without a gradient."""
    places: int
    """In how many places there could have been one (neurons times steps times samples)."""


@dataclass(frozen=True)
class BatchResult:
    """What an objective says about one batch.

    Attributes:
        loss: Scalar that ``backward`` runs on.
        value: Scalar to report; differs from ``loss`` by its scale only (per step, say).
        correct: Number of right predictions.
        predictions: Number of predictions (samples, or samples times steps).
        spikes: Number of spikes, exact; None for a network that has none.
        samples: Number of samples.
        neuron_steps: In how many places there could have been a spike (spiking neurons times
            steps times samples); None where nobody counts them.
        layers: Spikes of each layer, where the network tells them apart.
    """

    loss: Tensor
    value: Tensor
    correct: Tensor
    predictions: int
    spikes: Tensor | None
    samples: int
    neuron_steps: int | None = None
    layers: Sequence[LayerSpikes] = ()


@dataclass(frozen=True)
class Metrics:
    """Means over an epoch.

    Attributes:
        loss: Unweighted mean over batches of the batch value, as the authors' codes report it.
        accuracy: Right predictions in percent, exact over all predictions.
        sop: Spikes per sample, ``sum of spikes / samples`` (synaptic operations per sample); None
            for a network that has no spikes.
        samples: Number of samples seen.
        rate: Mean firing rate, spikes per neuron and step, exact over all batches; None where
            nobody counts neurons.
        layer_rates: The same of each layer, where the network tells them apart.
    """

    loss: float
    accuracy: float
    sop: float | None
    samples: int
    rate: float | None = None
    layer_rates: tuple[float, ...] = ()


class Totals:
    """Adds up the batches of an epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.correct = self.predictions = self.samples = 0
        self.spikes: int | None = None
        self.neuron_steps: int | None = None
        self.layers: list[tuple[int, int]] = []

    def add(self, result: BatchResult) -> float:
        """Count a batch; returns its value."""
        value = float(result.value)
        self.values.append(value)
        self.correct += int(result.correct)
        self.predictions += result.predictions
        self.samples += result.samples
        if result.spikes is not None:
            self.spikes = (self.spikes or 0) + int(result.spikes)
        if result.neuron_steps is not None:
            self.neuron_steps = (self.neuron_steps or 0) + result.neuron_steps
        before = self.layers or [(0, 0)] * len(result.layers)
        self.layers = [
            (spikes + int(layer.spikes), places + layer.places)
            for (spikes, places), layer in zip(before, result.layers, strict=True)
        ]
        return value

    def metrics(self) -> Metrics:
        """Means over everything added so far."""
        return Metrics(
            loss=math.fsum(self.values) / max(1, len(self.values)),
            accuracy=100.0 * self.correct / max(1, self.predictions),
            sop=None if self.spikes is None else self.spikes / max(1, self.samples),
            samples=self.samples,
            rate=_rate(self.spikes, self.neuron_steps),
            layer_rates=tuple(spikes / max(1, places) for spikes, places in self.layers),
        )


def count_spikes(spikes_TBN: Iterable[Tensor]) -> tuple[LayerSpikes, ...]:
    """Count the spikes of each layer, given as zeros and ones."""
    # Exact: a row has fewer than 2^24 spikes, the whole may have more.
    return tuple(
        LayerSpikes(spikes.detach().sum(-1).sum(dtype=torch.float64), spikes.numel())
        for spikes in spikes_TBN
    )


def _rate(spikes: int | None, neuron_steps: int | None) -> float | None:
    return spikes / neuron_steps if spikes is not None and neuron_steps else None
