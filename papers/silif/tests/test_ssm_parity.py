"""State space models against arrays made with the authors' code, in single precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from core.errors import UserError
from core.layers import Network
from silif import activity
from silif.s4d import S4D, S4DKernel
from silif.sdn import SDN, SS4DNeuron, make_neuron, published_predictor
from silif.ssm import SSMType, build_ssm

from .arrays import close, golden, need, part


def test_kernel() -> None:
    arrays = golden("s4d_kernel")
    kernel = S4DKernel(4, 8, dt_max=0.1)
    kernel.load_state_dict(part(arrays, "param/"))
    K_HT = kernel(17)
    close("K", K_HT, arrays["K"])
    K_HT.backward(arrays["cot"])
    for name, parameter in kernel.named_parameters():
        close(name, parameter.grad, arrays[f"grad/param/{name}"])


def test_module() -> None:
    arrays = golden("s4d_module")
    module = S4D(4, state_size=8, dt_max=0.1, dropout=0.0)
    module.load_state_dict(part(arrays, "param/"))
    u_BTH = arrays["u"].clone().requires_grad_()
    output_BHT, _ = module(u_BTH.transpose(1, 2))
    close("output", output_BHT.transpose(1, 2), arrays["out"])
    output_BHT.transpose(1, 2).backward(arrays["cot"])
    close("gradient of u", u_BTH.grad, arrays["grad/u"])
    for name, parameter in module.named_parameters():
        close(name, parameter.grad, arrays[f"grad/param/{name}"])


@pytest.mark.parametrize("kind", ["sdn", "bptt", "sltt"])
def test_neurons(kind: SS4DNeuron) -> None:
    arrays = golden("ss4d_neurons")
    if kind == "sdn":
        need("sdn_predictor")
    x_BHT = arrays["x"].clone().requires_grad_()
    neuron = make_neuron(kind, x_BHT.shape[1])
    spikes_BHT = neuron(x_BHT)
    assert torch.equal(spikes_BHT, arrays[f"{kind}/out"])
    spikes_BHT.backward(arrays["cot"])
    close("gradient", x_BHT.grad, arrays[f"{kind}/grad_x"])
    if isinstance(neuron, SDN):
        close("prediction", neuron.model(x_BHT), arrays["sdn/pred_mem"])


def network(name: str) -> Network:
    arrays = golden(name)
    *hidden, classes = arrays["layer_sizes"].tolist()
    model_type: SSMType = "SS4D" if "SS4D" in name else "S4D"
    if model_type == "SS4D":
        need("sdn_predictor")
    made = build_ssm(
        model_type,
        arrays["x"].shape[2],
        hidden,
        classes,
        normalization="layernorm" if "layernorm" in name else "batchnorm",
        state_size=8,
    )
    given = {**part(arrays, "param/snn."), **part(arrays, "buffer_before/snn.")}
    missing, unexpected = made.load_state_dict(given, strict=False)
    assert all(".neuron.model." in key for key in missing)  # the predictor's, not repeated there
    assert unexpected == []
    return made


@pytest.mark.parametrize("name", ["net_S4D_batchnorm", "net_S4D_layernorm", "net_SS4D_bn_train"])
def test_network(name: str) -> None:
    arrays, made = golden(name), network(name)
    x_BTI = arrays["x"].clone().requires_grad_()
    output, activities = activity.run(made, x_BTI.transpose(0, 1))
    close("scores", output.y, arrays["out"])
    close("firing rates", activity.firing_rates(activities), arrays["firing_rates"])
    operations = activity.synaptic_operations(activities, arrays["layer_sizes"].tolist())
    assert float(operations.mean()) == float(arrays["sop"])
    for i, spikes_TBH in enumerate(output.spikes_TBN):
        assert torch.equal(spikes_TBH.permute(1, 2, 0), arrays[f"spikes/snn.{i}"])

    loss = cross_entropy(output.y, arrays["labels"])
    close("loss", loss, arrays["loss"])
    loss.backward()
    close("gradient of x", x_BTI.grad, arrays["grad/x"])
    gradients = part(arrays, "grad/param/snn.")
    trained = {n: p for n, p in made.named_parameters() if p.requires_grad}
    assert set(trained) == set(gradients)
    for key, parameter in trained.items():
        unused = torch.zeros_like(parameter) if "out_norm" in key else None
        close(key, parameter.grad if unused is None else unused, gradients[key])
    for key, value in part(arrays, "buffer_after/snn.").items():
        close(key, made.get_buffer(key), value)


def test_a_seed_gives_the_authors_initial_values() -> None:
    arrays = golden("init_S4D")
    torch.manual_seed(int(arrays["seed"]))
    made = build_ssm("S4D", 6, [5, 5], 3, state_size=4, dt_max=0.5)
    theirs = part(arrays, "snn.")
    ours = made.state_dict()
    assert list(ours) == list(theirs)
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


def test_the_predictor_is_fetched_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNN_DATA", str(tmp_path))
    monkeypatch.delenv("SNN_MIRROR", raising=False)
    published_predictor.cache_clear()
    with pytest.raises(UserError, match=r"core fetch sdn_predictor --from FOLDER") as caught:
        build_ssm("SS4D", 3, [4], 2)
    assert "embedded" not in str(caught.value)
    with torch.device("meta"):  # counted without it
        build_ssm("SS4D", 3, [4], 2)
