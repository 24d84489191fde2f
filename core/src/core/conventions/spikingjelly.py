"""Neurons of SpikingJelly (2.0) as neurons of this library.

They charge, spike at ``h_t >= threshold`` and reset in the same step:

    IFNode                     h_t = v_{t-1} + I_t
    LIFNode, ParametricLIFNode h_t = v_{t-1} + (I_t - (v_{t-1} - r)) / tau     (:class:`PLIF`)
    CUBALIFNode                h_t = v_decay v_{t-1} + i_t,  i_t = c_decay i_{t-1} + I_t
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from core.conventions import refusal
from core.conventions.spikes import Base, scaled
from core.errors import UserError
from core.neurons import PLIF, CubaLIF, GeneralLIF
from core.surrogates import Surrogate

#: Name -> base, and its height at slope 1, which grows with the slope.
_SURROGATES: dict[str, tuple[Base, float]] = {
    "ATan": ("arctan", 0.5),
    "Sigmoid": ("logistic", 1.0),
    "PiecewiseQuadratic": ("triangle", 1.0),
    "PiecewiseExp": ("laplace", 0.5),
    "SoftSign": ("fast_sigmoid", 0.5),
    "Erf": ("bell", 0.5641895835477563),  # 1 / sqrt(pi)
    "Rect": ("window", 1.0),
    "SuperSpike": ("fast_sigmoid", 1.0),
    "DeterministicPass": ("constant", 1.0),
}


def from_spikingjelly(node: Any, size: int) -> PLIF | GeneralLIF | CubaLIF:
    """The neurons of an ``IFNode``, ``LIFNode``, ``ParametricLIFNode`` or ``CUBALIFNode``.

    Arithmetic in half precision (``neuron_precision``), backends and ``step_mode`` are how
    SpikingJelly runs them, and say nothing about the neurons.

    Args:
        node: SpikingJelly's.
        size: ``N``, the neurons of a sample, which SpikingJelly takes from its input.

    Raises:
        UserError: What it computes cannot be said exactly; names it, and what is nearest.
    """
    kinds = _library()
    name = f"SpikingJelly's {type(node).__name__}"
    known: dict[Any, Callable[[Any, int, Surrogate], PLIF | GeneralLIF | CubaLIF]] = {
        kinds.IFNode: _integrate,
        kinds.LIFNode: _leaky,
        kinds.ParametricLIFNode: _parametric,
        kinds.CUBALIFNode: _cuba,
    }
    make = known.get(type(node))
    if make is None:
        there = "IFNode, LIFNode, ParametricLIFNode and CUBALIFNode are known"
        raise refusal(name, there, _NEAREST.get(type(node).__name__, "LIFNode"))
    return make(node, size, surrogate_of(node.surrogate_function, name))


_NEAREST = {
    "RAFNode": "RF, which steps the same oscillator by Euler and spikes by its real part",
    "KLIFNode": "PLIF",
}


def _library() -> Any:
    try:
        from spikingjelly.activation_based import neuron
    except ImportError as error:
        raise UserError("SpikingJelly is not installed: uv pip install spikingjelly") from error
    return neuron


def surrogate_of(function: Any, name: str) -> Surrogate:
    """Our spike function of one of ``spikingjelly.activation_based.surrogate``."""
    kind = type(function).__name__
    if not getattr(function, "spiking", False):
        raise refusal(f"{name} with spiking=False", "its output is no spike", "spiking=True")
    if kind not in _SURROGATES:
        there = ", ".join(_SURROGATES)
        raise refusal(f"{name} with the surrogate {kind}", f"known are {there}", "ATan")
    base, height = _SURROGATES[kind]
    alpha = float(getattr(function, "alpha", 1.0))
    slope = 1.0 if kind == "SuperSpike" else alpha
    return scaled(base, slope=slope, height=height * alpha, at_zero=1)


def _integrate(node: Any, size: int, surrogate: Surrogate) -> GeneralLIF:
    return GeneralLIF(size, decay=1.0, rest=node.v_reset or 0.0, **_membrane(node, surrogate))


def _cuba(node: Any, size: int, surrogate: Surrogate) -> CubaLIF:
    if node.v_reset:
        raise refusal(
            "SpikingJelly's CUBALIFNode with v_reset other than 0",
            "its potential decays to 0 and starts at v_reset",
            "v_reset=0.0, or CubaLIF with a state",
        )
    return CubaLIF(
        size,
        decay=node.v_decay,
        synapse_decay=node.c_decay,
        **_membrane(node, surrogate),
    )


def _membrane(node: Any, surrogate: Surrogate) -> dict[str, Any]:
    return {
        "gain": 1.0,
        "threshold": node.v_threshold,
        "reset": "threshold" if node.v_reset is None else node.v_reset,
        "detach_reset": node.detach_reset,
        "surrogate": surrogate,
    }


def _leaky(node: Any, size: int, surrogate: Surrogate) -> PLIF:
    return PLIF(size, tau=node.tau, train="nothing", **_plif(node, surrogate))


def _parametric(node: Any, size: int, surrogate: Surrogate) -> PLIF:
    w = node.w.detach().clone()
    if w.numel() not in (1, size):
        raise refusal(
            f"SpikingJelly's ParametricLIFNode with w of shape {tuple(w.shape)}",
            f"there is one for the layer or one for each of {size} neurons",
            "w expanded to a sample",
        )
    neuron = PLIF(size, **_plif(node, surrogate))
    neuron.w = nn.Parameter(w.reshape(()) if w.numel() == 1 else w.reshape(-1))
    return neuron


def _plif(node: Any, surrogate: Surrogate) -> dict[str, Any]:
    return {
        "threshold": node.v_threshold,
        "reset": node.v_reset,
        "detach_reset": node.detach_reset,
        "decay_input": node.decay_input,
        "alpha": 1.0,
        "surrogate": surrogate,
    }
