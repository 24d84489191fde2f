"""PLIF: leaky integrate-and-fire with a trained membrane time constant.

Source: Fang et al., "Incorporating learnable membrane time constant to enhance learning of spiking
neural networks", ICCV 2021 (one constant per layer), the extension to one constant per neuron, and
both authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from core.buffers import empty
from core.neurons.base import Neuron
from core.neurons.leaky import SpikeAndPotential
from core.opaque import watched
from core.surrogates import Surrogate, atan_surrogate

ATAN = atan_surrogate(1.0)


@dataclass(frozen=True)
class LogNormalTau:
    """Time constants in steps, log-normal with this arithmetic mean and standard deviation.

    The plain distribution (the published runs) can fall to 1 or below, where no ``w`` exists;
    ``shifted`` (the thesis text) draws ``1 + LogNormal(mean - 1, std)`` instead and cannot.
    ``std = 0`` is the constant ``mean``.
    """

    mean: float
    std: float
    shifted: bool = False

    def __post_init__(self) -> None:
        _check_tau(self.mean)
        if not self.std >= 0.0:
            raise ValueError(f"std of the time constants must not be negative, got {self.std}")

    def sample(self, shape: int | Sequence[int]) -> Tensor:
        """Values of this shape from PyTorch's global generator.

        Raises:
            ValueError: When a value is 1 or below.
        """
        shape = torch.Size((shape,) if isinstance(shape, int) else shape)
        if self.std == 0.0 or torch.empty(0).is_meta:  # a network of which only the shape counts
            return torch.full(shape, float(self.mean))
        shift = 1.0 if self.shifted else 0.0
        # In single precision and in this order, as in the authors' code: where std is small beside
        # the mean, the rounding decides the last digits of tau, and so of the published losses.
        mean, std = torch.tensor(self.mean - shift), torch.tensor(float(self.std))
        norm = torch.sqrt(std**2 + mean**2)
        location = torch.log(mean**2 / norm)
        spread = torch.sqrt(torch.log(norm**2 / mean**2))
        normal = torch.distributions.LogNormal(location, spread)
        tau = shift + normal.sample(shape)
        too_small = int((~(tau > 1.0)).sum())
        if too_small:
            raise ValueError(
                f"{too_small} of {shape.numel()} time constants came out at 1 step or below, "
                f"where w is not a number: lower std ({self.std}) or take "
                "LogNormalTau(..., shifted=True)"
            )
        return tau


class _Logistic(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor) -> Tensor:
        k = torch.sigmoid(w, out=empty(tuple(w.shape), w.dtype))
        ctx.save_for_backward(k)
        return k

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (k,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            return gradient * (k * (1.0 - k))
        result = empty(tuple(k.shape), k.dtype)
        torch.ops.aten.sigmoid_backward.grad_input(gradient, k, grad_input=result)
        return result


def logistic(w: Tensor) -> Tensor:
    """``1 / (1 + exp(-w))``, of ``w`` as large as a layer in memory that is used again.

    Where there is one for every neuron, new memory would cost a quarter of a scan of few steps.
    """
    if w.device.type != "cpu" or watched(w):
        return torch.sigmoid(w)
    result: Tensor = _Logistic.apply(w)
    return result


class Slope(nn.Module):
    """A trained slope, as a module of its own: state dicts then have the authors' name for it."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))


