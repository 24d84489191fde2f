"""State dicts of the authors' code and its forks, renamed to this package's networks and back.

The authors keep the tensors of a neuron beside the matrices of its layer: ``snn.0.alpha`` there is
``snn.0.neuron.alpha`` here. All other names are the same, those of non-spiking networks too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_THEIRS = re.compile(r"(snn\.\d+)\.(alpha|beta|a|b)")
_OURS = re.compile(r"(snn\.\d+)\.neuron\.(\w+)")


def from_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' scheme by the names of :mod:`sparch.models`.

    Names that belong to neither scheme stay: loading them says which network they do not fit.
    """
    return {_renamed(name, _THEIRS, r"\1.neuron.\2"): tensor for name, tensor in weights.items()}


def to_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of :mod:`sparch.models` by the authors' names."""
    return {_renamed(name, _OURS, r"\1.\2"): tensor for name, tensor in weights.items()}


def _renamed(name: str, pattern: re.Pattern[str], replacement: str) -> str:
    match = pattern.fullmatch(name)
    return name if match is None else match.expand(replacement)
