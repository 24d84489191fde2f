"""What is counted, layer by layer, and what NeuroBench's metrics make of it.

Names and definitions are NeuroBench's (Yik et al., Nature Communications 2025, and its pages on
metrics), means over samples:

* synaptic operations: ``dense`` counts every connection for every presynaptic value of every step;
  ``effective`` ones leave out values and weights that are zero. Where all values are 0 or 1 they
  are accumulates (``acs``), otherwise multiply-accumulates (``macs``).
* membrane updates: neurons times steps. Every neuron of a scan is updated in every step, also one
  that rests.
* activation sparsity: share of zeros among the outputs of all hidden neurons and steps.
* connection sparsity: share of zeros among the weights.
* footprint: bytes of parameters and buffers; states come and go and are not part of it.

Biases, normalisation and pooling are no synaptic operations.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class Synapses:
    """Exact sums over all samples for one pathway of one layer.

    Attributes:
        dense: Operations, zeros included.
        effective: Operations of a value and a weight that are both not zero.
        binary: All presynaptic values were 0 or 1.
        weights: What was counted as connections -> number of weights, and how many are not zero.
    """

    dense: int = 0
    effective: int = 0
    binary: bool = True
    weights: dict[Hashable, tuple[int, int]] = field(default_factory=dict)

    def add(self, key: Hashable, weight: Tensor, dense: int, effective: int, binary: bool) -> None:
        """Count a product with a weight; the same ``key`` is the same weight."""
        self.weights[key] = (weight.numel(), int(weight.count_nonzero()))
        self.dense += dense
        self.effective += effective
        self.binary &= binary

    def as_dict(self) -> dict[str, int]:
        """For JSON; an operation is either a MAC or an AC."""
        macs, acs = (0, 1) if self.binary else (1, 0)
        return {
            "dense_macs": macs * self.dense,
            "dense_acs": acs * self.dense,
            "effective_macs": macs * self.effective,
            "effective_acs": acs * self.effective,
            "connections": sum(all_ for all_, _ in self.weights.values()),
            "zero_connections": sum(all_ - there for all_, there in self.weights.values()),
        }


@dataclass
class LayerCounts:
    """Exact sums over all samples for one layer.

    Attributes:
        input: Synapses from the layer before.
        recurrence: Synapses from its own neurons.
        membrane_updates: Neurons times steps times samples.
        activations: Outputs of hidden neurons.
        zero_activations: Those that are zero.
        parameter_count: Trainable values.
        footprint: Bytes of parameters and buffers.
    """

    input: Synapses = field(default_factory=Synapses)
    recurrence: Synapses = field(default_factory=Synapses)
    membrane_updates: int = 0
    activations: int = 0
    zero_activations: int = 0
    parameter_count: int = 0
    footprint: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without pathways that the layer has not."""
        pathways = {"input": self.input, "recurrence": self.recurrence}
        numbers = ("membrane_updates", "activations", "zero_activations")
        return {
            **{name: synapses.as_dict() for name, synapses in pathways.items() if synapses.weights},
            **{name: getattr(self, name) for name in (*numbers, "parameter_count", "footprint")},
        }


@dataclass(frozen=True)
class Counts:
    """What a network did on some samples.

    Attributes:
        samples: How many.
        layers: By the name of the module, in the order in which they ran.
        uncounted: Modules with weights of which no operation was seen.
    """

    samples: int
    layers: Mapping[str, LayerCounts]
    uncounted: tuple[str, ...] = ()

    def total(self, name: str) -> int:
        """Sum over layers of one of their numbers."""
        return sum(getattr(layer, name) for layer in self.layers.values())

    def as_dict(self) -> dict[str, Any]:
        """NeuroBench's metrics, means over samples; under ``layers``, sums over samples."""
        layers = {name: layer.as_dict() for name, layer in self.layers.items()}
        pathways = [
            each[p] for each in layers.values() for p in ("input", "recurrence") if p in each
        ]

        def sum_of(*keys: str) -> int:
            return sum(pathway[key] for pathway in pathways for key in keys)

        return {
            "samples": self.samples,
            "synaptic_operations": {
                "dense": sum_of("dense_macs", "dense_acs") / self.samples,
                "effective_macs": sum_of("effective_macs") / self.samples,
                "effective_acs": sum_of("effective_acs") / self.samples,
            },
            "membrane_updates": self.total("membrane_updates") / self.samples,
            "activation_sparsity": _share(
                self.total("zero_activations"), self.total("activations")
            ),
            "connection_sparsity": _share(sum_of("zero_connections"), sum_of("connections")),
            "parameter_count": self.total("parameter_count"),
            "footprint": self.total("footprint"),
            "layers": layers,
            **({"uncounted": list(self.uncounted)} if self.uncounted else {}),
        }

    def __str__(self) -> str:
        found = self.as_dict()
        operations = found["synaptic_operations"]
        sparsity = "".join(
            f", {what} sparsity {found[key]:.4f}"
            for what, key in (
                ("activation", "activation_sparsity"),
                ("connection", "connection_sparsity"),
            )
            if found[key] is not None
        )
        updates = f"{found['membrane_updates']:,.1f} membrane updates"
        missing = f" (not counted: {', '.join(self.uncounted)})" if self.uncounted else ""
        return (
            f"counts per sample: {operations['effective_acs']:,.1f} ACs and "
            f"{operations['effective_macs']:,.1f} MACs of {operations['dense']:,.1f} dense "
            f"synaptic operations{missing}, {updates}{sparsity}; "
            f"{found['parameter_count']:,} parameters, {found['footprint']:,} bytes"
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
