from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import norm

from core import surrogates
from core.surrogates import SURROGATES, forward_gradient_injection, normal_density

Array = np.ndarray


def gaussians(x: Array, *terms: tuple[float, float, float]) -> Array:
    """Sum of ``weight * g(x; mu, sigma)``."""
    total = np.zeros_like(x)
    for weight, mu, sigma in terms:
        total += weight * norm.pdf(x, mu, sigma)
    return total


PSI: dict[str, Callable[[Array], Array]] = {
    "double_gaussian": lambda x: gaussians(x, (0.575, 0, 0.5), (-0.15, 0, 3)),
    "multi_gaussian": lambda x: gaussians(x, (0.575, 0, 0.5), (-0.075, 0.5, 3), (-0.075, -0.5, 3)),
    "gaussian": lambda x: gaussians(x, (1, 0, 1)),
    "linear": lambda x: np.interp(x, [-1, 0, 1], [0, 1, 0]),
    "exponential": lambda x: np.where(x < 0, np.exp(x), np.exp(-x)),
}


def test_every_surrogate_has_a_formula_here() -> None:
    assert set(SURROGATES) == set(PSI)
    assert all(surrogate.name == name for name, surrogate in SURROGATES.items())


@pytest.mark.parametrize("name", PSI)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)], ids=["f64", "f32"]
)
def test_gradient_is_the_incoming_one_times_psi(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    x = torch.linspace(-6.0, 6.0, 241, dtype=dtype, requires_grad=True)
    incoming = torch.linspace(-1.0, 2.0, 241, dtype=dtype)
    SURROGATES[name](x).backward(incoming)
    assert x.grad is not None
    expected = incoming.numpy() * PSI[name](x.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", PSI)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_spikes_only_strictly_above_threshold(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor([[0.0, -0.0, 1e-30, -1e-30, 2.0, -2.0, torch.inf, -torch.inf, torch.nan]])
    spikes = SURROGATES[name](x.to(dtype))
    assert spikes.dtype == dtype
    assert spikes.tolist() == [[0, 0, 1, 0, 1, 0, 1, 0, 0]]


def test_double_gaussian_has_the_landmarks_of_the_paper() -> None:
    psi = surrogates.double_gaussian.derivative
    x = torch.linspace(0.0, 4.0, 400_001, dtype=torch.float64)
    at_zero, at_one = psi(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
    assert at_zero == pytest.approx(0.43883651, abs=5e-9)
    assert at_one == pytest.approx(0.04322045, abs=5e-9)
    assert x[(psi(x) < 0).nonzero()[0]].item() == pytest.approx(1.26986, abs=2e-5)
    assert psi(x).min().item() == pytest.approx(-0.01600565, abs=5e-9)
    assert x[psi(x).argmin()].item() == pytest.approx(1.859, abs=1e-3)


def test_normal_density_is_normalised_and_centred() -> None:
    x = torch.linspace(-20.0, 20.0, 4001, dtype=torch.float64)
    density = normal_density(x, mu=0.5, sigma=3.0)
    assert torch.trapezoid(density, x).item() == pytest.approx(1.0, abs=1e-9)
    assert torch.trapezoid(density * x, x).item() == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize("name", PSI)
def test_forward_gradient_injection_equals_the_autograd_function(name: str) -> None:
    surrogate = SURROGATES[name]
    gradients, spikes = [], []
    for function in (surrogate, lambda x: forward_gradient_injection(x, surrogate)):
        x = torch.linspace(-3.0, 3.0, 61, dtype=torch.float64, requires_grad=True)
        spikes.append(function(x))
        spikes[-1].square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*spikes, rtol=0, atol=1e-15)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-15)


def test_only_forward_gradient_injection_hides_infinity_in_the_spikes() -> None:
    infinite = torch.tensor([torch.inf, -torch.inf])
    assert forward_gradient_injection(infinite, surrogates.double_gaussian).isnan().all()
    assert surrogates.double_gaussian(infinite).tolist() == [1.0, 0.0]
