"""State dicts with the authors' names, and the settings that can be read off them.

The authors keep the tensors of a neuron beside the matrices of its layer, and call thresholds
``v_thresh`` (in no state dict of theirs): ``snn.0.v_thresh`` there is ``snn.0.neuron.threshold``
here. All other names are the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bsnn.config import Config
from bsnn.theory import balanced
from core import checkpoints
from core.config import load_yaml
from core.errors import UserError
from core.paper import Loaded
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


def read(path: Path, options: argparse.Namespace) -> Loaded[Config]:
    """A state dict with the authors' names, for ``evaluate.py``: ours, or one of their code.

    How its network spikes is in no tensor: the settings stand beside it or in the folder above, as
    in the folder of a run. Thresholds are in no state dict of theirs.

    Raises:
        UserError: It is none, its settings are missing, or its thresholds are lost.
    """
    weights = from_published(checkpoints.load_foreign(path))
    found = [place / "config.yaml" for place in (path.parent, path.absolute().parent.parent)]
    file = next((file for file in found if file.is_file()), None)
    if file is None:
        raise UserError(
            f"{path} does not say how its network spikes; put its settings beside it: "
            f"python main.py FLAGS --print_config > {found[0]}"
        )
    config = load_yaml(Config, file)
    if config.model == "RLIF":
        weights = {**_thresholds(weights, config, path), **weights}
    return Loaded(path.stem, config, weights)


def _thresholds(weights: Mapping[str, Tensor], config: Config, path: Path) -> dict[str, Tensor]:
    """Those that a state dict of the authors' code lacks, as far as they follow from it."""
    names = [f"snn.{layer}.neuron.threshold" for layer in range(config.n_layers)]
    missing = [name for name in names if name not in weights]
    if not config.balance:
        return {name: torch.ones(config.neurons) for name in missing}
    if missing and not config.fix_w_in:
        raise UserError(
            f"{path} lacks {', '.join(missing)}: thresholds follow from the input weights at the "
            "start, which were trained; save v_thresh of every layer, too"
        )
    inputs = {name: weights.get(name.replace("neuron.threshold", "W")) for name in missing}
    return {name: balanced(W, config).theta for name, W in inputs.items() if W is not None}
