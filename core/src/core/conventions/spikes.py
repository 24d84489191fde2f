r"""Spike functions of other libraries: a known pseudo-derivative, scaled.

    psi(x) = height base(slope x)

=================  ===============================  ============================================
base               base(x)                          primitive
=================  ===============================  ============================================
``arctan``         ``1 / (1 + (pi x / 2)^2)``       ``arctan(pi x / 2)``, up to a factor
``fast_sigmoid``   ``1 / (1 + abs(x))^2``           ``x / (1 + abs(x))``
``logistic``       ``s (1 - s)``, ``s = sigma(x)``  ``sigma(x)``
``triangle``       ``max(0, 1 - abs(x))``           piecewise quadratic
``laplace``        ``exp(-abs(x))``                 piecewise exponential
``bell``           ``exp(-x^2)``                    error function
``circle``         ``(1 + x^2)^(-3/2)``             ``x / sqrt(1 + x^2)``
``window``         ``1`` for ``abs(x) < 1/2``       clipped line
``constant``       ``1``                            straight through
=================  ===============================  ============================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.surrogates import Surrogate

Base = Literal[
    "arctan",
    "fast_sigmoid",
    "logistic",
    "triangle",
    "laplace",
    "bell",
    "circle",
    "window",
    "constant",
]


def _base(name: Base, x: Tensor) -> Tensor:
    if name == "arctan":
        return 1.0 / (1.0 + (0.5 * math.pi * x) ** 2)
    if name == "fast_sigmoid":
        return 1.0 / (1.0 + x.abs()) ** 2
    if name == "logistic":
        value = torch.sigmoid(x)
        return value * (1.0 - value)
    if name == "triangle":
        return torch.clamp(1.0 - x.abs(), min=0.0)
    if name == "laplace":
        return torch.exp(-x.abs())
    if name == "bell":
        return torch.exp(-(x**2))
    if name == "circle":
        square = 1.0 + x**2
        return 1.0 / (square * torch.sqrt(square))
    if name == "window":
        return (x.abs() < 0.5).to(x.dtype)
    return torch.ones_like(x)


@dataclass(frozen=True)
class _Scaled:
    """``psi`` of :func:`scaled`."""

    base: Base
    slope: float
    height: float

    def __call__(self, x: Tensor) -> Tensor:
        return self.height * _base(self.base, self.slope * x)


def scaled(base: Base, *, slope: float, height: float, at_zero: Literal[0, 1]) -> Surrogate:
    """``psi(x) = height base(slope x)``.

    Args:
        base: Of the table of this module.
        slope: Inverse width.
        height: ``psi(0)``, four times that of ``logistic``.
        at_zero: 1 where reaching the threshold is enough for a spike.
    """
    return Surrogate(f"{base}_{slope:g}_{height:g}", _Scaled(base, slope, height), at_zero)
