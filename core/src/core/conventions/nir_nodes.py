"""Nodes of NIR and neurons: what a node says by itself, and what its metadata add.

NIR writes differential equations. Both directions take one Euler step of ``dt`` seconds, as the
readers of the other libraries do:

    LIF       d = 1 - dt / tau,  g = R dt / tau,  rest = v_leak
    CubaLIF   the same of tau_mem;  d_syn = 1 - dt / tau_syn,  g_syn = w_in dt / tau_syn
    IF        d = 1,  g = R dt
    LI        the potential of LIF without its spikes; R = 1 and v_leak = 0 alone

Up to version 1.0.5 a spike subtracts the threshold, from 1.0.6 on it sets the potential to
``v_reset``. A version can say its own reset alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from core.conventions import refusal
from core.errors import UserError
from core.neurons import LI, LIF, PLIF, BalancedLIF, BoundedLI, BoundedLIF, CubaLIF, GeneralLIF
from core.neurons.base import Neuron
from core.neurons.general import Reset
from core.neurons.parametric import ATAN
from core.outside.text import shown
from core.surrogates import SURROGATES, Surrogate, atan_surrogate, boxcar, linear

Array = np.ndarray[Any, Any]
HARD_SINCE = (1, 0, 6)


def library() -> Any:
    """The package ``nir``.

    Raises:
        UserError: It is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise UserError("NIR is not installed: uv pip install nir") from error
    return nir


def subtracts(version: str) -> bool:
    """Whether a spike subtracts the threshold in this version of NIR."""
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:3]]
    return tuple(numbers) < HARD_SINCE


# ---- from ours


def node_of(neuron: Neuron, dt: float) -> Any:
    """The node of NIR, in the version that is installed.

    Raises:
        UserError: NIR cannot say the neuron; names why, and what is nearest.
    """
    nir = library()
    if isinstance(neuron, LI | BoundedLI):
        return _integrator(nir, neuron, dt)
    name = type(neuron).__name__
    general = as_general(neuron)
    _check(nir, general, name)
    size, (decay, gain, rest, threshold, reset) = (
        neuron.size,
        map(_array, general.coefficients()[:5]),
    )
    lost = _full(1.0 - decay, size)
    membrane: dict[str, Any] = {"v_threshold": _full(threshold, size)}
    if not subtracts(nir.version):
        membrane["v_reset"] = _full(reset, size)
    metadata = _metadata(nir, general, dt, _full(rest, size))
    if (lost == 0.0).all() and not isinstance(general, CubaLIF):
        return nir.IF(r=_full(gain, size) / dt, metadata=metadata, **membrane)
    if not (lost > 0.0).all():
        raise refusal(f"{name} in which some neurons do not leak", "NIR's LIF leaks", "two layers")
    membrane |= {"r": _full(gain, size) / lost, "v_leak": _full(rest, size), "metadata": metadata}
    if not isinstance(general, CubaLIF):
        return nir.LIF(tau=dt / lost, **membrane)
    fades, drive = map(_array, general.coefficients()[5:])
    fading = _full(1.0 - fades, size)
    if not (fading > 0.0).all():
        raise refusal(f"{name} with a synapse that never fades", "tau_syn is finite", "a decay < 1")
    w_in = _full(drive, size) / fading
    return nir.CubaLIF(tau_mem=dt / lost, tau_syn=dt / fading, w_in=w_in, **membrane)


