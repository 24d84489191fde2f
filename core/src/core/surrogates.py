r"""Spike functions: a Heaviside step forwards, a pseudo-derivative backwards.

Every function here maps a distance to threshold ``x`` (any shape) to a spike of the same shape
and dtype, ``Theta(x) = 1`` for ``x > 0``, 0 for ``x < 0`` and for NaN, and lets the gradient
``psi(x)`` pass instead of the derivative of ``Theta``, which is zero almost everywhere. On the
threshold itself, ``x = 0``, ``piecewise_quadratic``, ``atan`` and ``sigmoid`` spike, the others do
not.

With ``g(x; mu, s) = exp(-(x - mu)^2 / (2 s^2)) / (s sqrt(2 pi))``:

=======================  ==============================================================  =======
spike function           psi(x)                                                          source
=======================  ==============================================================  =======
``double_gaussian``      0.5 [1.15 g(x; 0, 0.5) - 0.3 g(x; 0, 3)]                        [1] [2]
``multi_gaussian``       0.5 [1.15 g(x; 0, 0.5) - 0.15 g(x; .5, 3) - 0.15 g(x; -.5, 3)]  [1]
``gaussian``             g(x; 0, 1)                                                      [1]
``linear``               max(0, 1 - abs(x))                                              [3]
``exponential``          exp(-abs(x))                                                    [4]
``boxcar``               1 for -0.5 < x <= 0.5, else 0                                   [5]
``piecewise_quadratic``  max(0, 1 - abs(x))                                              [6]
``atan``                 1 / (1 + (pi x)^2), which is ``atan_surrogate(2)``              [7]
``sigmoid``              s(x) (1 - s(x)) with s(x) = 1 / (1 + exp(-x))                   [8]
=======================  ==============================================================  =======

[1] Yin, Corradi, Bohte, Nature Machine Intelligence 2021. [2] Higuchi et al., ICML 2024; the two
Gaussians of ``multi_gaussian`` are both centred at 0 there. [3] Bellec et al., NeurIPS 2018.
[4] Shrestha, Orchard, NeurIPS 2018. [5] Bittar, Garner, Frontiers in Neuroscience 2022.
[6] Shen et al., SpikingSSMs, arXiv 2408.14909; the name is that of the primitive. [7] Fang et al.,
ICCV 2021. [8] The default of SpikingJelly, there with slope 4: ``sigmoid(4 x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Derivative = Callable[[Tensor], Tensor]


class _Compiled(torch.autograd.Function):
    """``Theta`` forwards, ``gradient * psi(x)`` backwards.

    What ``torch.compile`` can read, which takes no function with a ``jvp``.
    """

    @staticmethod
    def forward(x: Tensor, surrogate: Surrogate) -> Tensor:
        return surrogate.heaviside(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Surrogate], output: Tensor) -> None:
        x, ctx.surrogate = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ctx.surrogate.derivative(x), None


class _Heaviside(_Compiled):
    """The same, also for forward mode and ``torch.func.vmap``."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Surrogate], output: Tensor) -> None:
        _Compiled.setup_context(ctx, inputs, output)
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        (x,) = ctx.saved_tensors
        return tangent * ctx.surrogate.derivative(x)


@dataclass(frozen=True)
class Surrogate:
    """A spike function: call it on a distance to threshold to get spikes.

    It can be pickled where ``derivative`` can.

    Attributes:
        name: Key under which configs name it.
        derivative: ``psi``, the pseudo-derivative, as PyTorch operations.
        at_zero: ``Theta(0)``: 0 for a strict step, 1 where reaching the threshold is enough.
    """

    name: str
    derivative: Derivative
    at_zero: Literal[0, 1] = 0

    def __call__(self, x: Tensor) -> Tensor:
        """``Theta(x)``, with ``psi(x)`` as its derivative."""
        function = _Compiled if torch.compiler.is_compiling() else _Heaviside
        spikes: Tensor = function.apply(x, self)
        return spikes

    def __deepcopy__(self, memo: dict[int, Any]) -> Surrogate:
        return self  # nothing of it can change, and kernels are known by it

    def heaviside(self, x: Tensor) -> Tensor:
        """``Theta(x)`` alone; no gradient passes."""
        return (x >= 0 if self.at_zero else x > 0).to(x.dtype)


