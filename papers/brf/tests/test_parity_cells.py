"""Core's spike functions, neurons and layer against arrays recorded from the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from core import surrogates
from core.layers import Layer
from core.neurons import ALIF, BRF, HRF, LI, LIF, RF, IzhikevichRF, Neuron, divergence_boundary
from core.neurons.decay import quantise
from core.scan import scan
from core.surrogates import SURROGATES, forward_gradient_injection, normal_density

Golden = Callable[[str], dict[str, dict[str, Tensor]]]
Agrees = Callable[..., None]

FLOATS = {"f64": torch.float64, "f32": torch.float32}

#: What the authors call a state variable, by our name.
LETTER = {"spike": "z", "potential": "u", "adaptation": "a", "u": "u", "v": "v", "q": "q"}

CELLS: dict[str, Callable[[int], Neuron]] = {
    "rf": RF,
    "rf_fixed": partial(RF, omega=12.0, b_offset=1.5),
    "brf": BRF,
    "brf_bias_dt": partial(BRF, dt=0.004),
    "hrf": HRF,
    "alif": ALIF,
    "alif_fixed": partial(ALIF, tau_mem=8.0, tau_adp=30.0),
    "alif_bp4": partial(ALIF, fraction_bits=4),
    "alif_bp8": partial(ALIF, fraction_bits=8),
    "lif": LIF,
    "li": LI,
    "li_sigmoid": partial(LI, decay="sigmoid"),
    "li_bp4": partial(LI, fraction_bits=4),
    "li_bp8": partial(LI, fraction_bits=8),
}

_LINEAR_DECAY: dict[str, Callable[..., Neuron]] = {
    "lin_rf": RF,
    "lin_brf": BRF,
    "lin_alif": ALIF,
    "lin_alif_bp6": partial(ALIF, fraction_bits=6),
    "lin_lif": LIF,
    "lin_li": LI,
    "lin_li_bp6": partial(LI, fraction_bits=6),
}

CELLS_LINEAR: dict[str, Callable[[int], Neuron]] = {
    **{f"{name}_on": partial(cell, decay="linear") for name, cell in _LINEAR_DECAY.items()},
    **{f"{name}_off": partial(cell, decay="exponential") for name, cell in _LINEAR_DECAY.items()},
    "lin_li_sigmoid_sig": partial(LI, decay="sigmoid"),
    "lin_li_sigmoid_lin": partial(LI, decay="linear"),
    "lin_li_sigmoid_exp": partial(LI, decay="exponential"),
}

CASES = [("cells", name, dtype) for name in CELLS for dtype in FLOATS] + [
    ("cells_linear", name, dtype) for name in CELLS_LINEAR for dtype in FLOATS
]


def test_every_recorded_cell_is_compared(golden: Golden) -> None:
    recorded = {(file, group) for file in ("cells", "cells_linear") for group in golden(file)}
    assert recorded == {(file, f"{name}_{dtype}") for file, name, dtype in CASES}


def layer_of(arrays: dict[str, Tensor], neuron: Neuron) -> Layer:
    """A layer with the recorded parameters; fixed constants come from the constructor."""
    weight = arrays["param.linear.weight"]
    layer = Layer(weight.shape[1], neuron, bias="param.linear.bias" in arrays).to(weight.dtype)
    ours = {"linear.weight": layer.input_weight, "linear.bias": layer.bias}
    ours |= dict(neuron.named_parameters())
    recorded = {k.removeprefix("param."): v for k, v in arrays.items() if k.startswith("param.")}
    assert {name for name, tensor in ours.items() if tensor is not None} == set(recorded)
    with torch.no_grad():
        for name, value in recorded.items():
            ours[name].copy_(value)
    return layer


@pytest.mark.parametrize(("file", "name", "dtype"), CASES)
def test_cell(file: str, name: str, dtype: str, golden: Golden, agrees: Agrees) -> None:
    arrays = golden(file)[f"{name}_{dtype}"]
    neuron = {**CELLS, **CELLS_LINEAR}[name](6)
    layer = layer_of(arrays, neuron)
    for key, buffer in neuron.named_buffers():
        torch.testing.assert_close(buffer, arrays[f"buffer.{key}"], rtol=0, atol=0)

    letters = [LETTER[field] for field in neuron.State._fields]
    x = arrays["x"].clone().requires_grad_()
    initial = neuron.State(*[arrays[f"{k}0"].clone().requires_grad_() for k in letters])
    # One scan per step shows every state, and sends the gradient through the final and the
    # initial state of each.
    states, state = [], initial
    for x_t in x.split(1):
        state = layer(x_t, state).state
        states.append(state)
    loss = torch.zeros((), dtype=FLOATS[dtype])
    for letter, values in zip(letters, zip(*states, strict=True), strict=True):
        trajectory = torch.stack(values)
        agrees(letter, trajectory, arrays[letter])
        loss = loss + (arrays[f"coef_{letter}"] * trajectory).sum()
    agrees("loss", loss, arrays["loss"])

    loss.backward()
    agrees("grad_x", x.grad, arrays["grad_x"], gradient=True)
    for letter, start in zip(letters, initial, strict=True):
        # a state variable that no equation reads (the spike of RF, say) has no gradient
        gradient = torch.zeros_like(start) if start.grad is None else start.grad
        agrees(f"grad_{letter}0", gradient, arrays[f"grad_{letter}0"], gradient=True)
    agrees_in_gradients(layer, arrays, agrees)

    output, _, final = layer(arrays["x"], initial)
    agrees("one scan", output, arrays[letters[0]])
    for letter, value in zip(letters, final, strict=True):
        agrees(f"final {letter}", value, arrays[letter][-1])


def agrees_in_gradients(layer: Layer, arrays: dict[str, Tensor], agrees: Agrees) -> None:
    agrees("weight", layer.input_weight.grad, arrays["grad.linear.weight"], gradient=True)
    if layer.bias is not None:
        agrees("bias", layer.bias.grad, arrays["grad.linear.bias"], gradient=True)
    for name, parameter in layer.neuron.named_parameters():
        agrees(name, parameter.grad, arrays[f"grad.{name}"], gradient=True)


@pytest.mark.parametrize("dtype", FLOATS)
def test_izhikevich(dtype: str, golden: Golden, agrees: Agrees) -> None:
    arrays = golden("izhikevich")[dtype]
    neuron = IzhikevichRF(6).to(FLOATS[dtype])
    with torch.no_grad():
        neuron.omega.copy_(arrays["omega"])
        neuron.b_offset.copy_(arrays["b"])  # recorded negative, so that -|b_offset| is b
    x = arrays["x"].clone().requires_grad_()
    states, state = [], None
    for x_t in x.split(1):
        _, state = scan(neuron, x_t, state=state)
        states.append(state)
    z, u, v = (torch.stack(values) for values in zip(*states, strict=True))
    for name, ours in (("z", z), ("u_real", u), ("u_imag", v)):
        agrees(name, ours, arrays[name])
    loss = (arrays["coef_z"] * z).sum() + (0.3 * u + 0.7 * v).sum()
    agrees("loss", loss, arrays["loss"])
    loss.backward()
    agrees("grad_x", x.grad, arrays["grad_x"], gradient=True)
    agrees("grad_b", neuron.b_offset.grad, arrays["grad_b"], gradient=True)
    agrees("grad_omega", neuron.omega.grad, arrays["grad_omega"], gradient=True)


# --- spike functions ----------------------------------------------------------------------------

SPIKES: dict[str, Callable[[Tensor], Tensor]] = {
    "step_gaussian": surrogates.gaussian,
    "step_linear": surrogates.linear,
    "step_exp": surrogates.exponential,
    "step_double_gaussian": surrogates.double_gaussian,
    "step_multi_gaussian": surrogates.multi_gaussian,
    "fgi_double_gaussian": partial(
        forward_gradient_injection, surrogate=surrogates.double_gaussian
    ),
}
VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "gaussian_mu0_s1": partial(normal_density, mu=0.0, sigma=1.0),
    "gaussian_mu05_s3": partial(normal_density, mu=0.5, sigma=3.0),
    "exp_decay": surrogates.exponential.derivative,
    "step": surrogates.double_gaussian,
    **{f"quantize_f{f}": partial(quantise, fraction_bits=f) for f in (1, 2, 4, 8, 16, 32, 52)},
}
#: Helpers that the authors' own neurons never call; the project does not have them.
LEFT_OUT = {
    "double_gaussian_standalone",
    "gaussian_unnorm_mu05_s3",
    "linear_peak",
    "linear_peak_antiderivative",
    "std_gaussian",
}


def test_every_recorded_function_is_compared_or_left_out(golden: Golden) -> None:
    compared = {f"{name}_{what}" for name in SPIKES for what in ("forward", "grad")} | set(VALUES)
    for dtype in FLOATS:
        assert set(golden("functional")[dtype]) == compared | LEFT_OUT | {"x", "grad_out"}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", SPIKES)
def test_spike_function(name: str, dtype: str, golden: Golden, agrees: Agrees) -> None:
    arrays = golden("functional")[dtype]
    x = arrays["x"].clone().requires_grad_()
    y = SPIKES[name](x)
    agrees("forward", y, arrays[f"{name}_forward"])
    y.backward(arrays["grad_out"])
    agrees("grad", x.grad, arrays[f"{name}_grad"], gradient=True)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", VALUES)
def test_function(name: str, dtype: str, golden: Golden) -> None:
    arrays = golden("functional")[dtype]
    theirs = arrays[name].to(FLOATS[dtype])  # their step is float32 in a float64 run too
    # Exact, but for exp and the float32 sqrt(2 pi) of the recorded Gaussians.
    tolerance = 1e-6 if name.startswith(("gaussian", "exp")) else 0.0
    torch.testing.assert_close(VALUES[name](arrays["x"]), theirs, rtol=tolerance, atol=0.0)


def test_infinite_and_undefined_distances_to_threshold(golden: Golden) -> None:
    arrays = golden("functional")[""]
    x = arrays["special_in"]
    for surrogate in SURROGATES.values():
        assert torch.equal(surrogate(x), arrays["special_autograd_forward"])
    assert arrays["special_fgi_forward"].isnan().all()
    assert forward_gradient_injection(x, surrogates.double_gaussian).isnan().all()


@pytest.mark.parametrize(
    ("omega", "boundary", "dt"),
    [("omega", "p_omega_dt001", 0.01), ("omega_for_dt0004", "p_omega_dt0004", 0.004)],
)
def test_divergence_boundary(
    omega: str, boundary: str, dt: float, golden: Golden, agrees: Agrees
) -> None:
    arrays = golden("functional")[""]
    agrees(boundary, divergence_boundary(arrays[omega], dt), arrays[boundary])


# --- pruning ------------------------------------------------------------------------------------


class Fed(NamedTuple):
    spike: Tensor


class Wire(Neuron):
    """Its output is its current, which makes the layer around it a plain linear map."""

    State = Fed

    def coefficients(self) -> None:
        return None

    def step(self, coefficients: None, state: Fed, current: Tensor) -> tuple[Fed, Tensor]:
        return Fed(current), current


def test_pruned_recurrent_weights(golden: Golden, agrees: Agrees) -> None:
    arrays = golden("linear_mask")[""]
    inputs = int(arrays["lbd"])
    layer = Layer(inputs, Wire(6), recurrent=True, bias=True, mask_probability=0.5)
    assert layer.recurrent_weight is not None
    assert layer.recurrent_mask is not None
    with torch.no_grad():
        layer.input_weight.copy_(arrays["weight_at_init"][:, :inputs])
        layer.recurrent_weight.copy_(arrays["weight_at_init"][:, inputs:])
        layer.recurrent_mask.copy_(arrays["mask"][:, inputs:])
        layer.bias.copy_(arrays["bias_before"])

    def joint_weight() -> Tensor:
        assert layer.recurrent_weight is not None
        return torch.cat([layer.input_weight, layer.recurrent_weight], 1).detach()

    x = arrays["x"].clone().requires_grad_()

    def forward() -> Tensor:
        y = layer(x[None, :, :inputs], Fed(x[:, inputs:])).output_TBH
        return y[0]

    y = forward()
    agrees("y", y, arrays["y"])
    agrees("pruned", joint_weight(), arrays["weight_after_forward"])
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    (arrays["coef_y"] * y).sum().backward()
    gradient = arrays["grad_weight"]
    agrees("grad W", layer.input_weight.grad, gradient[:, :inputs], gradient=True)
    agrees("grad V", layer.recurrent_weight.grad, gradient[:, inputs:], gradient=True)
    agrees("grad_bias", layer.bias.grad, arrays["grad_bias"], gradient=True)
    agrees("grad_x", x.grad, arrays["grad_x"], gradient=True)

    optimiser.step()
    agrees("after the step", joint_weight(), arrays["weight_after_sgd_step_lr01"])
    agrees("second y", forward(), arrays["y_second_forward"])
    agrees("pruned again", joint_weight(), arrays["weight_after_second_forward"])
