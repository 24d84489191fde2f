"""Neurons of snnTorch (1.0) as neurons of this library.

Their recursion, with ``z`` strict and the reset always outside of the gradient:

    Leaky       u_t = beta u_{t-1} + I_t - z_{t-1} threshold
    Synaptic    the same behind  i_t = alpha i_{t-1} + I_t
    Lapicque    u_t = (1 - dt / (R C)) u_{t-1} + (dt / C) I_t - z_{t-1} threshold
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from core.conventions import refusal
from core.conventions.spikes import Base, scaled
from core.errors import UserError
from core.neurons import CubaLIF, GeneralLIF
from core.neurons.general import Reset, Timing
from core.surrogates import Surrogate

_SURROGATES: dict[str, tuple[Base, str | None]] = {
    "atan": ("arctan", "alpha"),
    "fast_sigmoid": ("fast_sigmoid", "slope"),
    "sigmoid": ("logistic", "slope"),
    "straight_through_estimator": ("constant", None),
}


def from_snntorch(module: Any, size: int) -> GeneralLIF | CubaLIF:
    """The neurons of a ``Leaky``, ``Synaptic``, ``Lapicque``, ``RLeaky`` or ``RSynaptic``.

    Trained ``alpha``, ``beta`` and ``threshold`` come as parameters, copied. Of ``RLeaky`` and
    ``RSynaptic`` it is the neurons alone: their recurrence belongs to the scan,
    ``scan(neuron, current + recurrent.bias, recurrent_weight=recurrent.weight)``.

    Args:
        module: snnTorch's; its ``init_hidden`` and ``output`` say nothing about the neurons.
        size: ``N``, which snnTorch takes from its input.

    Raises:
        UserError: What it computes cannot be said exactly; names it, and what is nearest.
    """
    snn = _library()
    kind = type(module)
    name = f"snnTorch's {kind.__name__}"
    if kind not in (snn.Leaky, snn.RLeaky, snn.Synaptic, snn.RSynaptic, snn.Lapicque):
        raise refusal(name, "its recursion is not one of leaky integration", "from_snntorch(Leaky)")
    _check(module, name)
    arguments = {
        "threshold": _coefficient(module.threshold),
        "surrogate": _surrogate(module.spike_grad, name),
        **_reset(snn, module, name),
    }
    if kind is snn.Lapicque and isinstance(module.beta, nn.Parameter):
        raise refusal(f"{name} with learn_beta", "snnTorch fails at its second backward", "Leaky")
    if kind is snn.Lapicque:
        leak = module.time_step / (module.R * module.C)
        gain = module.time_step / module.C
        if not bool(((leak >= 0.0) & (leak <= 1.0)).all()):
            raise refusal(
                name, "its time_step exceeds R C, so that a step overshoots", "R C larger"
            )
        return GeneralLIF(size, decay=_flat(1.0 - leak), gain=_flat(gain), **arguments)
    arguments |= {"decay": _coefficient(module.beta), "gain": 1.0}
    if kind in (snn.Synaptic, snn.RSynaptic):
        return CubaLIF(size, synapse_decay=_coefficient(module.alpha), **arguments)
    return GeneralLIF(size, **arguments)


def _library() -> Any:
    try:
        import snntorch
    except ImportError as error:
        raise UserError("snnTorch is not installed: uv pip install snntorch") from error
    return snntorch


def _check(module: Any, name: str) -> None:
    """Refuse what no argument of ours says."""
    if module.inhibition:
        raise refusal(
            f"{name} with inhibition",
            "all neurons above threshold are reset while one spikes",
            "BalancedLIF with firing='single_intended'",
        )
    if module.state_quant:
        raise refusal(f"{name} with state_quant", "its states are rounded", "the same without")
    if not bool((module.graded_spikes_factor == 1.0).all()):
        raise refusal(
            f"{name} with graded_spikes_factor",
            "a spike is 1 here",
            "a factor in the weights behind it",
        )
    if not bool((module.threshold >= 0.0).all()):
        raise refusal(
            f"{name} with a threshold below 0",
            "it is reset before its first step",
            "a threshold of 0 or more",
        )


def _reset(snn: Any, module: Any, name: str) -> dict[str, Any]:
    """``reset``, ``timing`` and ``detach_reset`` of :class:`GeneralLIF`."""
    mechanism = module.reset_mechanism
    delayed = getattr(module, "reset_delay", True)
    if mechanism == "none":
        return {"reset": "none"}
    if not delayed and mechanism == "subtract":
        raise refusal(
            f"{name} with reset_delay=False and reset_mechanism='subtract'",
            "a potential that is above the threshold after a reset is reset again without a spike",
            "GeneralLIF(reset='threshold', timing='at_once'), equal below twice the threshold",
        )
    if not delayed and type(module) is snn.RSynaptic:
        raise refusal(f"{name} with reset_delay=False", "snnTorch fails at it", "the delayed reset")
    if not delayed:
        return {"reset": 0.0, "timing": "at_once", "detach_reset": False}
    reset: Reset = "threshold" if mechanism == "subtract" else 0.0
    # Leaky alone clears the old potential; the others clear the new one, this step's input with it.
    early = mechanism == "zero" and type(module) is snn.Leaky
    timing: Timing = "before_decay" if early else "after_decay"
    return {"reset": reset, "timing": timing, "detach_reset": True}


def _surrogate(function: Any, name: str) -> Surrogate:
    """Ours of what ``snntorch.surrogate`` made; its functions are closures over their slope."""
    own = getattr(function, "__module__", None) == "snntorch.surrogate"
    title = getattr(function, "__qualname__", type(function).__name__)
    made = title.removesuffix(".<locals>.inner")
    if not own or made == title or made not in _SURROGATES:
        there = ", ".join(_SURROGATES)
        raise refusal(f"{name} with the spike function {made}", f"known are {there}", "atan")
    base, parameter = _SURROGATES[made]
    slope = 1.0
    if parameter is not None:
        slope = float(inspect.getclosurevars(function).nonlocals[parameter])
    height = {"arctan": slope / 2.0, "logistic": slope}.get(base, 1.0)
    return scaled(base, slope=slope, height=height, at_zero=0)


def _coefficient(value: Tensor) -> Tensor:
    """``[N]`` or 0-d; a trained one stays a parameter."""
    flat = _flat(value.detach())
    return nn.Parameter(flat, value.requires_grad) if isinstance(value, nn.Parameter) else flat


def _flat(value: Tensor) -> Tensor:
    value = torch.as_tensor(value, dtype=torch.get_default_dtype())
    return value.reshape(()) if value.numel() == 1 else value.reshape(-1)
