"""Recorded states, gradients and buffers in our terms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.layers import Network
from core.neurons import Neuron
from core.neurons.resonate import Oscillation
from silif.published import NAMES

from .arrays import FOLDER, close, part

#: Both are tested where a spiking layer is.
BACKENDS = ["reference", "cpu"]
FIELDS = {"u": "potential", "w": "adaptation", "s": "spike"}


def names(pattern: str, *without: str) -> list[str]:
    """The files that match, without their ending."""
    found = (path.stem for path in FOLDER.glob(f"{pattern}.npz"))
    return sorted(name for name in found if not any(word in name for word in without))


def options_of(tensors: dict[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """Normalisation and bias of a layer, which its tensors tell."""
    norm = "none" if f"{prefix}norm.weight" not in tensors else "layernorm"
    return {
        "normalization": "batchnorm" if f"{prefix}norm.running_mean" in tensors else norm,
        "bias": f"{prefix}W.bias" in tensors,
    }


def tensors_before(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters and buffers before the call, by the authors' names."""
    return part(arrays, "param/") | part(arrays, "buffer_before/")


def layer_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A single layer's tensors by our names."""
    inside = NAMES.from_published({f"snn.0.{name}": tensor for name, tensor in tensors.items()})
    return {name.removeprefix("snn.0."): tensor for name, tensor in inside.items()}


def state_of(neuron: Neuron, arrays: dict[str, Tensor], prefix: str = "") -> Any:
    """The recorded state before the first step."""
    found = part(arrays, f"{prefix}/")
    u = found["u"]
    if u.is_complex():
        return Oscillation(found["s"], u.real.contiguous(), u.imag.contiguous())
    return neuron.State(**{FIELDS[key]: array for key, array in found.items()})


def states_of(network: Network, arrays: dict[str, Tensor], prefix: str) -> list[Any]:
    """The recorded state of every layer before the first step."""
    layers: list[Any] = list(network)
    return [state_of(layer.neuron, arrays, f"{prefix}/snn.{i}") for i, layer in enumerate(layers)]


def check_gradients(module: nn.Module, theirs: dict[str, Tensor]) -> None:
    """Every recorded gradient, by our names, and no other."""
    ours = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert set(ours) == set(theirs)
    for name, gradient in ours.items():
        close(f"gradient of {name}", gradient, theirs[name])


def check_buffers(module: nn.Module, theirs: dict[str, Tensor]) -> None:
    """Batch norm's buffers after the call, which have the same names here and there."""
    buffers = dict(module.named_buffers())
    assert set(theirs) <= set(buffers)
    for name, value in theirs.items():
        close(f"{name} after the call", buffers[name].double(), value)


def time_first(x: Tensor) -> Tensor:
    """``[T, B, ...]`` and back."""
    return x.transpose(0, 1)


def seeded(arrays: dict[str, Tensor]) -> None:
    """The seed right before the recorded call."""
    torch.manual_seed(int(arrays["forward_seed"]))
