"""Readout, inherited layers, refit, quantisation and noise against arrays of the authors' code."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
import torch
from torch import Tensor

from bsnn.config import Config
from bsnn.layer import BalancedLayer
from bsnn.models import INHERITED, inherited_neuron
from bsnn.quantisation import noisy, quantised
from bsnn.readout import CroppedReadout
from bsnn.theory import alpha_init, balanced, refitted
from core.layers import SpikingLayer

from .parity import close, golden, layer_names, part, settings

READOUTS = {
    "train": "",
    "fixed": "--fix-w-out --fix-tau-out",
    "balance": "--balance",
    "bn": "--normalization batchnorm",
}


@pytest.mark.parametrize("case", READOUTS)
def test_readout(case: str) -> None:
    data = part(golden("readout"), f"{case}_")
    config = settings(f"{READOUTS[case]} --repeat {int(data['repeat'])}")
    readout = CroppedReadout(7, 4, config, t_crop=int(data["t_crop"]))
    assert readout.neuron.limits == pytest.approx(data["alpha_lim"].tolist())
    readout.load_state_dict(layer_names(part(data, "init_")))
    x_TBI = data["x"].transpose(0, 1).clone().requires_grad_()
    y_BC, _, traces = readout(x_TBI, record=("potential",))
    close("output", y_BC, data["out"], 1e-6)
    shares_TBC = traces["potential"][int(data["t_crop"]) :].softmax(-1)
    torch.testing.assert_close(shares_TBC.sum(0), y_BC)
    (y_BC * data["grad_out"]).sum().backward()
    assert x_TBI.grad is not None
    close("gradient of x", x_TBI.grad.transpose(0, 1), data["grad_x"], 1e-4)
    theirs = layer_names(part(data, "grad_"))
    parameters = dict(readout.named_parameters())
    assert parameters.keys() == theirs.keys() - {"x", "out"}
    for name, parameter in parameters.items():
        close(f"gradient of {name}", parameter.grad, theirs[name], 1e-4)


def test_a_sequence_without_steps_that_count_is_refused() -> None:
    readout = CroppedReadout(7, 4, Config(), t_crop=5)
    with pytest.raises(ValueError, match="counts steps from 5 on, and the sequence has 5"):
        readout(torch.zeros(5, 2, 7))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("spikes", ["multi", "single"])
@pytest.mark.parametrize("kind", INHERITED)
def test_inherited_layer(kind: str, spikes: str, backend: str) -> None:
    data = part(golden("inherited_layers"), f"{kind}_{spikes}_")
    neuron, recurrent = INHERITED[kind]
    config = Config(model=kind, single_spike=spikes == "single")  # type: ignore[arg-type]
    make = partial(inherited_neuron, neuron, config)
    layer = SpikingLayer(6, 8, make, recurrent=recurrent, backend=backend)
    pickle.loads(pickle.dumps(layer))
    layer.load_state_dict(layer_names(part(data, "init_")))
    fields = {"u0": "potential", "w0": "adaptation", "s0": "spike"}
    start = {fields[key]: data[key] for key in fields if key in data}
    x_TBI = data["x"].transpose(0, 1).clone().requires_grad_()
    output = layer(x_TBI, layer.neuron.State(**start)).output_TBH.transpose(0, 1)
    assert torch.equal(output.to(torch.uint8), data["spikes"].to(torch.uint8))
    (output * data["grad_out"]).sum().backward()
    assert x_TBI.grad is not None
    close("gradient of x", x_TBI.grad.transpose(0, 1), data["grad_x"], 1e-4)
    for name, parameter in layer.named_parameters():
        theirs = layer_names(part(data, "grad_"))[name]
        close(f"gradient of {name}", parameter.grad, theirs, 1e-4)


def refit_settings(case: str, **changes: object) -> Config:
    data = golden("refit")
    flags = {"fix_in": "--fix-w-in", "fix_rec": "--fix-w-rec", "none": ""}[case]
    numbers = {key: float(data[key]) for key in ("mu", "nu", "V_scale")}
    repeat = int(data["repeat"])
    return settings(f"--balance {flags}", neurons=7, repeat=repeat, **numbers, **changes)


@pytest.mark.parametrize("case", ["fix_in", "fix_rec", "none"])
def test_refit_as_published(case: str) -> None:
    data = part(golden("refit"), f"{case}_")
    V, theta = refitted(data["W"], data["V_before"], refit_settings(case))
    close("V", V, data["V_after"], 1e-6)
    close("theta", theta, data["v_thresh_after"], 1e-6)
    layer = BalancedLayer(9, refit_settings(case))
    names = {"W": data["W"], "V": data["V_before"], "neuron.threshold": data["v_thresh_before"]}
    layer.load_state_dict({**layer.state_dict(), **names})
    layer.refit()
    close("V of the layer", layer.V, data["V_after"], 1e-6)
    close("theta of the layer", layer.neuron.threshold, data["v_thresh_after"], 1e-6)


@pytest.mark.parametrize("case", ["fix_in", "fix_rec", "none"])
def test_refit_as_the_theory_has_it(case: str) -> None:
    """What is balanced stays as it is; what has moved is balanced again."""
    config = refit_settings(case, refit="theory")
    W = part(golden("refit"), f"{case}_")["W"]
    start = balanced(W, config)
    again = refitted(W, start.V, config)
    close("V", again.V, start.V, 1e-6)
    close("theta", again.theta, start.theta, 1e-5)
    if case == "fix_rec":
        close(
            "V after training", refitted(2 * W, start.V, config).V, balanced(2 * W, config).V, 1e-6
        )


def test_the_balanced_start_takes_its_own_current_back() -> None:
    config = Config(model="RLIF", balance=True, repeat=4)
    W = torch.randn(5, 9)
    V, theta = balanced(W, config)
    taken = -(1 - alpha_init(config)) * V.diagonal()
    torch.testing.assert_close(taken, 2 * theta)


@pytest.mark.parametrize("bits", ["4_2", "8_4", "3_0", "1_0"])
@pytest.mark.parametrize("name", ["mixed", "positive", "negative", "const"])
def test_quantisation(name: str, bits: str) -> None:
    data = golden("quant_gauss")
    ours = quantised(data[f"x_{name}"], int(bits.split("_")[0]))
    close("values", ours, data[f"quant_{name}_{bits}"], 1e-6)


@pytest.mark.parametrize("kind", ["add", "mul"])
def test_noise(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = golden("quant_gauss")
    drawn: Tensor = data["gauss_randn"]
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: drawn.view(shape))
    x_TBN = data["x_mixed"][:, None]  # six steps of one sample
    ours = noisy(x_TBN, float(data["gauss_sigma"]), multiply=kind == "mul")
    close("values", ours[:, 0], data[f"gauss_{kind}"], 1e-6)
