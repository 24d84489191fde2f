"""State dicts of the authors' code: renamed, and the network they are of."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from core import checkpoints
from core.data.events import CHANNELS
from core.errors import UserError
from core.paper import Loaded
from core.spoken.names import NeuronNames, non_spiking_type, outline
from silif.config import Config

NAMES = NeuronNames(
    [
        *("alpha", "beta", "a", "b", "dt"),
        *("log_log_alpha", "log_dt", "alpha_img"),
        *("alpha_real", "alpha_im"),
    ]
)
"""The authors' names, see :mod:`core.spoken.names`."""

THEIRS = Path("checkpoints") / "best_model.pth"
"""Where the authors' code keeps the weights of a run."""
_BY_TENSOR = {
    "neuron.dt": "SiLIF",
    "neuron.log_log_alpha": "CSiLIF",
    "neuron.alpha_real": "ResonateFire",
}
_BINS: dict[str, dict[str, Any]] = {
    "shd": {"nb_steps": 250, "max_time": 1.0},
    "ssc": {"nb_steps": 300, "max_time": 1.2, "batch_size": 256},
}
"""Steps of 4 ms and the authors' batches: no tensor tells."""


def read(path: Path, options: argparse.Namespace) -> Loaded[Config]:
    """A state dict with the authors' names, for ``evaluate.py``.

    Raises:
        UserError: It is no state dict of a network of this paper.
    """
    weights = NAMES.from_published(checkpoints.load_foreign(path))
    config = infer_config(weights, str(path), getattr(options, "model_type", None))
    return Loaded(name_of(path), config, weights)


def name_of(path: Path) -> str:
    """What a checkpoint is called: its file, or the folder of the run where all files are alike."""
    if path.name == "best_model.pth":
        above = [part for part in path.absolute().parts[:-1] if part != "checkpoints"]
        return above[-1]
    return path.stem


def infer_config(
    weights: Mapping[str, Tensor], origin: str, model_type: str | None = None
) -> Config:
    """The settings of the network that a state dict belongs to, read off its names and shapes.

    Args:
        weights: By the names of :mod:`silif.models`.
        origin: Where they come from, for messages.
        model_type: Decides between adLIF and CadLIF, whose tensors have the same names; CadLIF by
            default.

    Raises:
        UserError: They are of no network of this paper.
    """
    found = outline(weights, origin)
    return Config(
        model_type=_model_type(found.kind, found.names, model_type),  # type: ignore[arg-type]
        **_task_of(found.inputs, found.classes, origin),
        **found.settings,  # type: ignore[arg-type]
    )


def _task_of(inputs: int, classes: int, origin: str) -> dict[str, Any]:
    names = {20: ("shd", "hd"), 35: ("ssc", "sc")}.get(classes)
    spatial_bin = CHANNELS // inputs if inputs else 0
    if names is None or not spatial_bin or (CHANNELS // spatial_bin != inputs and inputs != 40):
        raise UserError(f"{origin} takes {inputs} inputs to {classes} classes: none of the tasks")
    if inputs == 40:
        return {"dataset_name": names[1]}
    return {"dataset_name": names[0], "spatial_bin": spatial_bin, **_BINS[names[0]]}


def _model_type(kind: str, names: frozenset[str], wanted: str | None) -> str:
    if kind == "ann":
        return non_spiking_type(names)
    if found := [model for tensor, model in _BY_TENSOR.items() if tensor in names]:
        return found[0]
    recurrent = "V.weight" in names
    if "neuron.beta" not in names:
        return "RLIF" if recurrent else "LIF"
    return "RadLIF" if recurrent else "adLIF" if wanted == "adLIF" else "CadLIF"