class PLIF(Neuron):
    r"""Leaky integrate-and-fire whose time constant ``tau = 1 + exp(-w)`` is trained through ``w``.

        k   = sigmoid(w) = 1 / tau
        h_t = v_{t-1} + k (I_t - (v_{t-1} - r))
        s_t = Theta(h_t - threshold)                 (spikes at h_t = threshold, too)
        v_t = (1 - s_t) h_t + s_t r                  (hard reset to r)
        v_t = h_t - threshold s_t                    (soft reset; r = 0 in h_t)

    with the ATan surrogate. The potential starts at ``r``. State dicts hold what is trained alone,
    by the authors' names: ``w`` and ``surrogate_function.alpha``.

    Args:
        size: ``N``, or the shape of one sample, whose product it is: ``w`` per neuron then has the
            shape ``[1, *size]`` instead of ``[N]``, as in the authors' code.
        tau: Initial time constant in steps, above 1; a distribution needs one ``w`` per neuron.
        train: What has a trained ``w``: the ``layer`` (a 0-d parameter), every ``neuron``, or
            ``nothing`` (plain LIF; a distribution becomes a buffer ``w``).
        threshold: Where it spikes.
        reset: ``r`` of the hard reset, or None for the soft one.
        detach_reset: Keep the gradient out of the spike in the reset.
        alpha: Slope of the surrogate.
        train_alpha: Train the slope, one 0-d parameter.
        decay_input: Whether ``k`` scales the input too; without, ``h = v - k (v - r) + I``.
        surrogate: Spike function of slope 1, of which ``alpha`` scales the argument.

    Raises:
        ValueError: For ``tau <= 1``, ``alpha <= 0``, or a distribution with ``train="layer"``.
    """

    State = SpikeAndPotential

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        tau: float | LogNormalTau = 2.0,
        train: Literal["layer", "neuron", "nothing"] = "layer",
        threshold: float = 1.0,
        reset: float | None = 0.0,
        detach_reset: bool = False,
        alpha: float = 2.0,
        train_alpha: bool = False,
        decay_input: bool = True,
        surrogate: Surrogate = ATAN,
    ) -> None:
        shape = (size,) if isinstance(size, int) else (1, *size)
        super().__init__(math.prod(shape))
        if train not in ("layer", "neuron", "nothing"):
            raise ValueError(f"train is layer, neuron or nothing, not {train!r}")
        if not alpha > 0.0:
            raise ValueError(f"the slope alpha of the surrogate must be positive, got {alpha}")
        self.w: Tensor
        self.alpha: Tensor
        if train != "nothing":
            self.w = nn.Parameter(_initial_w(shape, tau, train))
        elif isinstance(tau, LogNormalTau):
            self.register_buffer("w", _initial_w(shape, tau, train))
        else:
            _check_tau(tau)
            self.add_number("fixed_tau", tau, persistent=False)
        if train_alpha:
            self.surrogate_function = Slope(alpha)
        else:
            self.add_number("alpha", alpha, persistent=False)
        self.threshold = threshold
        self.reset = reset
        self.detach_reset = detach_reset
        self.decay_input = decay_input
        self.surrogate = surrogate
        self.divides = "fixed_tau" in self._numbers
        self.shape = shape

    class Coefficients(NamedTuple):
        """``k`` (``tau`` of plain LIF), 0-d or ``[N]``, and the slope ``alpha``, 0-d."""

        k: Tensor
        alpha: Tensor

    @property
    def tau(self) -> Tensor:
        """Time constant in steps, 0-d or in the shape of ``w``."""
        return self.get_buffer("fixed_tau") if self.divides else 1.0 + torch.exp(-self.w)

    @property
    def slope(self) -> Tensor:
        """``alpha`` of the surrogate, trained or not."""
        trained = self._modules.get("surrogate_function")
        return trained.alpha if isinstance(trained, Slope) else self.alpha

    def coefficients(self) -> Coefficients:
        """What a step reads."""
        if self.divides:
            return self.Coefficients(self.tau, self.slope)
        k = logistic(self.w)
        return self.Coefficients(k.expand(self.shape).flatten() if k.dim() else k, self.slope)

    def initial_state(
        self, batch: int, generator: torch.Generator | None = None
    ) -> SpikeAndPotential:
        """No spike, and the potential at the reset value; see :meth:`Neuron.initial_state`."""
        zero = super().initial_state(batch, generator)
        return SpikeAndPotential(zero.spike, zero.potential + (self.reset or 0.0))

    def step(
        self, coefficients: Coefficients, state: SpikeAndPotential, current: Tensor
    ) -> tuple[SpikeAndPotential, Tensor]:
        """The equations of the class."""
        k, alpha = coefficients
        above = state.potential - (self.reset or 0.0)
        # A fixed tau divides, as in SpikingJelly: the product with 1 / tau rounds differently.
        drive = current - above if self.decay_input else above
        change = drive / k if self.divides else k * drive
        if self.decay_input:
            charged = state.potential + change
        else:
            charged = state.potential - change + current
        # The slope as a factor of the argument: its gradient is then that of the primitive.
        spike = self.surrogate(alpha * (charged - self.threshold))
        resetting = spike.detach() if self.detach_reset else spike
        if self.reset is None:
            potential = charged - self.threshold * resetting
        else:
            potential = (1.0 - resetting) * charged + resetting * self.reset
        return SpikeAndPotential(spike, potential), spike

    @torch.no_grad()
    def divergence_hint(self) -> str | None:
        """A trained slope that crossed zero turns the spike function round."""
        if self.slope > 0.0:
            return None
        return (
            f"the trained slope of the surrogate fell to {float(self.slope):.3g}, where the spike "
            "function is upside down; lower the learning rate or keep alpha fixed"
        )


def _initial_w(shape: tuple[int, ...], tau: float | LogNormalTau, train: str) -> Tensor:
    """``w = -ln(tau - 1)``, 0-d or ``[*shape]``."""
    if isinstance(tau, LogNormalTau):
        if train == "layer":
            raise ValueError("a distribution of tau needs train='neuron', one w per neuron")
        return -torch.log(tau.sample(shape) - 1.0)
    _check_tau(tau)
    return torch.full(shape if train == "neuron" else (), -math.log(tau - 1.0))


def _check_tau(tau: float) -> None:
    if not tau > 1.0:
        raise ValueError(f"a membrane time constant must be above 1 step, got {tau}")
