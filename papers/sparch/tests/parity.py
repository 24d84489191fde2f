"""Arrays made with the authors' code, and how ours are compared with them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.layers import Network
from core.neurons import Neuron
from sparch.published import NAMES

FOLDER = Path(__file__).parent / "golden"
#: Both are tested where a spiking layer is.
BACKENDS = ["reference", "cpu"]
FIELDS = {"u": "potential", "w": "adaptation", "s": "spike"}


@cache
def golden(name: str) -> dict[str, Tensor]:
    """The arrays of a file. Tests clone what they change."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays if "config" not in key}


@cache
def config(name: str) -> dict[str, Any]:
    """The settings of a file."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(json.loads(str(arrays["config"])))


def names(pattern: str) -> list[str]:
    """The files that match, without their ending."""
    return sorted(path.stem for path in FOLDER.glob(f"{pattern}.npz"))


def part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose name starts with a prefix, without it."""
    return {
        key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
    }


def close(
    what: str, ours: Tensor | None, theirs: Tensor, *, rtol: float = 1e-7, atol: float = 1e-9
) -> None:
    assert ours is not None, what
    torch.testing.assert_close(
        ours.detach(), theirs, rtol=rtol, atol=atol, msg=lambda text: f"{what}: {text}"
    )


def layer_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A single spiking layer's tensors by our names."""
    inside = NAMES.from_published({f"snn.0.{name}": tensor for name, tensor in weights.items()})
    return {name.removeprefix("snn.0."): tensor for name, tensor in inside.items()}


def state_of(neuron: Neuron, arrays: dict[str, Tensor], prefix: str) -> Any:
    """The recorded state before the first step."""
    given = part(arrays, prefix)
    return neuron.State(**{FIELDS[key]: array for key, array in given.items()})


def states_of(network: Network, arrays: dict[str, Tensor], prefix: str) -> list[Any]:
    """The recorded state of every layer of a spiking network."""
    layers: list[Any] = list(network)
    return [state_of(layer.neuron, arrays, f"{prefix}{i}_") for i, layer in enumerate(layers)]


def check_gradients(module: nn.Module, theirs: dict[str, Tensor], *, single: bool = False) -> None:
    """Every recorded gradient, and no other."""
    ours = {name: parameter.grad for name, parameter in module.named_parameters()}
    theirs = layer_names(theirs) if single else NAMES.from_published(theirs)
    assert set(ours) == set(theirs)
    for name, gradient in ours.items():
        close(f"gradient of {name}", gradient, theirs[name])


def check_buffers(module: nn.Module, theirs: dict[str, Tensor]) -> None:
    """Batch norm's buffers after the call, by the authors' names."""
    after = NAMES.to_published(module.state_dict())
    for name, value in theirs.items():
        close(f"{name} after the call", after[name], value)
