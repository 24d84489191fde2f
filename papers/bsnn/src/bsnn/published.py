"""State dicts with the authors' names, and the settings that can be read off them.

The authors keep the tensors of a neuron beside the matrices of its layer, and call thresholds
``v_thresh`` (in no state dict of theirs): ``snn.0.v_thresh`` there is ``snn.0.neuron.threshold``
here. All other names are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from core.spoken.names import NeuronNames

NAMES = NeuronNames(("alpha", "beta", "a", "b", "threshold"))
_OURS, _THEIRS = ".threshold", ".v_thresh"


def to_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of :mod:`bsnn.models` by the authors' names."""
    return {
        name.removesuffix(_OURS) + _THEIRS if name.endswith(_OURS) else name: tensor
        for name, tensor in NAMES.to_published(weights).items()
    }


def from_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' scheme by the names of :mod:`bsnn.models`."""
    ours = {
        name.removesuffix(_THEIRS) + _OURS if name.endswith(_THEIRS) else name: tensor
        for name, tensor in weights.items()
    }
    return NAMES.from_published(ours)