def as_general(neuron: Neuron) -> GeneralLIF:
    """A neuron as one whose conventions are arguments, as ``core/CONVENTIONS.md`` has them.

    Raises:
        UserError: It is no leaky integrate-and-fire neuron.
    """
    name = type(neuron).__name__
    if isinstance(neuron, GeneralLIF):
        return neuron
    with torch.no_grad():
        coefficients = neuron.coefficients()
    arguments: dict[str, Any] = {}
    if isinstance(neuron, LIF):
        arguments = {"decay": coefficients.alpha, "surrogate": neuron.surrogate}
    elif isinstance(neuron, BoundedLIF):
        if neuron.threshold != 1.0:
            raise refusal(
                f"{name} with a threshold of {neuron.threshold}", _SUBTRACTS, "threshold=1"
            )
        _starts_at_rest(neuron.initial, name)
        arguments = {"decay": coefficients.alpha, "surrogate": neuron.surrogate}
        arguments["timing"] = "before_decay"
    elif isinstance(neuron, BalancedLIF):
        if neuron.reset not in ("threshold", "none") or neuron.firing != "multi":
            raise refusal(f"{name} with reset {neuron.reset}", _SUBTRACTS, "reset='threshold'")
        arguments = {"decay": coefficients.alpha, "threshold": coefficients.threshold}
        arguments |= {"reset": neuron.reset, "timing": "before_decay", "surrogate": boxcar}
    elif isinstance(neuron, PLIF):
        share = 1.0 / coefficients.k if neuron.divides else coefficients.k
        arguments = {
            "decay": 1.0 - share,
            "gain": None if neuron.decay_input else 1.0,
            "rest": neuron.reset or 0.0,
            "threshold": neuron.threshold,
            "reset": "threshold" if neuron.reset is None else neuron.reset,
            "surrogate": _sloped(neuron),
        }
    else:
        raise refusal(f"{name} in NIR", "NIR has no such neuron", "GeneralLIF or CubaLIF")
    return GeneralLIF(neuron.size, **arguments)


def _sloped(neuron: PLIF) -> Surrogate:
    slope = float(neuron.slope.detach())
    return atan_surrogate(slope) if neuron.surrogate == ATAN else neuron.surrogate


_SUBTRACTS = "a spike of NIR takes away the threshold, or sets to a potential"


def _starts_at_rest(initial: str, name: str) -> None:
    if initial != "zero":
        raise refusal(f"{name} that starts at random", "NIR draws nothing", "initial='zero'")


def _integrator(nir: Any, neuron: LI | BoundedLI, dt: float) -> Any:
    name = type(neuron).__name__
    if isinstance(neuron, BoundedLI):
        _starts_at_rest(neuron.initial, name)
    with torch.no_grad():
        lost = _full(1.0 - _array(neuron.coefficients().alpha), neuron.size)
    if not (lost > 0.0).all():
        raise refusal(f"{name} that does not leak", "its tau is finite", "a decay below 1")
    metadata = {"dt": dt, "discretisation": "Euler", "nir": nir.version}
    ones, zeros = np.ones(neuron.size), np.zeros(neuron.size)
    return nir.LI(tau=dt / lost, r=ones, v_leak=zeros, metadata=metadata)


def _check(nir: Any, general: GeneralLIF, name: str) -> None:
    if general.timing == "after_decay":
        raise refusal(
            f"{name} with a reset after the next decay",
            "a spike of NIR acts when it happens",
            "timing='before_decay', another neuron",
        )
    if general.reset == "none":
        raise refusal(f"{name} without a reset", "every neuron of NIR that spikes has one", "LI")
    soft = subtracts(nir.version)
    if (general.reset == "threshold") != soft:
        ours, theirs = (
            ("subtracts", "sets") if general.reset == "threshold" else ("sets", "subtracts")
        )
        raise refusal(
            f"{name}, whose spike {ours},",
            f"in NIR {nir.version} a spike {theirs} (1.0.6 changed it)",
            "reset=0.0" if ours == "subtracts" else "reset='threshold', or NIR 1.0.6 and later",
        )


def _metadata(nir: Any, general: GeneralLIF, dt: float, rest: Array) -> dict[str, Any]:
    """What NIR leaves open, in values that its files hold."""
    return {
        "dt": dt,
        "discretisation": "Euler",
        "threshold": "reached" if general.surrogate.at_zero else "exceeded",
        "reset_timing": general.timing,
        "initial_potential": rest,
        "surrogate": general.surrogate.name,
        "nir": nir.version,
    }


def _array(value: Tensor) -> Array:
    return np.asarray(value.detach().cpu(), dtype=np.float64)


def _full(value: Array, size: int) -> Array:
    return np.broadcast_to(value, (size,)).copy()


