"""State dicts of the authors' codes: the network they are of, read off their names and shapes.

The names are ours too, see :mod:`plif.models`. The published checkpoints themselves are whole
pickled modules, which are not loaded, because they could run code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from core import checkpoints
from core.errors import UserError
from core.paper import Loaded
from plif.config import LAYERS, Config

SAVE_STATE_DICT = (
    "Where the authors' code and its SpikingJelly are installed, save the weights: "
    "torch.save(torch.load('check_point_max.pt', weights_only=False)['net'].state_dict(), "
    "'weights.pth'), and test them here: python evaluate.py weights.pth"
)
"""What to do with a checkpoint of the authors' code."""

_SIDES = {"NMNIST": 34, "CIFAR10DVS": 128, "DVS128Gesture": 128}
_CONV = re.compile(r"conv\.(\d{1,3})\.weight", re.ASCII)


def read(path: Path, options: argparse.Namespace) -> Loaded[Config]:
    """A checkpoint of the authors' code, for ``evaluate.py``.

    Raises:
        UserError: It is no state dict of a network of this paper.
    """
    try:
        weights = checkpoints.load_foreign(path)
    except UserError as error:
        if not path.is_file():
            raise
        raise UserError(f"{error}. {SAVE_STATE_DICT}") from error
    config = infer_config(weights, str(path), getattr(options, "dataset_name", None))
    return Loaded(path.stem, config, weights)


def infer_config(weights: Mapping[str, Tensor], origin: str, dataset: str | None = None) -> Config:
    """The settings of the network that a state dict belongs to, as far as it tells them.

    It does not tell the time steps (taken as published), whether pooling takes the maximum (it
    does), the time constant of LIF neurons (2), or MNIST from Fashion-MNIST (see ``dataset``).

    Args:
        weights: By the names of :mod:`plif.models`.
        origin: Where they come from, for messages.
        dataset: Which data set it is, if that is known.

    Raises:
        UserError: They are of no network of this paper, or not of that data set.
    """
    found = _static(weights) if "static_conv.0.weight" in weights else _events(weights)
    if found is None:
        raise UserError(f"{origin} is no state dict of a network of this paper")
    names, settings = found
    if dataset is not None and dataset not in names:
        raise UserError(f"{origin} is of {' or '.join(names)}, not of {dataset}")
    name = dataset or names[0]
    w = [tensor for key, tensor in weights.items() if key.endswith(".w")]
    return Config(
        dataset_name=name,  # type: ignore[arg-type]
        use_plif=bool(w),
        tau_per_neuron=any(tensor.dim() > 0 for tensor in w),
        alpha_learnable=any(key.endswith("surrogate_function.alpha") for key in weights),
        use_max_pool=True,
        detach_reset=True,
        T={"NMNIST": 10}.get(name, 20 if name in LAYERS else 8),
        val_ratio=0.0,
        **settings,
    )


def _shape(weights: Mapping[str, Tensor], key: str, dimensions: int) -> tuple[int, ...] | None:
    tensor = weights.get(key)
    return tuple(tensor.shape) if tensor is not None and tensor.dim() == dimensions else None


def _static(weights: Mapping[str, Tensor]) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    first = _shape(weights, "static_conv.0.weight", 4)
    hidden = _shape(weights, "fc.2.weight", 2)
    names = {1: ("MNIST", "FashionMNIST"), 3: ("CIFAR10",)}.get(first[1]) if first else None
    if first is None or hidden is None or names is None or not _sizes(first[0], hidden[0]):
        return None
    return names, {"channels": first[0], "hidden": hidden[0]}


def _events(weights: Mapping[str, Tensor]) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    places = [int(match[1]) for key in weights if (match := _CONV.fullmatch(key))]
    layers = sum(place % 4 == 0 for place in places)
    first = _shape(weights, "conv.0.weight", 4)
    hidden, last = (_shape(weights, f"fc.{n}.weight", 2) for n in (2, 5))
    if first is None or hidden is None or last is None or not 1 <= layers <= 7:
        return None
    if not _sizes(first[0], hidden[0]):
        return None
    classes = {name: 11 if name == "DVS128Gesture" else 10 for name in LAYERS}
    names = tuple(
        name
        for name, side in _SIDES.items()
        if last[0] == 10 * classes[name] and hidden[1] == first[0] * (side >> layers) ** 2
    )
    if not names:
        return None
    return names, {"channels": first[0], "number_layer": layers, "hidden": hidden[0]}


def _sizes(channels: int, hidden: int) -> bool:
    return 1 <= channels <= 4096 and 1 <= hidden <= 10**6
