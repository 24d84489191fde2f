from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

from core import surrogates
from core.surrogates import (
    SURROGATES,
    atan_surrogate,
    forward_gradient_injection,
    normal_density,
)

Array = np.ndarray
GOLDEN = Path(__file__).parent / "golden"


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
    "boxcar": lambda x: np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0),
    "piecewise_quadratic": lambda x: np.interp(x, [-1, 0, 1], [0, 1, 0]),
    "atan": lambda x: 1 / (1 + (np.pi * x) ** 2),
    "sigmoid": lambda x: 0.25 / np.cosh(x / 2) ** 2,
}
#: Spike functions for which reaching the threshold is enough.
NOT_STRICT = {"piecewise_quadratic", "atan", "sigmoid"}


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
def test_spikes_above_threshold_and_on_it_where_the_step_is_not_strict(
    name: str, dtype: torch.dtype
) -> None:
    x = torch.tensor([[0.0, -0.0, 1e-30, -1e-30, 2.0, -2.0, torch.inf, -torch.inf, torch.nan]])
    spikes = SURROGATES[name](x.to(dtype))
    at_zero = int(name in NOT_STRICT)
    assert spikes.dtype == dtype
    assert spikes.tolist() == [[at_zero, at_zero, 1, 0, 1, 0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("name", "file", "x", "upstream", "spikes", "gradient"),
    [
        ("boxcar", "sparch/surrogate_boxcar", "x", "cotangent", "spike", "grad_x"),
        ("boxcar", "silif/surrogates", "x", "upstream", "boxcar/out", "boxcar/grad"),
        ("piecewise_quadratic", "silif/surrogates", "x", "upstream", "pwq/out", "pwq/grad"),
    ],
)
def test_authors_spike_functions(
    name: str, file: str, x: str, upstream: str, spikes: str, gradient: str
) -> None:
    with np.load(GOLDEN / f"{file}.npz") as arrays:
        data = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    leaf = data[x].requires_grad_()
    output = SURROGATES[name](leaf)
    output.backward(data[upstream])
    assert torch.equal(output, data[spikes])
    torch.testing.assert_close(leaf.grad, data[gradient], rtol=0, atol=1e-7)


def test_authors_atan_with_fixed_and_with_trainable_alpha() -> None:
    with np.load(GOLDEN / "plif" / "surrogate_atan.npz") as arrays:
        data = {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}
    for case in ("a0", "a1", "a2"):
        alpha = data[f"{case}_alpha"].clone().requires_grad_()
        fixed = data["x"].clone().requires_grad_()
        trainable = data["x"].clone().requires_grad_()
        for x, output in (
            (fixed, atan_surrogate(alpha.item())(fixed)),
            (trainable, atan_surrogate(1.0)(alpha * trainable)),
        ):
            output.backward(data["upstream"])
            assert torch.equal(output, data[f"{case}_y"])
            torch.testing.assert_close(x.grad, data[f"{case}_grad_x"], rtol=1e-12, atol=0)
        expected = data[f"{case}_learnable_grad_alpha"]
        torch.testing.assert_close(alpha.grad, expected, rtol=1e-10, atol=0)


def test_atan_surrogates_are_named_by_their_slope_which_is_positive() -> None:
    assert atan_surrogate(2.0).name == "atan"
    assert atan_surrogate(0.5).name == "atan_0.5"
    with pytest.raises(ValueError, match="must be positive, got 0"):
        atan_surrogate(0.0)


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
