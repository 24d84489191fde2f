"""Whole networks against arrays made with the authors' code: forwards, gradients, three updates."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core.layers import SpikingLayer
from core.losses import firing_rate_penalty
from core.paper import count_parameters
from core.spoken.networks import ANN, NON_SPIKING
from sparch.models import SNN, SPIKING
from sparch.published import NAMES

from .parity import (
    BACKENDS,
    FOLDER,
    check_buffers,
    check_gradients,
    close,
    config,
    golden,
    names,
    part,
    states_of,
)

SPIKING_NETS = [
    *(f"net_{kind}" for kind in SPIKING),
    "net_RadLIF_bi_ln_bias",
    "net_adLIF_noreadout",
    "net_LIF_4d_input",
    "net_LIF_dropout",
]
OTHER_NETS = [
    *(f"ann_net_{kind}" for kind in NON_SPIKING),
    "ann_net_GRU_bi_ln_bias",
    "ann_net_LiGRU_noreadout",
]


def test_every_recorded_network_is_compared() -> None:
    assert sorted(SPIKING_NETS + OTHER_NETS) == sorted(names("net_*") + names("ann_net_*"))


class GivenMask(nn.Module):
    """Dropout with a recorded mask ``[B, T, N]``, 1 where an output stays."""

    def __init__(self, mask_BTN: Tensor, chance: float) -> None:
        super().__init__()
        self.scale_TBN = mask_BTN.transpose(0, 1) / (1.0 - chance)

    def forward(self, x_TBN: Tensor) -> Tensor:
        return x_TBN * self.scale_TBN if self.training else x_TBN


def network_options(settings: dict[str, Any]) -> dict[str, Any]:
    keys = ("normalization", "use_bias", "bidirectional", "use_readout_layer")
    return {key: settings[key] for key in keys if key in settings}


def spiking_network(name: str, backend: str) -> SNN:
    arrays, settings = golden(name), config(name)
    network = SNN(
        settings["x_shape"],
        settings["layer_sizes"],
        settings["neuron_type"],
        dropout=settings.get("dropout", 0.0),
        backend=backend,
        **network_options(settings),
    ).double()
    network.load_state_dict(NAMES.from_published(part(arrays, "before__")))
    for i, layer in enumerate(network.snn):
        if f"dropmask_{i}" in arrays:
            assert isinstance(layer, SpikingLayer)
            layer.drop = GivenMask(arrays[f"dropmask_{i}"], settings["dropout"])
    return network


def time_first(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(0, 1)


def batch_first(y: Tensor) -> Tensor:
    return y.transpose(0, 1) if y.dim() == 3 else y


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SPIKING_NETS)
def test_spiking_network(name: str, backend: str) -> None:
    arrays, settings = golden(name), config(name)
    network = spiking_network(name, backend)
    x = arrays["x"].clone().requires_grad_()
    output = network.run(time_first(x), states_of(network.snn, arrays, "init_"))
    y, rates = batch_first(output.y), output.firing_rates
    close("y", y, arrays["out"])
    close("firing rates", rates, arrays["firing_rates"])
    for i, hidden in enumerate(output.outputs_TBN):
        close(f"hidden {i}", hidden.transpose(0, 1), arrays[f"hidden_{i}"].double())
        assert set(output.spikes_TBN[i].unique().tolist()) == {0.0, 1.0}
    check_buffers(network, part(arrays, "after__"))
    assert count_parameters(network) == int(arrays["n_params"])

    if "G" in arrays:
        loss = (y * arrays["G"]).sum() + rates.sum()
    else:
        loss = cross_entropy(y, arrays["y"])
        close("cross entropy", loss, arrays["ce"])
        penalty = firing_rate_penalty(
            rates, minimum=settings["reg_fmin"], maximum=settings["reg_fmax"]
        )
        close("penalty", penalty, arrays["reg_quiet"] + arrays["reg_burst"])
        loss = loss + settings["reg_factor"] * penalty
        close("loss", loss, arrays["loss"])
    loss.backward()
    close("gradient of x", x.grad, arrays["grad_x"])
    check_gradients(network, part(arrays, "grad__"))

    network.eval()
    output = network.run(time_first(arrays["x"]), states_of(network.snn, arrays, "eval_init_"))
    close("y in evaluation", batch_first(output.y), arrays["eval_out"])
    close("rates in evaluation", output.firing_rates, arrays["eval_firing_rates"])


@pytest.mark.parametrize("name", OTHER_NETS)
def test_other_network(name: str) -> None:
    arrays, settings = golden(name), config(name)
    network = ANN(
        settings["x_shape"],
        settings["layer_sizes"],
        settings["ann_type"],
        **network_options(settings),
    ).double()
    network.load_state_dict(NAMES.from_published(part(arrays, "before__")))
    x = arrays["x"].clone().requires_grad_()
    y, rates = network(x)
    assert rates is None
    close("y", y, arrays["out"])
    check_buffers(network, part(arrays, "after__"))
    assert count_parameters(network) == int(arrays["n_params"])

    if "G" in arrays:
        loss = (y * arrays["G"]).sum()
    else:
        loss = cross_entropy(y, arrays["y"])
        close("cross entropy", loss, arrays["ce"])
    loss.backward()
    close("gradient of x", x.grad, arrays["grad_x"])
    check_gradients(network, part(arrays, "grad__"))

    network.eval()
    close("y in evaluation", network(arrays["x"])[0], arrays["eval_out"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", SPIKING)
def test_three_updates(kind: str, backend: str) -> None:
    arrays, settings = golden(f"train_{kind}"), config(f"train_{kind}")
    inputs = arrays["step1_x"].shape[2]
    network = SNN((6, None, inputs), settings["layer_sizes"], kind, backend=backend).double()
    network.load_state_dict(NAMES.from_published(part(arrays, "step0__")))
    optimizer = torch.optim.Adam(network.parameters(), lr=settings["lr"])
    for k in (1, 2, 3):
        target = arrays[f"step{k}_y"]
        state = states_of(network.snn, arrays, f"step{k}_init_")
        output = network.run(time_first(arrays[f"step{k}_x"]), state)
        rates = output.firing_rates
        loss = cross_entropy(output.y, target)
        close(f"cross entropy {k}", loss, arrays[f"step{k}_ce"])
        loss = loss + settings["reg_factor"] * firing_rate_penalty(
            rates, minimum=settings["reg_fmin"], maximum=settings["reg_fmax"]
        )
        close(f"loss {k}", loss, arrays[f"step{k}_loss"])
        close(f"rate {k}", rates.mean(), arrays[f"step{k}_rate"])
        accuracy = (output.y.argmax(1) == target).double().mean()
        close(f"accuracy {k}", accuracy, arrays[f"step{k}_acc"].double())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after = NAMES.to_published(network.state_dict())
        recorded = part(arrays, f"step{k}__")
        assert set(after) == set(recorded)
        for name, value in recorded.items():
            close(f"{name} after update {k}", after[name], value, rtol=0.0, atol=1e-7)


@pytest.mark.parametrize("kind", [*SPIKING, *NON_SPIKING])
def test_seed_gives_the_authors_network_and_states(kind: str) -> None:
    arrays, settings = golden(f"seeded_{kind}"), config(f"seeded_{kind}")
    torch.manual_seed(settings["seed_init"])
    build = SNN if kind in SPIKING else ANN
    network = build((4, None, settings["I"]), settings["layer_sizes"], kind)
    recorded = part(arrays, "init__")
    trained = {name for name, _ in network.named_parameters()}
    theirs = NAMES.from_published(recorded)
    assert trained < set(theirs)
    for name in trained:
        ours = network.get_parameter(name)
        if re.search(
            r"\.V[a-z]?\.weight$", name
        ):  # orthogonal: LAPACK rounds as the processor has it
            close(name, ours, theirs[name], rtol=0.0, atol=2e-6)
        else:
            assert torch.equal(ours, theirs[name]), name

    torch.manual_seed(settings["seed_forward"])
    y, rates = network(arrays["x"])
    close("y", y, arrays["out"], rtol=1e-5, atol=1e-5)
    if kind in SPIKING:
        close("firing rates", rates, arrays["firing_rates"], rtol=1e-6)
    # Buffers stand in the file as the forward left them.
    buffers = {name for name, _ in network.named_buffers()}
    assert buffers == set(theirs) - trained
    for name in buffers:
        close(name, network.get_buffer(name), theirs[name], rtol=1e-5, atol=1e-6)


def parameter_counts() -> list[tuple[dict[str, Any], int]]:
    with np.load(FOLDER / "param_counts.npz", allow_pickle=False) as arrays:
        settings = [json.loads(text) for text in arrays["config_json"]]
        return list(zip(settings, arrays["n_params"].tolist(), strict=True))


def test_parameter_counts() -> None:
    recorded = parameter_counts()
    assert len(recorded) == 127
    assert {case["model_type"] for case, _ in recorded} == set(SPIKING) | set(NON_SPIKING)
    with torch.device("meta"):  # shapes without numbers
        for case, count in recorded:
            kind = case["model_type"]
            sizes = [case["nb_hiddens"]] * (case["nb_layers"] - 1) + [case["nb_outputs"]]
            build = SNN if kind in SPIKING else ANN
            options = network_options(case)
            network = build((128, None, case["nb_inputs"]), sizes, kind, **options)
            assert count_parameters(network) == count, case


def test_penalty_on_firing_rates() -> None:
    arrays = golden("regularizer")
    rates = arrays["firing_rates"].clone().requires_grad_()
    bounds = {"minimum": float(arrays["reg_fmin"]), "maximum": float(arrays["reg_fmax"])}
    penalty = firing_rate_penalty(rates, **bounds)
    close("both terms", penalty, arrays["reg_quiet"] + arrays["reg_burst"])
    weighted = arrays["reg_factor"] * penalty
    close("penalty", weighted, arrays["penalty"])
    weighted.backward()
    close("gradient", rates.grad, arrays["grad_firing_rates"])
