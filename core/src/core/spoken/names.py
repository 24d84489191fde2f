"""State dicts of the family's codes: renamed, and what they say about their network.

The authors keep the tensors of a neuron beside the matrices of its layer: ``snn.0.alpha`` there is
``snn.0.neuron.alpha`` here. All other names are the same, those of non-spiking networks too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from core.errors import UserError

_LAYER = re.compile(r"([as]nn)\.(\d{1,3})\.", re.ASCII)
_OURS = re.compile(r"(snn\.\d+)\.neuron\.(\w+)")


class NeuronNames:
    """Both spellings of the tensors of neurons.

    Args:
        tensors: Their names, those of all neurons of a paper and of its readout.
    """

    def __init__(self, tensors: Iterable[str]) -> None:
        self._theirs = re.compile(rf"(snn\.\d+)\.({'|'.join(map(re.escape, tensors))})")

    def from_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the authors' scheme by the names of this project.

        Names of neither scheme stay: loading them says which network they do not fit.
        """
        return {_renamed(name, self._theirs, r"\1.neuron.\2"): t for name, t in weights.items()}

    def to_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of this project by the authors' names."""
        return {_renamed(name, _OURS, r"\1.\2"): tensor for name, tensor in weights.items()}


class Outline(NamedTuple):
    """What names and shapes of a state dict say about its network.

    Attributes:
        kind: ``snn`` or ``ann``.
        names: Of the first layer's tensors, without its place.
        inputs: ``I``.
        classes: ``C``.
        settings: Of :class:`core.spoken.settings.SpokenSettings`.
    """

    kind: str
    names: frozenset[str]
    inputs: int
    classes: int
    settings: dict[str, object]


def outline(weights: Mapping[str, Tensor], origin: str) -> Outline:
    """Read the settings of a network off a state dict.

    Args:
        weights: By the names of this project.
        origin: Where they come from, for messages.

    Raises:
        UserError: They are of no network of the family.
    """
    kind = "snn" if any(key.startswith("snn.") for key in weights) else "ann"
    (hiddens, inputs), (classes, features), last = outer_shapes(weights, origin)
    start = f"{kind}.0."
    names = frozenset(key.removeprefix(start) for key in weights if key.startswith(start))
    norm = "none" if "norm.weight" not in names else "layernorm"
    settings = {
        "nb_layers": last + 1,
        "nb_hiddens": hiddens,
        "normalization": "batchnorm" if "norm.running_mean" in names else norm,
        "use_bias": "W.bias" in names,
        "bidirectional": features == 2 * hiddens,
    }
    return Outline(kind, names, inputs, classes, settings)


def outer_shapes(
    weights: Mapping[str, Tensor], origin: str
) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Shapes of the input matrices of the first and the last layer, and the number of the last.

    Raises:
        UserError: The names and shapes are of no network of the family.
    """
    found = {int(match[2]): match[1] for key in weights if (match := _LAYER.match(key))}
    last = len(found) - 1
    ends = [weights.get(f"{found.get(layer)}.{layer}.W.weight") for layer in (0, last)]
    first, readout = (
        (weight.shape[0], weight.shape[1]) if weight is not None and weight.dim() == 2 else None
        for weight in ends
    )
    if last < 1 or found.keys() != set(range(last + 1)) or first is None or readout is None:
        raise UserError(f"{origin} is no state dict of a network of this paper")
    return first, readout, last


def non_spiking_type(names: frozenset[str]) -> str:
    """MLP, RNN, LiGRU or GRU, by the tensors of a layer."""
    if "Wr.weight" in names:
        return "GRU"
    return "LiGRU" if "Wz.weight" in names else "RNN" if "V.weight" in names else "MLP"


def _renamed(name: str, pattern: re.Pattern[str], replacement: str) -> str:
    match = pattern.fullmatch(name)
    return name if match is None else match.expand(replacement)