def normal_density(x: Tensor, mu: float, sigma: float) -> Tensor:
    """``g(x; mu, sigma)``, the normalised Gaussian."""
    scaled = (x - mu) / sigma
    return torch.exp(-0.5 * scaled * scaled) / (sigma * math.sqrt(2.0 * math.pi))


def _double_gaussian(x: Tensor) -> Tensor:
    return 0.5 * (1.15 * normal_density(x, 0.0, 0.5) - 0.3 * normal_density(x, 0.0, 3.0))


def _multi_gaussian(x: Tensor) -> Tensor:
    sides = normal_density(x, 0.5, 3.0) + normal_density(x, -0.5, 3.0)
    return 0.5 * (1.15 * normal_density(x, 0.0, 0.5) - 0.15 * sides)


def _gaussian(x: Tensor) -> Tensor:
    return normal_density(x, 0.0, 1.0)


def _exponential(x: Tensor) -> Tensor:
    return torch.exp(-x.abs())


def _triangle(x: Tensor) -> Tensor:
    return torch.clamp(1.0 - x.abs(), min=0.0)


def _boxcar(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).to(x.dtype)


def _logistic(x: Tensor) -> Tensor:
    value = torch.sigmoid(x)
    return value * (1.0 - value)


@dataclass(frozen=True)
class _ATan:
    """``psi`` of :func:`atan_surrogate`."""

    alpha: float

    def __call__(self, x: Tensor) -> Tensor:
        return (0.5 * self.alpha) / (1.0 + (0.5 * math.pi * self.alpha * x) ** 2)


def atan_surrogate(alpha: float) -> Surrogate:
    r"""``psi(x) = (alpha / 2) / (1 + (pi alpha x / 2)^2)``, spikes at ``x >= 0``.

    It is the derivative of ``arctan(pi alpha x / 2) / pi + 1/2``. An ``alpha > 0`` that is a
    tensor, trainable or not, is a factor of the argument, ``atan_surrogate(1.0)(alpha * x)``: the
    chain rule then gives this ``psi`` towards ``x``, and towards ``alpha`` the same with ``x / 2``
    as its numerator. Source: Fang et al., ICCV 2021.

    Raises:
        ValueError: For ``alpha <= 0``.
    """
    if not alpha > 0.0:
        raise ValueError(f"the slope alpha of the ATan surrogate must be positive, got {alpha}")
    return Surrogate("atan" if alpha == 2.0 else f"atan_{alpha:g}", _ATan(alpha), at_zero=1)


double_gaussian = Surrogate("double_gaussian", _double_gaussian)
multi_gaussian = Surrogate("multi_gaussian", _multi_gaussian)
gaussian = Surrogate("gaussian", _gaussian)
linear = Surrogate("linear", _triangle)
exponential = Surrogate("exponential", _exponential)
boxcar = Surrogate("boxcar", _boxcar)
piecewise_quadratic = Surrogate("piecewise_quadratic", _triangle, at_zero=1)
atan = atan_surrogate(2.0)
sigmoid = Surrogate("sigmoid", _logistic, at_zero=1)

SURROGATES = {
    s.name: s
    for s in (
        double_gaussian,
        multi_gaussian,
        gaussian,
        linear,
        exponential,
        boxcar,
        piecewise_quadratic,
        atan,
        sigmoid,
    )
}


def forward_gradient_injection(x: Tensor, surrogate: Surrogate) -> Tensor:
    r"""The same spike and gradient without an autograd function.

    ``h = x sg(psi(x));  y = h - sg(h) + sg(Theta(x))`` with ``sg`` = stop gradient.

    Equal to ``surrogate(x)`` for finite ``x``; for ``x = +-inf`` it is NaN, where the autograd
    function gives ``Theta(x)``. The neurons use the latter, so that a diverging neuron is seen in
    its potentials and not hidden in its spikes. Source: Otte, arXiv 2406.00177.
    """
    injected = x * surrogate.derivative(x).detach()
    return injected - injected.detach() + surrogate.heaviside(x)
