"""Elementary functions of the CPU kernels: as exact as they say, over their whole range."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from core.neurons import Neuron
from core.scan import scan
from core.scan.cpu.functions import FARTHEST

from .test_scan_graph import Made

Function = Callable[[Tensor], Tensor]
DTYPES = (torch.float32, torch.float64)
EDGES = [0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 1e30, -1e30, math.inf, -math.inf, math.nan]


def run(function: Function, x: Tensor) -> Tensor:
    """The function as a step of a neuron computes it."""
    neuron: Neuron = Made(len(x), lambda a, b: function(b) + 0.0 * a).to(x.dtype)
    with torch.no_grad():
        _, found = scan(neuron, x[None, None], backend="cpu")
    value: Tensor = found.value[0]
    return value


def units(function: Function, x: Tensor) -> float:
    """Largest error in units in the last place; special values must be equal.

    Truth is the C library in double precision, whose own error is below one unit there.
    """
    found = run(function, x)
    truth = function(x.double())
    expected = truth.to(x.dtype)
    # a result that is hardly a normal number may become zero
    finite = expected.isfinite() & (expected.abs() >= 2 * torch.finfo(x.dtype).smallest_normal)
    rest = ~finite & ~(expected.isfinite() & (expected != 0))
    torch.testing.assert_close(found[rest], expected[rest], rtol=0, atol=0, equal_nan=True)
    spacing = torch.from_numpy(np.spacing(expected[finite].abs().numpy())).double()
    errors = (found[finite].double() - truth[finite]).abs() / spacing
    return float(errors.max())


def grid(low: float, high: float, dtype: torch.dtype, count: int = 20_001) -> Tensor:
    edges = torch.tensor(EDGES, dtype=torch.float64)
    return torch.cat([edges, torch.linspace(low, high, count, dtype=torch.float64)]).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "low", "high", "single", "double"),
    [
        (torch.exp, -87.0, 88.0, 2.0, 2.0),
        (torch.log, 1e-3, 50.0, 1.0, 1.5),
        (torch.log, 0.9, 1.1, 1.0, 1.5),
        (torch.log1p, -0.999, 2.0, 3.0, 3.0),
        (torch.log1p, -1e-6, 1e-6, 3.0, 3.0),
        (torch.sin, -20.0, 20.0, 2.5, 3.0),
        (torch.sin, -1e4, 1e4, 2.5, 3.0),
        (torch.cos, -20.0, 20.0, 2.5, 3.0),
        (torch.cos, -1e4, 1e4, 2.5, 3.0),
        (torch.erf, -1.0, 1.0, 2.5, 4.0),
        (torch.erf, -7.0, 7.0, 2.5, 9.0),
        (torch.nn.functional.softplus, -30.0, 30.0, 3.0, 3.0),
        (torch.rsqrt, 1e-6, 1e4, 2.0, 2.0),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_errors(
    function: Function, low: float, high: float, single: float, double: float, dtype: torch.dtype
) -> None:
    limit = single if dtype == torch.float32 else double
    assert units(function, grid(low, high, dtype)) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponential_ends_where_numbers_end(dtype: torch.dtype) -> None:
    x = torch.tensor([88.7, 89.0, -87.0, -104.0, 709.0, 710.0, -708.0, -745.0]).to(dtype)
    assert units(torch.exp, x) <= 2.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_logarithm_of_the_smallest_numbers(dtype: torch.dtype) -> None:
    smallest = torch.finfo(dtype).smallest_normal
    x = torch.tensor([smallest, 2.0 * smallest, 1.5 * smallest, 3e38], dtype=dtype)
    assert units(torch.log, x) <= 1.5
    below = torch.tensor([smallest / 4], dtype=dtype)
    assert units(torch.log, below) <= 1.5 or run(torch.log, below) == -math.inf  # flushed to zero


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [torch.sin, torch.cos])
def test_multiples_of_a_quarter_turn_and_far_away(function: Function, dtype: torch.dtype) -> None:
    near = torch.arange(-4000, 4000, dtype=torch.float64).to(dtype) * (math.pi / 2)
    far = torch.tensor([FARTHEST[4], FARTHEST[8], 1e7, -3e12, 1e20]).to(dtype)
    assert units(function, torch.cat([near, far])) <= 3.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rest", [torch.fmod, torch.remainder])
@pytest.mark.parametrize("divisor", [0.7, -0.7, 3.0, 1e-5, 0.0, math.inf])
def test_remainders_are_exact(
    rest: Callable[..., Tensor], divisor: float, dtype: torch.dtype
) -> None:
    x = torch.cat([grid(-50.0, 50.0, dtype), 0.7 * torch.arange(-9, 9, dtype=dtype)])
    found, expected = run(lambda b: rest(b, divisor), x), rest(x, divisor)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [1.7, -2.5, 4.0, 5.0, -3.0, 0.25, 30.0])
def test_powers_are_as_exact_as_they_say(exponent: float, dtype: torch.dtype) -> None:
    x = grid(-20.0, 20.0, dtype)
    found, truth = run(lambda b: b**exponent, x), x.double() ** exponent
    expected = truth.to(dtype)
    normal = expected.isfinite() & (expected.abs() >= 2 * torch.finfo(dtype).smallest_normal)
    same = ~normal & ~(expected.isfinite() & (expected != 0))
    torch.testing.assert_close(found[same], expected[same], rtol=0, atol=0, equal_nan=True)
    spacing = torch.from_numpy(np.spacing(expected[normal].abs().numpy())).double()
    errors = (found[normal].double() - truth[normal]).abs() / spacing
    logarithm = (exponent * x[normal].double().abs().log()).abs()
    assert (errors <= 2.0 * (1.0 + logarithm)).all()