# ---- to ours


def neuron_of(node: Any, dt: float, soft: bool, surrogate: Surrogate | None) -> Neuron:
    """The neuron of a node.

    Args:
        node: LIF, CubaLIF, IF or LI.
        dt: Step in seconds.
        soft: A spike subtracts the threshold, as up to NIR 1.0.5.
        surrogate: Spike function; None for the one that the metadata name, or else the triangle.

    Raises:
        UserError: It is no such node, a step of ``dt`` overshoots, or its metadata say another
            discretisation.
    """
    name = type(node).__name__
    metadata = node.metadata
    if (told := metadata.get("discretisation", "Euler")) != "Euler":
        raise refusal(f"NIR's {name} discretised by {shown(told)}", "steps are Euler's", "Euler")
    if (told := metadata.get("reset_timing", "at_once")) not in ("at_once", "before_decay"):
        raise refusal(f"NIR's {name} with reset_timing {shown(told)}", "it is unknown", "at_once")
    size = int(np.prod(np.asarray(node.r).shape))
    if name == "LI":
        return _integrating(node, dt, size)
    arguments: dict[str, Any] = {
        "threshold": _tensor(node.v_threshold),
        "reset": _reset(node, soft),
        "timing": told,
        "surrogate": _spike_function(metadata, surrogate),
    }
    if name == "IF":
        rest = metadata.get("initial_potential", np.zeros(size))
        return GeneralLIF(
            size, decay=1.0, gain=_tensor(node.r * dt), rest=_tensor(rest), **arguments
        )
    share = _share(dt, node.tau if name == "LIF" else node.tau_mem, name)
    arguments |= {"decay": _tensor(1.0 - share), "gain": _tensor(node.r * share)}
    arguments["rest"] = _tensor(node.v_leak)
    if name == "LIF":
        return GeneralLIF(size, **arguments)
    fading = _share(dt, node.tau_syn, name)
    synapse = {"synapse_decay": 1.0 - fading, "synapse_gain": node.w_in * fading}
    return CubaLIF(size, **arguments, **{key: _tensor(value) for key, value in synapse.items()})


def _spike_function(metadata: Mapping[str, Any], given: Surrogate | None) -> Surrogate:
    """NIR spikes above the threshold, unless the metadata say that reaching it is enough."""
    name = str(metadata.get("surrogate", linear.name))
    spike = given or SURROGATES.get(name)
    if spike is None:
        raise UserError(f"the spike function {shown(name)} is not known by name; give surrogate=")
    at_zero: Literal[0, 1] = 1 if metadata.get("threshold") == "reached" else 0
    return replace(spike, at_zero=at_zero) if spike.at_zero != at_zero else spike


def _reset(node: Any, soft: bool) -> Reset:
    return "threshold" if soft else _tensor(node.v_reset)


def _share(dt: float, tau: Any, name: str) -> Array:
    share: Array = dt / np.asarray(tau, dtype=np.float64)
    if not ((share > 0.0) & (share <= 1.0)).all():
        raise UserError(
            f"an Euler step of dt={dt:g} s overshoots a time constant of NIR's {name}, "
            f"{float(np.min(tau)):g} s at least; give a smaller dt"
        )
    return share


def _integrating(node: Any, dt: float, size: int) -> LI:
    if (np.asarray(node.v_leak) != 0.0).any() or (np.asarray(node.r) != 1.0).any():
        raise refusal(
            "NIR's LI with v_leak or r", "LI decays to 0 and has R = 1", "r in its weights"
        )
    neuron = LI(size, tau_mem=1.0)
    share = _share(dt, node.tau, "LI")
    if (share == 1.0).any():
        raise refusal("NIR's LI with tau = dt", "exp(-1 / tau) is never 0", "a smaller dt")
    neuron.tau_mem = _tensor(-1.0 / np.log1p(-share))
    return neuron


def _tensor(value: Any) -> Tensor:
    array = np.asarray(value, dtype=np.float64).reshape(-1)
    return torch.as_tensor(array, dtype=torch.get_default_dtype())
