r"""Spike functions: a Heaviside step forwards, a pseudo-derivative backwards.

Every function here maps a distance to threshold ``x`` (any shape) to a spike of the same shape
and dtype, ``Theta(x) = 1 if x > 0 else 0`` (strict, so ``Theta(0) = Theta(nan) = 0``), and lets the
gradient ``psi(x)`` pass instead of the derivative of ``Theta``, which is zero almost everywhere.

With ``g(x; mu, s) = exp(-(x - mu)^2 / (2 s^2)) / (s sqrt(2 pi))``:

=====================  ===============================================================  ==========
spike function         psi(x)                                                           source
=====================  ===============================================================  ==========
``double_gaussian``    0.5 [1.15 g(x; 0, 0.5) - 0.3 g(x; 0, 3)]                         [1], [2]
``multi_gaussian``     0.5 [1.15 g(x; 0, 0.5) - 0.15 g(x; 0.5, 3) - 0.15 g(x; -0.5, 3)]  [1]
``gaussian``           g(x; 0, 1)                                                       [1]
``linear``             max(0, 1 - abs(x))                                               [3]
``exponential``        exp(-abs(x))                                                     [4]
=====================  ===============================================================  ==========

[1] Yin, Corradi, Bohte, Nature Machine Intelligence 2021. [2] Higuchi et al., ICML 2024; the two
Gaussians of ``multi_gaussian`` are both centred at 0 there. [3] Bellec et al., NeurIPS 2018.
[4] Shrestha, Orchard, NeurIPS 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Derivative = Callable[[Tensor], Tensor]


class _Heaviside(torch.autograd.Function):
    """``Theta`` forwards, ``gradient * psi(x)`` backwards."""

    @staticmethod
    def forward(x: Tensor, derivative: Derivative) -> Tensor:
        return (x > 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Derivative], output: Tensor) -> None:
        x, ctx.derivative = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ctx.derivative(x), None


@dataclass(frozen=True)
class Surrogate:
    """A spike function: call it on a distance to threshold to get spikes.

    Attributes:
        name: Key under which configs name it.
        derivative: ``psi``, the pseudo-derivative, as PyTorch operations.
    """

    name: str
    derivative: Derivative

    def __call__(self, x: Tensor) -> Tensor:
        """``Theta(x)``, with ``psi(x)`` as its derivative."""
        spikes: Tensor = _Heaviside.apply(x, self.derivative)
        return spikes


def normal_density(x: Tensor, mu: float, sigma: float) -> Tensor:
    """``g(x; mu, sigma)``, the normalised Gaussian."""
    scaled = (x - mu) / sigma
    return torch.exp(-0.5 * scaled * scaled) / (sigma * math.sqrt(2.0 * math.pi))


def _double_gaussian(x: Tensor) -> Tensor:
    return 0.5 * (1.15 * normal_density(x, 0.0, 0.5) - 0.3 * normal_density(x, 0.0, 3.0))


def _multi_gaussian(x: Tensor) -> Tensor:
    sides = normal_density(x, 0.5, 3.0) + normal_density(x, -0.5, 3.0)
    return 0.5 * (1.15 * normal_density(x, 0.0, 0.5) - 0.15 * sides)


double_gaussian = Surrogate("double_gaussian", _double_gaussian)
multi_gaussian = Surrogate("multi_gaussian", _multi_gaussian)
gaussian = Surrogate("gaussian", lambda x: normal_density(x, 0.0, 1.0))
linear = Surrogate("linear", lambda x: torch.clamp(1.0 - x.abs(), min=0.0))
exponential = Surrogate("exponential", lambda x: torch.exp(-x.abs()))

SURROGATES = {s.name: s for s in (double_gaussian, multi_gaussian, gaussian, linear, exponential)}


def forward_gradient_injection(x: Tensor, surrogate: Surrogate) -> Tensor:
    r"""The same spike and gradient without an autograd function.

    ``h = x sg(psi(x));  y = h - sg(h) + sg(Theta(x))`` with ``sg`` = stop gradient.

    Equal to ``surrogate(x)`` for finite ``x``; for ``x = +-inf`` it is NaN, where the autograd
    function gives ``Theta(x)``. The neurons use the latter, so that a diverging neuron is seen in
    its potentials and not hidden in its spikes. Source: Otte, arXiv 2406.00177.
    """
    injected = x * surrogate.derivative(x).detach()
    return injected - injected.detach() + (x > 0).to(x.dtype)
