"""The hidden layer against arrays of the authors' code: spikes equal, currents and gradients."""

from __future__ import annotations

import pytest
import torch

from bsnn.drives import drive_of
from bsnn.layer import BalancedLayer
from core.neurons.balanced import winner_takes_all
from core.surrogates import boxcar

from .parity import BACKENDS, CUBA, FOLDER, close, golden, layer_names, part, settings

CASES = {
    "base": "",
    "single": "--single-spike",
    "lsm": "--single-spike --balance --fix-w-in --fix-w-rec --fix-tau-rec",
    "cuba": CUBA,
    "train_all": "--single-spike --balance",
    "train_all_repeat1": "--single-spike --balance --repeat 1",
    "balance_multispike_trainrec": "--balance",
    "balance_mu_nu_uniform": (
        "--balance --w-in-init uniform --mu 0.02 --nu 0.05 --V-scale 0.7 --single-spike --fix-w-rec"
    ),
    "reset_voltage": "--balance --single-spike --reset voltage",
    "reset_threshold": "--balance --single-spike --reset threshold",
    "slow_trainrec": "--slow-dynamics --V-slow-scale 0.5 --balance --single-spike",
    "quant": "--balance --single-spike --quantize 4.2 --quantize-adc 6.3",
    "bidirectional": "--balance --bidirectional",
    "gauss_add": "--balance --single-spike --gauss 0.5",
}


def test_every_recorded_layer_is_compared() -> None:
    assert {f"rlif_{case}" for case in CASES} == {p.stem for p in FOLDER.glob("rlif_*.npz")}


def loaded(case: str, backend: str) -> BalancedLayer:
    data = golden(f"rlif_{case}")
    repeat = "" if "--repeat" in CASES[case] else " --repeat 4"
    config = settings(CASES[case] + repeat, neurons=10, backend=backend)
    layer = BalancedLayer(data["x"].shape[2], config)
    weights = layer_names(part(data, "init_"))
    layer.load_state_dict({**weights, "neuron.threshold": data["v_thresh"]})
    return layer


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_layer(case: str, backend: str) -> None:
    data = golden(f"rlif_{case}")
    layer = loaded(case, backend)
    x_TBI = data["x"].transpose(0, 1).clone().requires_grad_()
    torch.manual_seed(123)
    output = layer(x_TBI)
    spikes = output.output_TBH.transpose(0, 1)
    assert torch.equal(spikes.to(torch.uint8), data["spikes"])
    (spikes * data["grad_out"]).sum().backward()
    assert x_TBI.grad is not None
    close("gradient of x", x_TBI.grad.transpose(0, 1), data["grad_x"], 1e-4)
    theirs = layer_names(part(data, "grad_"))
    ours = {name: parameter.grad for name, parameter in layer.named_parameters()}
    assert ours.keys() == theirs.keys() - {"out", "x"}
    for name, gradient in ours.items():
        close(f"gradient of {name}", gradient, theirs[name], 1e-4)
    for name, after in layer_names(part(data, "after_")).items():
        close(f"{name} after the call", layer.state_dict()[name], after, 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_potentials_and_currents(case: str) -> None:
    data = golden(f"rlif_{case}")
    layer = loaded(case, "auto")
    x_TBI = data["x"].transpose(0, 1)
    torch.manual_seed(123)
    v_TBH = layer(x_TBI, record=("potential",)).traces["potential"]
    if layer.bidirectional:  # the authors keep reversed sequences as further samples
        onward, reversed_ = v_TBH.chunk(2, dim=2)
        v_TBH = torch.cat([onward, reversed_.flip(0)], dim=1)
    close("v", v_TBH.transpose(0, 1), data["v"], 1e-5)
    drive = drive_of(layer, x_TBI, data["spikes"].transpose(0, 1).to(torch.float32), published=True)
    currents = drive.currents()
    close("I_exc", currents.excitatory.transpose(0, 1), data["I_exc"], 1e-5)
    close("I_inh", currents.inhibitory.transpose(0, 1), data["I_inh"], 1e-5)


@pytest.mark.parametrize("thresholds", ["scalar0", "one", "small", "mixed"])
@pytest.mark.parametrize("kind", ["multi", "published", "intended"])
def test_surrogate(kind: str, thresholds: str) -> None:
    data = golden("surrogate")
    x, threshold = data["x"].clone().requires_grad_(), data[f"v_thresh_{thresholds}"]
    if kind == "multi":
        spikes = boxcar(x - threshold)
    else:
        spikes = winner_takes_all(x, threshold, published=kind == "published")
    name = "multi" if kind == "multi" else "single"
    assert torch.equal(
        spikes.detach().to(torch.uint8), data[f"{name}_{thresholds}_spikes"].to(torch.uint8)
    )
    (spikes * data["grad_out"]).sum().backward()
    gradient = f"{name}_{thresholds}_grad_x"
    if kind == "intended":
        gradient = f"derived_boxcar_at_true_x_{thresholds}"
    assert x.grad is not None
    assert torch.equal(x.grad, data[gradient])
