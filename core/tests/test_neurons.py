"""Every neuron against its equations written once more, in NumPy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.neurons import (
    ALIF,
    BRF,
    HRF,
    LI,
    LIF,
    PLIF,
    RF,
    BalancedLIF,
    IzhikevichRF,
    Neuron,
    Normal,
    Uniform,
    divergence_boundary,
)
from core.neurons.decay import keep_factor, quantise
from core.scan import scan

Array = np.ndarray
History = Iterator[tuple[Array, ...]]
DT = 0.008  # not the 0.01 of the boundary, so that mixing the two up shows


def theta(x: Array) -> Array:
    return np.where(x > 0, 1.0, 0.0)


def keep(tau: Array) -> Array:
    return np.exp(-1.0 / np.abs(tau))


def li(current: Array, tau_mem: Array) -> History:
    u = np.zeros_like(current[0])
    for i in current:
        u = keep(tau_mem) * u + (1 - keep(tau_mem)) * i
        yield (u,)


def lif(current: Array, tau_mem: Array) -> History:
    u = np.zeros_like(current[0])
    for i in current:
        u = keep(tau_mem) * u + (1 - keep(tau_mem)) * i
        z = theta(u - 1)
        u = u - z
        yield z, u


def alif(current: Array, tau_mem: Array, tau_adp: Array) -> History:
    z = u = a = np.zeros_like(current[0])
    for i in current:
        a = keep(tau_adp) * a + (1 - keep(tau_adp)) * z
        threshold = 0.01 + 1.8 * a
        u = keep(tau_mem) * u + (1 - keep(tau_mem)) * i
        z = theta(u - threshold)
        u = u - z * threshold
        yield z, u, a


def rf(current: Array, omega: Array, b_offset: Array) -> History:
    u = v = np.zeros_like(current[0])
    w, b = np.abs(omega), -np.abs(b_offset)
    for i in current:
        u, v = u + DT * (b * u - w * v + i), v + DT * (w * u + b * v)
        yield theta(u - 1), u, v


def brf(current: Array, omega: Array, b_offset: Array) -> History:
    u = v = q = np.zeros_like(current[0])
    w = np.abs(omega)
    for i in current:
        b = (np.sqrt(1 - (0.01 * w) ** 2) - 1) / 0.01 - np.abs(b_offset) - q
        u, v = u + DT * (b * u - w * v + i), v + DT * (w * u + b * v)
        z = theta(u - 1 - q)
        q = 0.9 * q + z
        yield z, u, v, q


def hrf(current: Array, omega: Array, b_offset: Array) -> History:
    u = v = q = np.zeros_like(current[0])
    for i in current:
        b = 0.005 * omega**2 + np.abs(b_offset) + q
        v = v + DT * u
        u = u + DT * (i - 2 * b * u - omega**2 * v)
        z = theta(u - 1 - q)
        q = 0.9 * q + z
        yield z, u, v, q


def izhikevich(current: Array, omega: Array, b_offset: Array) -> History:
    m = np.zeros_like(current[0], dtype=complex)
    pole = -np.abs(b_offset) + 1j * np.abs(omega)
    for i in current:
        m = m + DT * (pole * m + i)
        z = theta(m.imag - 1)
        m = np.where(z == 1, 1j, m)
        yield z, m.real, m.imag


#: Neuron, its transcription, and the current at which it spikes now and then.
NEURONS: dict[str, tuple[Callable[[int], Neuron], Callable[..., History], float]] = {
    "LI": (LI, li, 1.0),
    "LIF": (LIF, lif, 20.0),
    "ALIF": (ALIF, alif, 2.0),
    "RF": (lambda n: RF(n, dt=DT), rf, 100.0),
    "BRF": (lambda n: BRF(n, dt=DT), brf, 100.0),
    "HRF": (lambda n: HRF(n, dt=DT), hrf, 100.0),
    "IzhikevichRF": (lambda n: IzhikevichRF(n, dt=DT), izhikevich, 100.0),
}
SPIKING = [name for name in NEURONS if name != "LI"]


def compare(
    name: str, seed: int, shape: tuple[int, int, int], low: float, high: float
) -> list[tuple[Array, ...]]:
    """Run both on the same parameters, of either sign and of magnitude low to high."""
    make, transcription, scale = NEURONS[name]
    rng = np.random.default_rng(seed)
    neuron = make(shape[2]).double()
    parameters = {}
    for key, parameter in neuron.named_parameters():
        magnitude = rng.uniform(low, high, shape[2]) / (5.0 if key == "b_offset" else 1.0)
        parameters[key] = magnitude * rng.choice([-1.0, 1.0], shape[2])
        parameter.data.copy_(torch.from_numpy(parameters[key]))
    current = scale * rng.normal(0.2, 1.0, shape)
    history = list(transcription(current, **parameters))

    with torch.no_grad():
        output, final = scan(neuron, torch.from_numpy(current))
    close: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(output.numpy(), np.stack([step[0] for step in history]), **close)
    for ours, theirs in zip(final, history[-1], strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, **close)
    return history


@pytest.mark.parametrize("name", NEURONS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 4), st.integers(1, 7)),
    low=st.floats(0.5, 20.0),
    width=st.floats(0.0, 30.0),
)
def test_equations(
    name: str, seed: int, shape: tuple[int, int, int], low: float, width: float
) -> None:
    compare(name, seed, shape, low, low + width)


@pytest.mark.parametrize("name", SPIKING)
def test_equations_are_compared_across_spikes(name: str) -> None:
    history = compare(name, seed=1, shape=(60, 4, 8), low=5.0, high=20.0)
    rate = np.mean([step[0] for step in history])
    assert 0.02 < rate < 0.9


# --- what the equations promise -----------------------------------------------------------------


def test_on_the_divergence_boundary_a_step_neither_grows_nor_shrinks() -> None:
    omega = torch.linspace(0.0, 99.0, 34, dtype=torch.float64)
    pole = torch.complex(divergence_boundary(omega), omega)
    np.testing.assert_allclose((1 + 0.01 * pole).abs().numpy(), 1.0, rtol=1e-12)


def test_brf_above_100_rad_per_second_is_nan() -> None:
    neuron = BRF(2, omega=100.5)
    output, final = scan(neuron, torch.ones(3, 1, 2))
    assert final.u.isnan().all()
    assert output.sum() == 0.0, "the spikes must not hide it"
    assert not scan(BRF(2, omega=99.5), torch.ones(3, 1, 2))[1].u.isnan().any()


@pytest.mark.parametrize("kind", [RF, BRF, HRF])
def test_sign_of_b_offset_changes_only_the_sign_of_its_gradient(kind: type[RF]) -> None:
    torch.manual_seed(3)
    current = 100.0 * torch.randn(30, 2, 5)
    neuron = kind(5)
    runs = []
    for _ in range(2):
        neuron.zero_grad()
        output, final = scan(neuron, current)
        (final.u.sum() + final.v.square().sum()).backward()
        assert neuron.b_offset.grad is not None
        runs.append((output, final, neuron.b_offset.grad.clone()))
        neuron.b_offset.data.neg_()
    (output, final, gradient), (flipped_output, flipped_final, flipped_gradient) = runs
    assert torch.equal(output, flipped_output)
    assert all(map(torch.equal, final, flipped_final))
    assert gradient.abs().min() > 0
    assert torch.equal(gradient, -flipped_gradient)


def test_linear_decay_of_rf_is_a_constant_increment() -> None:
    neuron = RF(1, omega=0.0, b_offset=-3.0, decay="linear")
    _, final = scan(neuron, torch.zeros(10, 1, 1))
    assert final.u.item() == pytest.approx(10 * 3.0 * 0.01)
    assert final.v.item() == pytest.approx(10 * 3.0 * 0.01)


# --- parameters and state -----------------------------------------------------------------------


def test_a_distribution_makes_a_parameter_and_a_number_a_buffer() -> None:
    torch.manual_seed(0)
    neuron = RF(1000, omega=Uniform(5.0, 10.0), b_offset=2.0)
    assert [name for name, _ in neuron.named_parameters()] == ["omega"]
    assert [name for name, _ in neuron.named_buffers()] == ["b_offset"]
    assert set(neuron.state_dict()) == {"omega", "b_offset"}
    assert neuron.b_offset.tolist() == [2.0] * 1000
    assert 5.0 <= neuron.omega.min() < 5.1
    assert 9.9 < neuron.omega.max() <= 10.0


def test_normal_is_not_truncated() -> None:
    torch.manual_seed(0)
    tau = LI(4000, tau_mem=Normal(1.0, 2.0)).tau_mem
    assert tau.mean().item() == pytest.approx(1.0, abs=0.1)
    assert tau.std().item() == pytest.approx(2.0, abs=0.1)
    assert tau.min() < 0


def test_a_layer_of_no_neurons_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one neuron, got 0"):
        LIF(0)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_state_is_zero_in_the_precision_of_the_parameters(
    name: str, dtype: torch.dtype
) -> None:
    state = NEURONS[name][0](3).to(dtype).initial_state(2)
    assert all(tensor.dtype == dtype for tensor in state)
    assert all(tensor.tolist() == [[0.0] * 3] * 2 for tensor in state)


@pytest.mark.parametrize(
    ("decay", "tau", "expected"),
    [
        ("exponential", -4.0, np.exp(-0.25)),
        ("sigmoid", -4.0, 1 / (1 + np.exp(4.0))),
        ("linear", -4.0, 0.75),
        ("linear", 0.5, 0.0),
    ],
)
def test_keep_factor(decay: Any, tau: float, expected: float) -> None:
    assert keep_factor(torch.tensor(tau), decay).item() == pytest.approx(expected, abs=1e-7)


def test_keep_factor_of_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'cubic'"):
        keep_factor(torch.ones(1), "cubic")  # type: ignore[arg-type]


def test_quantise_rounds_half_to_even_without_gradient() -> None:
    x = torch.tensor([0.125, 0.375, -0.125, 0.3], requires_grad=True)
    rounded = quantise(x, 2)
    assert rounded.tolist() == [0.0, 0.5, 0.0, 0.25]
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0] * 4


FIXED: dict[str, tuple[Neuron, dict[str, float]]] = {
    "LIF": (LIF(3, tau_mem=0.3), {"tau_mem": 0.3}),
    "BRF": (BRF(3, omega=10.1, b_offset=1.3), {"omega": 10.1, "b_offset": 1.3}),
    "PLIF": (
        PLIF(3, tau=2.3, train="nothing", alpha=1.6),
        {"alpha": 1.6, "fixed_tau": 2.3},
    ),
    "BalancedLIF": (
        BalancedLIF(3, alpha=0.9, train_alpha=False, threshold=0.7),
        {"alpha": 0.9, "threshold": 0.7},
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_numbers_are_exact_in_the_precision_of_the_neuron(name: str) -> None:
    neuron, numbers = FIXED[name]
    single = copy.deepcopy(neuron)
    rounded = {key: value.clone() for key, value in neuron.state_dict().items()}
    exact = copy.deepcopy(neuron).double()
    loaded = copy.deepcopy(neuron).double()
    loaded.load_state_dict(rounded)
    again = copy.deepcopy(neuron).half().double()
    for key, number in numbers.items():
        assert set(single.get_buffer(key).view(-1).tolist()) == {float(np.float32(number))}
        for double in (exact, loaded, again):
            assert set(double.get_buffer(key).view(-1).tolist()) == {number}


def test_a_number_that_a_file_replaced_stays_replaced() -> None:
    neuron = LIF(3, tau_mem=0.3)
    neuron.load_state_dict({"tau_mem": torch.full((3,), 0.7)})
    assert neuron.double().tau_mem.tolist() == [float(np.float32(0.7))] * 3
    neuron.to("meta").to_empty(device="cpu")
