"""State dicts of the authors' code and its forks: renamed, and the network they are of.

The authors keep the tensors of a neuron beside the matrices of its layer: ``snn.0.alpha`` there is
``snn.0.neuron.alpha`` here. All other names are the same, those of non-spiking networks too.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from core import checkpoints
from core.errors import UserError
from core.paper import Loaded
from sparch.config import SAVE_STATE_DICT, Config
from sparch.task import SHAPES

_THEIRS = re.compile(r"(snn\.\d+)\.(alpha|beta|a|b)")
_LAYER = re.compile(r"([as]nn)\.(\d{1,3})\.", re.ASCII)
_DATASETS = {shape: name for name, shape in SHAPES.items()}
_OURS = re.compile(r"(snn\.\d+)\.neuron\.(\w+)")


def from_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the authors' scheme by the names of :mod:`sparch.models`.

    Names that belong to neither scheme stay: loading them says which network they do not fit.
    """
    return {_renamed(name, _THEIRS, r"\1.neuron.\2"): tensor for name, tensor in weights.items()}


def to_published(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of :mod:`sparch.models` by the authors' names."""
    return {_renamed(name, _OURS, r"\1.\2"): tensor for name, tensor in weights.items()}


def read(path: Path, options: argparse.Namespace) -> Loaded[Config]:
    """A checkpoint of the authors' code, for ``evaluate.py``.

    Raises:
        UserError: It is no state dict of a network of this paper.
    """
    try:
        weights = from_published(checkpoints.load_foreign(path))
    except UserError as error:
        if not path.is_file():
            raise
        raise UserError(f"{error}. {SAVE_STATE_DICT}") from error
    return Loaded(path.stem, infer_config(weights, str(path)), weights)


def infer_config(weights: Mapping[str, Tensor], origin: str) -> Config:
    """The settings of the network that a state dict belongs to, read off its names and shapes.

    Args:
        weights: By the names of :mod:`sparch.models`.
        origin: Where they come from, for messages.

    Raises:
        UserError: They are of no network of this paper.
    """
    kind = "snn" if any(key.startswith("snn.") for key in weights) else "ann"
    (hiddens, inputs), (classes, features), last = outer_shapes(weights, origin)
    names = {key.removeprefix(f"{kind}.0.") for key in weights if key.startswith(f"{kind}.0.")}
    dataset = _DATASETS.get((inputs, classes))
    if dataset is None:
        raise UserError(f"{origin} takes {inputs} inputs to {classes} classes: none of the tasks")
    norm = "none" if "norm.weight" not in names else "layernorm"
    return Config(
        model_type=_model_type(kind, names),  # type: ignore[arg-type]
        nb_layers=last + 1,
        nb_hiddens=hiddens,
        normalization="batchnorm" if "norm.running_mean" in names else norm,
        use_bias="W.bias" in names,
        bidirectional=features == 2 * hiddens,
        dataset_name=dataset,  # type: ignore[arg-type]
    )


def outer_shapes(
    weights: Mapping[str, Tensor], origin: str
) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Shapes of the input matrices of the first and the last layer, and the number of the last.

    Raises:
        UserError: The names and shapes are of no network of this paper.
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


def _model_type(kind: str, names: set[str]) -> str:
    recurrent = "V.weight" in names
    if kind == "snn":
        return ("R" if recurrent else "") + ("adLIF" if "neuron.beta" in names else "LIF")
    if "Wr.weight" in names:
        return "GRU"
    return "LiGRU" if "Wz.weight" in names else "RNN" if recurrent else "MLP"


def _renamed(name: str, pattern: re.Pattern[str], replacement: str) -> str:
    match = pattern.fullmatch(name)
    return name if match is None else match.expand(replacement)
