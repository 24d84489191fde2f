"""The robustness variants (rounded constants, deleted spikes) against the authors' code.

A hidden recurrent layer and a leaky readout built from core alone, as the authors' variants are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.layers import Layer
from core.neurons import ALIF, BRF, LI, RF, Neuron
from core.neurons.decay import quantise

Golden = Callable[[str], dict[str, dict[str, Tensor]]]
Agrees = Callable[..., None]

INPUTS, HIDDEN, CLASSES = 3, 10, 4
FLOATS = {"f64": torch.float64, "f32": torch.float32}
NEURONS: dict[str, Callable[..., Neuron]] = {"brf": BRF, "rf": RF, "alif": ALIF}
BITS = {"bp6": 6, "bp10": 10}
DELETION = {"sd00": 0.0, "sd40": 0.4}
VARIANTS = [
    (neuron, variant, dtype)
    for neuron in NEURONS
    for variant in (*BITS, *DELETION)
    for dtype in FLOATS
]


def build(neuron: str, variant: str) -> tuple[Layer, Layer]:
    """Only ALIF rounds inside the hidden neurons; every variant with bits rounds the readout."""
    bits = BITS.get(variant)
    cell = ALIF(HIDDEN, fraction_bits=bits) if neuron == "alif" else NEURONS[neuron](HIDDEN)
    hidden = Layer(INPUTS, cell, recurrent=True, deletion_probability=DELETION.get(variant, 0.0))
    return hidden, Layer(HIDDEN, LI(CLASSES, fraction_bits=bits))


def recorded_gradients(hidden: Layer, out: Layer) -> dict[str, Tensor | None]:
    """Our gradients by the names of the authors' parameters, whose ``W`` and ``V`` are joint."""
    assert hidden.recurrent_weight is not None
    joint = [hidden.input_weight.grad, hidden.recurrent_weight.grad]
    gradients = {
        "hidden.linear.weight": torch.cat([g for g in joint if g is not None], 1),
        "out.linear.weight": out.input_weight.grad,
    }
    for layer, name in ((hidden, "hidden"), (out, "out")):
        for key, parameter in layer.neuron.named_parameters():
            gradients[f"{name}.{key}"] = parameter.grad
    return gradients


def load(hidden: Layer, out: Layer, arrays: dict[str, Tensor]) -> None:
    hidden.to(arrays["x"].dtype)
    out.to(arrays["x"].dtype)
    joint = arrays["param.hidden.linear.weight"]
    state = {"input_weight": joint[:, :INPUTS], "recurrent_weight": joint[:, INPUTS:]}
    for name, _ in hidden.neuron.named_parameters():
        state[f"neuron.{name}"] = arrays[f"param.hidden.{name}"]
    hidden.load_state_dict(state)
    out.load_state_dict(
        {
            "input_weight": arrays["param.out.linear.weight"],
            "neuron.tau_mem": arrays["param.out.tau_mem"],
        }
    )


def test_every_recorded_variant_is_compared(golden: Golden) -> None:
    recorded = {f"{neuron}_{variant}_{dtype}" for neuron, variant, dtype in VARIANTS}
    assert set(golden("networks_variants")) == recorded


@pytest.mark.parametrize(("neuron", "variant", "dtype"), VARIANTS)
def test_variant(neuron: str, variant: str, dtype: str, golden: Golden, agrees: Agrees) -> None:
    arrays = golden("networks_variants")[f"{neuron}_{variant}_{dtype}"]
    hidden, out = build(neuron, variant)
    load(hidden, out, arrays)

    x = arrays["x"].clone().requires_grad_()
    given = quantise(x, BITS[variant]) if variant in BITS else x
    torch.manual_seed(1234)
    spikes, _, state = hidden(given)
    outputs, _, readout = out(spikes)

    agrees("outputs", outputs, arrays["outputs"])
    assert spikes.sum().item() == arrays["num_spikes"].item()
    agrees("readout", readout.potential, arrays["final_out_u"])
    for name, ours in recorded_states(neuron, state).items():
        agrees(name, ours, arrays[name])

    steps = outputs.flatten(0, 1)
    labels = arrays["y_label"].repeat(len(outputs))
    batch = outputs.shape[1]
    label_loss = cross_entropy(steps, labels, reduction="sum") / batch
    step_loss = cross_entropy(steps, arrays["y_step"].flatten(), reduction="sum") / batch
    agrees("loss over labels", label_loss, arrays["loss_label_sum"])
    agrees("loss over steps", step_loss, arrays["loss_step_sum"])

    (label_loss + step_loss).backward()
    agrees("grad_x", x.grad, arrays["grad_x"], gradient=True)
    gradients = recorded_gradients(hidden, out)
    assert {f"grad.{name}" for name in gradients} == {k for k in arrays if k.startswith("grad.")}
    for name, gradient in gradients.items():
        agrees(name, gradient, arrays[f"grad.{name}"], gradient=True)


def recorded_states(neuron: str, state: Any) -> dict[str, Tensor]:
    """z and u and, for ALIF, a."""
    fields = [state.spike, state.potential, state.adaptation] if neuron == "alif" else state[:2]
    return {f"final_hidden_{k}": tensor for k, tensor in enumerate(fields)}
