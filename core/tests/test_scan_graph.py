"""Tracing a step: what becomes a graph, and what is refused with which words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from core.errors import UserError
from core.neurons import LIF, Neuron
from core.neurons.base import Uniform
from core.scan import dispatch, scan
from core.scan.contract import assert_same
from core.scan.graph import OPERATIONS, Unfusable
from core.scan.trace import trace
from core.surrogates import linear

Step = Callable[[Tensor, Tensor], Tensor]


class Remembered(NamedTuple):
    spike: Tensor
    value: Tensor


class Coefficients(NamedTuple):
    rate: Tensor


class Made(Neuron):
    """``value = formula(value + rate, current)``; spikes above one."""

    State = Remembered

    def __init__(self, size: int, formula: Step) -> None:
        super().__init__(size)
        self.rate: Tensor
        self.add_coefficient("rate", Uniform(0.1, 0.5))
        self.formula = formula

    def coefficients(self) -> Any:
        return Coefficients(self.rate)

    def step(self, coefficients: Coefficients, state: Remembered, current: Tensor) -> Any:
        value = self.formula(state.value + coefficients.rate, current)
        spike = linear(value - 1.0)
        return Remembered(spike, value), spike


def decide(a: Tensor, b: Tensor) -> Tensor:
    return a if a.sum() > 0 else b


FORMULAS: dict[str, Step] = {
    "clamp": lambda a, b: torch.clamp(a * b, -0.5, 1.5),
    "clamp from below": lambda a, b: torch.clamp(a - b, min=0.1),
    "relu": lambda a, b: torch.relu(a + b),
    "where": lambda a, b: torch.where((a > 0.2) & ~(b >= 1.0), a - b, 0.3 * b),
    "either": lambda a, b: torch.where((a < 0.2) | (b <= -1.0) | (a == b), b, 0.3 * a),
    "maximum": lambda a, b: torch.maximum(a, b) - torch.minimum(a, 0.3 * b),
    "abs": lambda a, b: a.abs() - b.sign() * 0.1,
    "quotient": lambda a, b: a / (1.5 + b * b) + 1.0 / (2.0 + a**2),
    "power": lambda a, b: 0.1 * b**3 + 0.2 * b**2 + 0.1 * a.clamp(-1.0, 1.0).square(),
    "floor": lambda a, b: torch.floor(3.0 * b) / 3.0 + 0.1 * a,
    "reversed": lambda a, b: torch.rsub(a, b, alpha=2) + torch.add(a, b, alpha=0.5),
    "truth values": lambda a, b: a * (b > 0) + (b != 0).to(b.dtype) * b * 0.5,
    "leaky relu": lambda a, b: torch.nn.functional.leaky_relu(b, 0.2) - a,
    "root quotient": lambda a, b: torch.rsqrt(1.0 + a * a) * b + (1.0 + b * b) ** -0.5,
    "inverse powers": lambda a, b: (1.5 + a * a) ** -1 + (1.5 + b * b) ** -2,
    "truncated": lambda a, b: torch.trunc(3.0 * b) / 3.0 + 0.1 * a,
    "remainders": lambda a, b: torch.fmod(3.0 * b, 0.7) + torch.remainder(a + b, 0.9),
    "modulus": lambda a, b: torch.fmod(3.0 * b, 0.5 + a * a) * 0.3,
    "filled": lambda a, b: torch.masked_fill(a + b, b < 0, 0.25) + torch.ones_like(a),
}
#: Rounded otherwise than in PyTorch, within a few units in the last place.
SMOOTH: dict[str, Step] = {
    "root": lambda a, b: torch.sqrt(0.1 * a * a + b * b + 1.0),
    "exp": lambda a, b: torch.exp(-a.abs()) * b,
    "sigmoid": lambda a, b: torch.sigmoid(3.0 * b) * a,
    "tanh": lambda a, b: torch.tanh(a - b),
    "log": lambda a, b: torch.log(0.5 + b * b) + torch.log1p(0.5 * a.abs()),
    "softplus": lambda a, b: torch.nn.functional.softplus(b, beta=2.0) - 0.5 * a,
    "wave": lambda a, b: torch.sin(3.0 * b) + torch.cos(a - b),
    "error function": lambda a, b: torch.erf(b) + 0.3 * a,
    "any power": lambda a, b: (0.5 + b * b) ** 1.7 * 0.2 + 2.0 ** (0.3 * b) + 0.01 * b**5 + a,
    "power of both": lambda a, b: torch.pow(0.5 + b * b, torch.clamp(a, -1.0, 1.0)) * 0.5,
    "reciprocal": lambda a, b: torch.reciprocal(torch.exp(b) + 1.0) + a,
}


def both(formula: Step, dtype: torch.dtype) -> list[Any]:
    torch.manual_seed(0)
    neuron = Made(21, formula).to(dtype)
    current = (1.5 * torch.randn(12, 3, 21)).to(dtype).requires_grad_()
    state = Remembered(*torch.rand(2, 3, 21).to(dtype).requires_grad_().unbind(0))
    weight = torch.randn(12, 3, 21).to(dtype)
    results = []
    for backend in ("cpu", "reference"):
        output, final = scan(neuron, current, state=state, backend=backend)
        loss = (output * weight).sum() + (final.value**2).sum()
        found = torch.autograd.grad(loss, [current, neuron.rate])
        named = dict(zip(("current", "rate"), found, strict=True))
        results.append(([output.detach(), final.value.detach()], named))
    return results


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_operations_are_those_of_pytorch(name: str, dtype: torch.dtype) -> None:
    found, expected = both(FORMULAS[name], dtype)
    assert_same(found, expected, 1e-5 if dtype == torch.float32 else 1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SMOOTH)
def test_exponential_functions_agree_to_rounding(name: str, dtype: torch.dtype) -> None:
    (found, passed), (expected, wanted) = both(SMOOTH[name], dtype)
    close: dict[str, Any] = {"rtol": 2e-5, "atol": 2e-6}
    if dtype == torch.float64:
        close = {"rtol": 1e-12, "atol": 1e-13}
    torch.testing.assert_close(found[1], expected[1], **close)
    for key, gradient in wanted.items():
        torch.testing.assert_close(passed[key], gradient, **close)


def test_every_operation_of_a_graph_occurs_in_these_formulas() -> None:
    used = {"input", "const"}
    for formula in (FORMULAS | SMOOTH).values():
        used |= {node.op for node in trace(Made(4, formula), torch.float32).nodes}
    assert used - {"input", "const"} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        (lambda a, b: a.cumsum(-1) + b, "uses aten.cumsum.default, which no kernel has"),
        (lambda a, b: a - a.mean() + b, "uses aten.mean.default"),
        (decide, "aten"),
        (lambda a, b: a + b * torch.ones(2), None),
        (lambda a, b: torch.div(a, b, rounding_mode="floor"), "rounding_mode='floor'"),
        (lambda a, b: (a + b)[:1], "aten.slice"),
        (lambda a, b: (a + b).to(torch.complex64).real, "turns numbers into torch.complex64"),
        (lambda a, b: a @ b + a, "aten.dot"),
        (lambda a, b: a + b.item(), "cannot be converted to Scalar"),
    ],
)
def test_what_is_no_element_wise_graph_is_refused(formula: Step, reason: str | None) -> None:
    neuron = Made(4, formula)
    if reason is None:  # a constant tensor is no obstacle
        assert trace(neuron, torch.float32).states == 2
        return
    with pytest.raises(Unfusable, match=reason):
        trace(neuron, torch.float32)
    with pytest.raises(UserError, match=f"'cpu' cannot run Made here: .*{reason}"):
        scan(neuron, torch.ones(2, 1, 4), backend="cpu")


def test_a_tensor_that_is_no_coefficient_is_refused() -> None:
    table = torch.ones(2)
    neuron = Made(4, lambda a, b: a * table + b)
    with pytest.raises(Unfusable, match="reads a tensor that is not among its coefficients"):
        trace(neuron, torch.float32)


def test_cases_that_are_refused_by_name(caplog: pytest.LogCaptureFixture) -> None:
    current = torch.ones(2, 1, 4)
    whole = Made(4, lambda a, b: a - a.amax(-1, keepdim=True) + b)
    refused: list[tuple[Neuron, dict[str, Any], str]] = [
        (whole, {}, "its step uses aten.amax.default, which no kernel has"),
        (
            LIF(4),
            {"spike_mask_TBN": torch.ones(2, 1, 4, requires_grad=True)},
            "no gradient of the spike mask",
        ),
        (LIF(4).double(), {}, "tau_mem is torch.float64"),
        (LIF(4).half(), {"current_TBN": current.half()}, "float32 and float64, not torch.float16"),
        (LIF(4), {"recurrent_weight": torch.eye(4).double()}, "weight is torch.float64"),
    ]
    for neuron, arguments, reason in refused:
        arguments = {"current_TBN": current, **arguments}
        with pytest.raises(UserError, match=reason):
            scan(neuron, backend="cpu", **arguments)
    dispatch._said.clear()
    caplog.set_level(logging.WARNING, "core.scan")
    for _ in range(2):
        scan(whole, current)
    assert [m for m in caplog.messages if "Made runs on the reference" in m] == [
        "Made runs on the reference backend, which is slower "
        "(cpu: its step uses aten.amax.default, which no kernel has)"
    ]
