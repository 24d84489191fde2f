"""What is measured of a network: loss, accuracy, and how much it spikes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
        by_batch: The accuracy of an epoch is the plain mean over batches, as the codes of many
            authors have it: a last, smaller batch counts like the others.
        further: Whatever else was measured, by name: a value and its weight in the mean of an
            epoch, 1 for a plain mean over batches.
    """

    loss: Tensor
    value: Tensor
    correct: Tensor
    predictions: int
    spikes: Tensor | None
    samples: int
    neuron_steps: int | None = None
    layers: Sequence[LayerSpikes] = ()
    by_batch: bool = False
    further: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Metrics:
    """Means over an epoch.

    Attributes:
        loss: Unweighted mean over batches of the batch value, as the authors' codes report it.
        accuracy: Right predictions in percent, exact over all predictions unless the objective asks
            for the mean over batches.
        sop: Spikes per sample, ``sum of spikes / samples`` (synaptic operations per sample); None
            for a network that has no spikes.
        samples: Number of samples seen.
        rate: Mean firing rate, spikes per neuron and step, exact over all batches; None where
            nobody counts neurons.
        layer_rates: The same of each layer, where the network tells them apart.
        further: Whatever else the objective measures, by name.
        batches: The same in every batch, in order.
    """

    loss: float
    accuracy: float
    sop: float | None
    samples: int
    rate: float | None = None
    layer_rates: tuple[float, ...] = ()
    further: Mapping[str, float] = field(default_factory=dict)
    batches: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


class Totals:
    """Adds up the batches of an epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.correct = self.predictions = self.samples = 0
        self.spikes: int | None = None
        self.neuron_steps: int | None = None
        self.layers: list[tuple[int, int]] = []
        self.shares: list[float] = []
        self.further: dict[str, list[tuple[float, float]]] = {}

    def add(self, result: BatchResult) -> float:
        """Count a batch; returns its value."""
        value = float(result.value)
        self.values.append(value)
        self.correct += int(result.correct)
        self.predictions += result.predictions
        self.samples += result.samples
        if result.by_batch:
            self.shares.append(int(result.correct) / max(1, result.predictions))
        for name, measured in result.further.items():
            self.further.setdefault(name, []).append(measured)
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
            accuracy=self._accuracy(),
            sop=None if self.spikes is None else self.spikes / max(1, self.samples),
            samples=self.samples,
            rate=_rate(self.spikes, self.neuron_steps),
            layer_rates=tuple(spikes / max(1, places) for spikes, places in self.layers),
            further={name: _mean(measured) for name, measured in self.further.items()},
            batches={
                name: tuple(v for v, _ in measured) for name, measured in self.further.items()
            },
        )

    def _accuracy(self) -> float:
        if self.shares:
            return 100.0 * math.fsum(self.shares) / len(self.shares)
        return 100.0 * self.correct / max(1, self.predictions)


def count_spikes(spikes_TBN: Iterable[Tensor]) -> tuple[LayerSpikes, ...]:
    """Count the spikes of each layer, given as zeros and ones."""
    # Exact: a row has fewer than 2^24 spikes, the whole may have more.
    return tuple(
        LayerSpikes(spikes.detach().sum(-1).sum(dtype=torch.float64), spikes.numel())
        for spikes in spikes_TBN
    )


def _mean(measured: Sequence[tuple[float, float]]) -> float:
    return math.fsum(v * w for v, w in measured) / math.fsum(w for _, w in measured)


def _rate(spikes: int | None, neuron_steps: int | None) -> float | None:
    return spikes / neuron_steps if spikes is not None and neuron_steps else None
