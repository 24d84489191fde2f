"""Neurons of Norse (1.1) as neurons of this library.

Euler steps of ``dt`` seconds, ``k = dt tau_mem_inv``, strict spikes, and a reset in the same step:

    IAFCell       c_t = v_{t-1} + I_t
    LIFBoxCell    c_t = v_{t-1} + k (I_t + v_leak - v_{t-1})
    LIFCell, LIF  the same for ``i_t`` in place of ``I_t``, i_t = (1 - dt tau_syn_inv) i_{t-1} + I_t

Their state holds the current after its decay, ours before it. ``alpha`` of the SuperSpike method is
read by nobody: its width is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.conventions import refusal
from core.conventions.spikes import Base, scaled
from core.errors import UserError
from core.neurons import CubaLIF, GeneralLIF
from core.neurons.general import Reset
from core.surrogates import Surrogate

_METHODS: dict[str, Callable[[float], tuple[Base, float, float]]] = {
    "super": lambda alpha: ("fast_sigmoid", 1.0, 1.0),
    "triangle": lambda alpha: ("triangle", 1.0, alpha),
    "tanh": lambda alpha: ("logistic", 2.0 * alpha, 4.0),
    "circ": lambda alpha: ("circle", 1.0 / alpha, 1.0),
    "heavi_erfc": lambda alpha: ("bell", alpha, 2.0 / math.sqrt(math.pi)),
}
"""Method -> base, slope and height of its pseudo-derivative."""


def from_norse(module: Any, size: int) -> GeneralLIF | CubaLIF:
    """The neurons of a ``LIFBoxCell``, ``LIFCell``, ``LIF`` or ``IAFCell``.

    Args:
        module: Norse's.
        size: ``N``, which Norse takes from its input.

    Raises:
        UserError: What it computes cannot be said exactly; names it, and what is nearest.
    """
    norse = _library()
    kind = type(module)
    name = f"Norse's {kind.__name__}"
    if kind not in (norse.LIFBoxCell, norse.LIFCell, norse.LIF, norse.IAFCell):
        raise refusal(name, "its recursion is another", _NEAREST.get(kind.__name__, "LIFCell"))
    p = module.p
    _check_fixed(p, name)
    membrane: dict[str, Any] = {
        "threshold": _coefficient(p.v_th),
        "reset": _reset(p, name),
        "surrogate": _surrogate(p, name),
    }
    if kind is norse.IAFCell:
        return GeneralLIF(size, decay=1.0, gain=1.0, **membrane)
    k = _share(module.dt * p.tau_mem_inv, "tau_mem", name)
    membrane |= {"decay": 1.0 - k, "gain": k, "rest": _coefficient(p.v_leak)}
    if kind is norse.LIFBoxCell:
        return GeneralLIF(size, **membrane)
    lost = _share(module.dt * p.tau_syn_inv, "tau_syn", name)
    return CubaLIF(size, synapse_decay=1.0 - lost, **membrane)


_NEAREST = {
    "LIFRecurrentCell": "LIFCell, and scan(..., recurrent_weight=recurrent_weights)",
    "LIFRecurrent": "LIF, and scan(..., recurrent_weight=recurrent_weights)",
    "LSNNCell": "ALIF, whose input reaches the potential in the same step",
    "LSNN": "ALIF, whose input reaches the potential in the same step",
}


def _library() -> Any:
    try:
        import norse.torch
    except ImportError as error:
        raise UserError("Norse is not installed: uv pip install norse") from error
    return norse.torch


def _check_fixed(p: Any, name: str) -> None:
    for field in p._fields:
        value = getattr(p, field)
        if isinstance(value, Tensor) and value.requires_grad:
            raise refusal(
                f"{name} with a trained {field}",
                "a step of an optimiser on it is another step on a decay",
                "GeneralLIF with an nn.Parameter for decay",
            )


def _share(value: Tensor, what: str, name: str) -> Tensor:
    """``dt / tau``, ``[N]`` or 0-d."""
    value = _coefficient(value)
    if not bool(((value >= 0.0) & (value <= 1.0)).all()):
        raise refusal(f"{name} with {what} below dt", "its Euler step overshoots", "a smaller dt")
    return value


def _reset(p: Any, name: str) -> Reset:
    method = getattr(p, "reset_method", None)
    if method is None or method.__name__ == "reset_value":
        return _coefficient(p.v_reset)
    if method.__name__ == "reset_subtract":
        return "threshold"
    raise refusal(f"{name} with the reset {method.__name__}", "it is unknown", "reset_subtract")


def _surrogate(p: Any, name: str) -> Surrogate:
    if p.method not in _METHODS:
        there = ", ".join(_METHODS)
        raise refusal(f"{name} with the method {p.method}", f"known are {there}", "super")
    base, slope, height = _METHODS[p.method](float(p.alpha))
    return scaled(base, slope=slope, height=height, at_zero=0)


def _coefficient(value: Any) -> Tensor:
    value = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach()
    return value.reshape(()) if value.numel() == 1 else value.reshape(-1)
