"""Whole networks, losses and the published checkpoints against the authors' code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from brf.models import RecurrentSNN
from brf.objectives import make_objective
from brf.published import convert
from core.checkpoints import load_into
from core.layers import Layer
from core.neurons import ALIF, BRF, HRF, LI, RF, Neuron
from core.paper import count_parameters

Golden = Callable[[str], dict[str, dict[str, Tensor]]]
Agrees = Callable[..., None]

#: Group of networks.npz: neuron, first steps that are skipped, number of last steps kept.
GROUPS: dict[str, tuple[type[Neuron], int, int | None]] = {
    "brf": (BRF, 0, None),
    "brf_bias_subseq": (BRF, 6, None),
    "brf_labellast": (BRF, 0, 3),
    "rf": (RF, 0, None),
    "hrf": (HRF, 0, None),
    "alif": (ALIF, 5, None),
    "alif_labellast": (ALIF, 0, 1),
}
DTYPES = {"f64": torch.float64, "f32": torch.float32}


def parameters(group: dict[str, Tensor], kind: str = "param") -> dict[str, Tensor]:
    return {k.removeprefix(f"{kind}."): v for k, v in group.items() if k.startswith(f"{kind}.")}


def network(group: dict[str, Tensor], neuron: type[Neuron]) -> RecurrentSNN:
    weights = convert(parameters(group), inputs=3, origin="golden")
    bias = "hidden.bias" in weights
    model = RecurrentSNN(3, neuron(10), LI(4), bias=bias).to(group["x"].dtype)
    load_into(model, weights, "golden")
    return model


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GROUPS)
def test_network(name: str, dtype: str, golden: Golden, agrees: Agrees) -> None:
    neuron, skipped, last = GROUPS[name]
    group = golden("networks")[f"{name}_{dtype}"]
    model = network(group, neuron)
    x = group["x"].clone().requires_grad_()
    output = model(x)
    kept = output.potentials_TBC[skipped:] if last is None else output.potentials_TBC[-last:]
    agrees("outputs", kept, group["outputs"])
    assert int(output.spikes_TBH.sum()) == int(group["num_spikes"])
    agrees("readout state", output.state[1].potential, group["final_out_u"])

    if last is None:
        label = make_objective(per_step=False, label_last=False, sub_seq_length=skipped)
        step = make_objective(per_step=True, label_last=False, sub_seq_length=skipped)
        labels, steps = label(model, x, group["y_label"]), step(model, x, group["y_step"])
        agrees("step loss", steps.loss, group["loss_step_sum"])
        assert int(steps.correct) == int(group["correct_step"])
        loss = labels.loss + steps.loss
    else:  # three last steps are no recipe of ours: the sum is taken here
        targets = group["y_label"].expand(last, -1)
        loss = last * torch.nn.functional.cross_entropy(kept.flatten(0, 1), targets.flatten())
        labels = None
    agrees("label loss", labels.loss if labels else loss, group["loss_label_sum"])
    if labels:
        assert int(labels.correct) == int(group["correct_label"])
    loss.backward()
    assert x.grad is not None
    agrees("gradient of x", x.grad, group["grad_x"], gradient=True)
    gradients = convert(parameters(group, "grad"), inputs=3, origin="golden")
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        agrees(f"gradient of {key}", parameter.grad, gradients[key], gradient=True)


def test_last_step_objective(golden: Golden, agrees: Agrees) -> None:
    """``label_last`` of the recipes keeps one step: the golden network keeps one, too."""
    group = golden("networks")["alif_labellast_f64"]
    model = network(group, ALIF)
    result = make_objective(per_step=False, label_last=True)(model, group["x"], group["y_label"])
    agrees("loss", result.loss, group["loss_label_sum"])
    assert int(result.correct) == int(group["correct_label"])
    assert result.spikes is not None
    assert int(result.spikes) == int(group["num_spikes"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_recurrent_layers(dtype: str, golden: Golden, agrees: Agrees) -> None:
    """The authors' DoubleALIFRNN records from one step after the skipped ones."""
    group = golden("networks")[f"double_alif_{dtype}"]
    theirs = parameters(group)
    layers = [Layer(3, ALIF(10), recurrent=True), Layer(10, ALIF(12), recurrent=True)]
    readout = Layer(12, LI(4))
    x = group["x"]
    for number, layer in enumerate(layers, start=1):
        prefix, layer = f"hidden{number}.", layer.to(x.dtype)
        joint, inputs = theirs[f"{prefix}linear.weight"], layer.input_weight.shape[1]
        state = {"input_weight": joint[:, :inputs], "recurrent_weight": joint[:, inputs:]}
        state |= {f"neuron.{k}": theirs[f"{prefix}{k}"] for k in ("tau_mem", "tau_adp")}
        if f"{prefix}linear.bias" in theirs:
            layer.bias = torch.nn.Parameter(theirs[f"{prefix}linear.bias"])
            state["bias"] = theirs[f"{prefix}linear.bias"]
        load_into(layer, state, prefix)
        x = layer(x).output_TBH
    readout = readout.to(x.dtype)
    state = {"input_weight": theirs["out.linear.weight"], "neuron.tau_mem": theirs["out.tau_mem"]}
    if "out.linear.bias" in theirs:
        readout.bias = torch.nn.Parameter(theirs["out.linear.bias"])
        state["bias"] = theirs["out.linear.bias"]
    load_into(readout, state, "out")
    potentials = readout(x).output_TBH
    agrees("outputs", potentials[4 + 1 :], group["outputs"])


def test_parameter_counts() -> None:
    """Paper Table 1: ECG 1734, (P)S-MNIST 68874; with both biases 1776 and 69140."""
    for inputs, hidden, classes, plain, biased in (
        (4, 36, 6, 1734, 1776),
        (1, 256, 10, 68874, 69140),
    ):
        for kind in (BRF, RF, HRF, ALIF):
            for bias, expected in ((False, plain), (True, biased)):
                model = RecurrentSNN(inputs, kind(hidden), LI(classes), bias=bias)
                assert count_parameters(model) == expected
