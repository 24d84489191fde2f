"""Delays: shifts of every neuron, parts of a step, gradients, and the option of the layer."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from core.layers import AxonalDelay, SpikingLayer
from core.layers.delay import _by_pytorch, delayed
from core.neurons import LIF, Uniform

DTYPES = (torch.float32, torch.float64)


def literally(x_TBN: Tensor, delay_N: Tensor) -> Tensor:
    """The equation of the class, element by element."""
    result = torch.zeros_like(x_TBN)
    for n, delay in enumerate(delay_N.tolist()):
        whole, fraction = int(delay), delay - int(delay)
        for t in range(len(x_TBN)):
            for weight, steps in ((1.0 - fraction, whole), (fraction, whole + 1)):
                if t - steps >= 0:
                    result[t, :, n] += weight * x_TBN[t - steps, :, n]
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5, 8, 19])
def test_both_ways_compute_the_equation(size: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(size)
    x = torch.randn(12, 3, size, generator=generator, dtype=dtype)
    delay = 14.0 * torch.rand(size, generator=generator, dtype=dtype)
    delay[0] = 2.0
    expected = literally(x, delay)
    torch.testing.assert_close(delayed(x, delay), expected)
    torch.testing.assert_close(_by_pytorch(x, delay), expected)
    apart = torch.randn(3, 12, size, generator=generator, dtype=dtype).transpose(0, 1)
    torch.testing.assert_close(delayed(apart, delay), literally(apart, delay))


def test_whole_steps_shift_to_the_bit() -> None:
    x = (torch.rand(20, 4, 9) < 0.3).float()
    for steps in (0, 1, 7, 25):
        found = delayed(x, torch.full((9,), float(steps)))
        assert torch.equal(found[steps:], x[: max(0, 20 - steps)])
        assert not found[:steps].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_those_of_pytorch(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(15, 4, 11, dtype=dtype), 6.0 * torch.rand(11, dtype=dtype)]
    weight = torch.randn(15, 4, 11, dtype=dtype)
    found = []
    for function in (delayed, _by_pytorch):
        x, delay = (value.clone().requires_grad_() for value in inputs)
        found.append(torch.autograd.grad((function(x, delay) * weight).sum(), (x, delay)))
    torch.testing.assert_close(found[0], found[1])


def test_gradients_against_differences_and_gradients_of_gradients() -> None:
    x = torch.randn(7, 2, 5, dtype=torch.float64, requires_grad=True)
    delay = torch.tensor([0.4, 1.5, 2.3, 3.7, 6.6], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(delayed, (x, delay))
    assert torch.autograd.gradgradcheck(delayed, (x, delay))


def test_torch_func_sees_its_operations() -> None:
    x, delay = torch.randn(6, 2, 3), torch.tensor([0.5, 1.0, 2.25])
    slope = torch.func.grad(lambda d: delayed(x, d).square().sum())(delay)
    leaf = delay.clone().requires_grad_()
    (expected,) = torch.autograd.grad(delayed(x, leaf).square().sum(), leaf)
    torch.testing.assert_close(slope, expected)


def test_module() -> None:
    torch.manual_seed(0)
    fixed = AxonalDelay(50, initial=Uniform(0.0, 9.0), longest=6)
    assert not list(fixed.parameters())
    assert torch.equal(fixed.delay, fixed.delay.round())
    assert (fixed.delay.min(), fixed.delay.max()) == (0, 6)
    learned = AxonalDelay(3, initial=2.5, longest=4, learnable=True)
    with torch.no_grad():
        learned.delay.copy_(torch.tensor([-1.0, 2.5, 9.0]))
    x = torch.rand(8, 2, 3)
    expected = literally(x, torch.tensor([0.0, 2.5, 4.0]))
    torch.testing.assert_close(learned(x), expected)
    learned(x).sum().backward()
    assert learned.delay.grad is not None
    assert learned.delay.grad[0] == learned.delay.grad[2] == 0  # outside of its range
    assert "3, learned, up to 4 steps" in str(learned)
    with pytest.raises(ValueError, match="from 0, not -1"):
        AxonalDelay(3, longest=-1)
    with pytest.raises(ValueError, match="outside of 0 to 4"):
        AxonalDelay(3, initial=5.0, longest=4)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_option_of_the_layer(bidirectional: bool) -> None:
    make = partial(AxonalDelay, initial=3.0, longest=3)
    layers = []
    for delay in (None, make):
        torch.manual_seed(0)
        layers.append(
            SpikingLayer(
                6, 10, LIF, recurrent=True, delay=delay, bidirectional=bidirectional,
            )
        )  # fmt: skip
    plain, late = layers
    x = 60.0 * torch.rand(20, 5, 6)
    expected, found = plain(x), late(x)
    assert torch.equal(found.spikes_TBH, expected.spikes_TBH)
    assert expected.spikes_TBH.any()
    onward, back = found.output_TBH[..., :10], found.output_TBH[..., 10:]
    assert torch.equal(onward[3:], expected.output_TBH[:-3, ..., :10])
    assert torch.equal(back[:-3], expected.output_TBH[3:, ..., 10:])
    if not bidirectional:
        with pytest.raises(ValueError, match="runs whole sequences"):
            late(x, expected.state)


def test_delays_are_trained() -> None:
    """A pattern whose parts come at different times is told by delays that bring them together."""
    torch.manual_seed(0)
    x = torch.zeros(12, 1, 2)
    x[2, 0, 0] = x[6, 0, 1] = 1.0
    delay = AxonalDelay(2, initial=1.0, longest=8, learnable=True)
    kernel = torch.exp(-torch.linspace(-3, 3, 13).square() / 4)  # smooth, so that there is a slope
    optimizer = torch.optim.Adam(delay.parameters(), lr=0.05)
    for _ in range(300):
        sent_TN = delay(x)[:, 0]
        smooth_NT = nn.functional.conv1d(sent_TN.t()[:, None], kernel[None, None], padding=6)[:, 0]
        loss = -(smooth_NT[0] * smooth_NT[1]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    difference = float((delay.delay[0] - delay.delay[1]).detach())
    assert difference == pytest.approx(4.0, abs=0.7)
