"""State dicts of the authors' code and its forks: renamed, and the network they are of."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from core import checkpoints
from core.errors import UserError
from core.paper import Loaded
from core.spoken.names import NeuronNames, non_spiking_type, outline
from sparch.config import SAVE_STATE_DICT, Config
from sparch.task import SHAPES

NAMES = NeuronNames(("alpha", "beta", "a", "b"))
"""The authors' names, see :mod:`core.spoken.names`."""
_DATASETS = {shape: name for name, shape in SHAPES.items()}


def read(path: Path, options: argparse.Namespace) -> Loaded[Config]:
    """A checkpoint of the authors' code, for ``evaluate.py``.

    Raises:
        UserError: It is no state dict of a network of this paper.
    """
    try:
        weights = NAMES.from_published(checkpoints.load_foreign(path))
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
    found = outline(weights, origin)
    dataset = _DATASETS.get((found.inputs, found.classes))
    if dataset is None:
        raise UserError(
            f"{origin} takes {found.inputs} inputs to {found.classes} classes: none of the tasks"
        )
    return Config(
        model_type=_model_type(found.kind, found.names),  # type: ignore[arg-type]
        dataset_name=dataset,  # type: ignore[arg-type]
        **found.settings,  # type: ignore[arg-type]
    )


def _model_type(kind: str, names: frozenset[str]) -> str:
    if kind == "ann":
        return non_spiking_type(names)
    recurrent = "R" if "V.weight" in names else ""
    return recurrent + ("adLIF" if "neuron.beta" in names else "LIF")
