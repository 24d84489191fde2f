"""Mamba against a recursion in double precision, written from its equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from silif.mamba import Mamba, selective_scan

Array = NDArray[np.float64]


def silu(x: Array) -> Array:
    return x / (1.0 + np.exp(-x))


def by_the_equations(weights: dict[str, Array], input_BTH: Array, width: int) -> Array:
    """The output ``[B, T, H]``, step by step, channel by channel."""
    batch, steps, channels = input_BTH.shape
    A_HN = -np.exp(weights["A_log"])
    states = A_HN.shape[1]
    rank = weights["dt_proj.weight"].shape[1]
    output = np.empty_like(input_BTH)
    for b in range(batch):
        both_TH = input_BTH[b] @ weights["in_proj.weight"].T
        x_TH, z_TH = both_TH[:, :channels], both_TH[:, channels:]
        h_HN = np.zeros((channels, states))
        for t in range(steps):
            seen = weights["conv1d.bias"].copy()
            for lag in range(min(width, t + 1)):
                seen += weights["conv1d.weight"][:, 0, width - 1 - lag] * x_TH[t - lag]
            x_H = silu(seen)
            projected = weights["x_proj.weight"] @ x_H
            d, B_N, C_N = np.split(projected, [rank, rank + states])
            delta_H = np.log1p(np.exp(weights["dt_proj.weight"] @ d + weights["dt_proj.bias"]))
            for channel in range(channels):
                kept = np.exp(delta_H[channel] * A_HN[channel])
                h_HN[channel] = kept * h_HN[channel] + delta_H[channel] * B_N * x_H[channel]
            y_H = (h_HN @ C_N + weights["D"] * x_H) * silu(z_TH[t])
            output[b, t] = weights["out_proj.weight"] @ y_H
    return output


def test_mamba_follows_its_equations() -> None:
    torch.manual_seed(0)
    model = Mamba(6, state_size=5, width=4, dt_max=0.1).double()
    with torch.no_grad():
        model.D.normal_()
    x_BTH = torch.randn(2, 9, 6, dtype=torch.float64)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    expected = by_the_equations(weights, x_BTH.numpy(), 4)
    output_BHT, spikes = model(x_BTH.transpose(1, 2))
    assert spikes is None
    np.testing.assert_allclose(output_BHT.detach().transpose(1, 2), expected, rtol=0, atol=1e-12)
    single, _ = model.float()(x_BTH.float().transpose(1, 2))
    np.testing.assert_allclose(single.detach().transpose(1, 2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4])
def test_gradients_of_the_scan(steps: int) -> None:
    torch.manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    inputs = (
        draw(steps, 2, 3),
        draw(steps, 2, 3),
        draw(3, 2),
        draw(steps, 2, 2),
        draw(steps, 2, 2),
    )
    assert torch.autograd.gradcheck(selective_scan, inputs)


def test_initial_values() -> None:
    torch.manual_seed(2)
    model = Mamba(64, dt_max=0.1)
    steps = torch.nn.functional.softplus(model.dt_proj.bias).detach()
    assert float(steps.min()) >= 0.001 * (1 - 1e-4)
    assert float(steps.max()) <= 0.1 * (1 + 1e-4)
    assert float(model.dt_proj.weight.detach().abs().max()) <= 0.5
    rates = torch.exp(model.A_log).detach()
    torch.testing.assert_close(rates, torch.arange(1.0, 65.0).repeat(64, 1))
    with pytest.raises(ValueError, match="dt_max"):
        Mamba(4, dt_max=0.0001)
