"""Whole networks against arrays made with the authors' code: forwards, gradients, four updates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core.losses import firing_rate_penalty
from core.paper import count_parameters
from core.spoken.networks import ANN, NON_SPIKING
from silif import activity
from silif.models import SNN, SPIKING
from silif.published import NAMES

from .arrays import FOLDER, close, golden, part
from .parity import (
    BACKENDS,
    check_buffers,
    check_gradients,
    names,
    options_of,
    seeded,
    states_of,
    tensors_before,
    time_first,
)

NETWORKS = names("net_*", "S4D")
OTHERS = names("ann_*")
COUNTED = {"shd": (140, 20), "ssc": (140, 35), "gsc": (40, 35)}


class GivenMask(nn.Module):
    """Dropout with a recorded mask ``[B, T, N]``."""

    def __init__(self, keep_BTN: Tensor, chance: float) -> None:
        super().__init__()
        self.scale_TBN = time_first(keep_BTN.float()) / (1.0 - chance)

    def forward(self, x_TBN: Tensor) -> Tensor:
        return x_TBN * self.scale_TBN


def network_of(name: str, backend: str) -> SNN:
    arrays = golden(name)
    tensors, sizes = tensors_before(arrays), arrays["layer_sizes"].tolist()
    options: dict[str, Any] = options_of(tensors, "snn.0.")
    options["use_bias"] = options.pop("bias")
    options["bidirectional"] = tensors["snn.1.W.weight"].shape[1] == 2 * sizes[0]
    network = SNN(arrays["x"].shape, sizes, name.split("_")[1], backend=backend, **options)
    network.load_state_dict(NAMES.from_published(tensors))
    for i, layer in enumerate(network.snn):
        if (keep := arrays.get(f"dropout_keep/snn.{i}")) is not None:
            layer.drop = GivenMask(keep, float(arrays["dropout"]))
    return network.train(bool(arrays["train_mode"]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str, backend: str) -> None:
    arrays, network = golden(name), network_of(name, backend)
    x = arrays["x"].clone().requires_grad_()
    state = states_of(network.snn, arrays, "init")
    output, active = activity.run(network.snn, time_first(x), state)
    for i, (spikes, after) in enumerate(zip(output.spikes_TBN, active[1:], strict=True)):
        assert torch.equal(time_first(spikes), arrays[f"spikes_before_dropout/snn.{i}"])
        close(f"after dropout {i}", time_first(after), arrays[f"spikes_after_dropout/snn.{i}"])
    close("y", output.y, arrays["out"])
    rates = activity.firing_rates(active)
    close("firing rates", rates, arrays["firing_rates"])
    operations = activity.synaptic_operations(active, network.layer_sizes).mean()
    assert float(operations) == float(arrays["sop"])
    check_buffers(network, part(arrays, "buffer_after/"))
    penalty = firing_rate_penalty(rates, minimum=0.01, maximum=0.5)
    close("penalty", penalty, arrays["reg_quiet"] + arrays["reg_burst"])
    loss = cross_entropy(output.y, arrays["labels"])
    close("loss", loss, arrays["loss"])
    close("total", loss + 0.5 * penalty, arrays["total_loss_reg0p5"])
    loss.backward()
    close("gradient of x", x.grad, arrays["grad/x"])
    check_gradients(network, NAMES.from_published(part(arrays, "grad/param/")))


@pytest.mark.parametrize("name", [name for name in NETWORKS if "dropout" not in name])
def test_seed_gives_states_in_the_authors_order(name: str) -> None:
    """One call batch first: u, w and s layer by layer, the readout's u last."""
    arrays, network = golden(name), network_of(name, "auto")
    seeded(arrays)
    y_BC, rates, operations = network(arrays["x"])
    close("y", y_BC, arrays["out"])
    close("firing rates", rates, arrays["firing_rates"])
    assert operations == float(arrays["sop"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["SiLIF", "CSiLIF"])
def test_four_updates(kind: str, backend: str) -> None:
    arrays = golden(f"adam_steps_{kind}")
    sizes = arrays["layer_sizes"].tolist()
    network = SNN(arrays["step1/x"].shape, sizes, kind, backend=backend)
    network.load_state_dict(NAMES.from_published(part(arrays, "state0/")))
    optimizer = torch.optim.Adam(network.parameters(), lr=float(arrays["lr"]))
    for k in (1, 2, 3, 4):
        state = states_of(network.snn, arrays, f"step{k}/init")
        output, active = activity.run(network.snn, time_first(arrays[f"step{k}/x"]), state)
        close(f"y {k}", output.y, arrays[f"step{k}/out"])
        operations = activity.synaptic_operations(active, sizes).mean()
        assert float(operations) == float(arrays[f"step{k}/sop"])
        close("rate", activity.firing_rates(active).mean(), arrays[f"step{k}/mean_rate"])
        loss = cross_entropy(output.y, arrays[f"step{k}/labels"])
        close(f"loss {k}", loss, arrays[f"step{k}/loss"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after, recorded = NAMES.to_published(network.state_dict()), part(arrays, f"state{k}/")
        assert set(after) == set(recorded)
        for name, value in recorded.items():
            torch.testing.assert_close(after[name], value, rtol=0.0, atol=2e-5, msg=name)


@pytest.mark.parametrize("kind", SPIKING)
def test_seed_gives_the_authors_network(kind: str) -> None:
    """To the bit, but for orthogonal matrices, which LAPACK rounds as the processor has it."""
    arrays = golden(f"init_{kind}")
    torch.manual_seed(int(arrays["seed"]))
    network = SNN((1, None, 6), [5, 5, 3], kind, extra_features={"dt_min": 0.01, "dt_max": 0.5})
    ours = NAMES.to_published(network.state_dict())
    recorded = {name: tensor for name, tensor in arrays.items() if name.startswith("snn.")}
    assert set(ours) == set(recorded)
    for name, tensor in recorded.items():
        if name.endswith("V.weight"):
            torch.testing.assert_close(ours[name], tensor, rtol=0.0, atol=1e-5)
        else:
            assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("name", OTHERS)
def test_network_without_spikes(name: str) -> None:
    arrays = golden(name)
    tensors, sizes = tensors_before(arrays), arrays["layer_sizes"].tolist()
    bidirectional = bool(arrays["bidirectional"])
    kind = name.removeprefix("ann_")
    network = ANN(arrays["x"].shape, sizes, kind, use_bias=True, bidirectional=bidirectional)
    network.load_state_dict(tensors)
    x = arrays["x"].clone().requires_grad_()
    y, rates = network(x)
    assert rates is None
    close("y", y, arrays["out"], 1e-4)
    check_buffers(network, part(arrays, "buffer_after/"))
    loss = cross_entropy(y, arrays["labels"])
    close("loss", loss, arrays["loss"], 1e-4)
    loss.backward()
    close("gradient of x", x.grad, arrays["grad/x"], 1e-4)
    ours = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    theirs = part(arrays, "grad/param/")
    assert set(ours) == set(theirs)
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    # The batch norm of three almost equal samples enlarges roundings: in double precision theirs
    # are off by as much. Before batch norm, the gradient of a bias is rounding alone.
    for key, gradient in theirs.items():
        torch.testing.assert_close(ours[key], gradient, rtol=0.0, atol=1e-3 * largest, msg=key)


def test_every_kind_without_spikes_is_recorded() -> None:
    assert {name.removeprefix("ann_") for name in OTHERS} == set(NON_SPIKING)


def test_parameter_counts() -> None:
    import numpy as np

    with np.load(FOLDER / "param_counts.npz", allow_pickle=False) as arrays:
        recorded = [
            (str(name).split("/"), int(count), int(buffers))
            for name, count, buffers in zip(
                arrays["names"], arrays["n_params"], arrays["n_torch_buffers"], strict=True
            )
        ]
    checked = 0
    with torch.device("meta"):  # shapes without numbers
        for (kind, dataset, size), count, buffers in recorded:
            if kind not in SPIKING:
                continue
            inputs, classes = COUNTED[dataset]
            hiddens = int(size.removeprefix("h"))
            network = SNN((1, None, inputs), [hiddens, hiddens, classes], kind)
            assert count_parameters(network) == count, (kind, dataset, size)
            assert sum(b.numel() for b in network.buffers()) == buffers
            checked += 1
    assert checked == 72


def test_operations_of_an_example() -> None:
    """3 values of the input reach 4 neurons, 2 spikes 5, 1 spike 2."""
    active = [torch.zeros(2, 1, size) for size in (3, 4, 5)]
    active[0][0, 0, :2], active[0][1, 0, 2] = 1.0, 3.0
    active[1][0, 0, 0] = active[1][1, 0, 3] = 1.0
    active[2][1, 0, 4] = 1.0
    assert activity.synaptic_operations(active, [4, 5, 2]).tolist() == [24.0]


@pytest.mark.parametrize("kind", ["SiLIF", "CSiLIF"])
def test_bidirectional_layers_fit(kind: str) -> None:
    """The authors' layers of these kinds ignore it, and the next one does not fit."""
    network = SNN((2, None, 6), [5, 4, 3], kind, bidirectional=True)
    y_BC, rates, _ = network(torch.rand(2, 7, 6))
    assert y_BC.shape == (2, 3)
    assert len(rates) == 6 + 10 + 8


def test_stored_parameters_stay_outside_of_their_intervals() -> None:
    network = SNN((2, None, 6), [5, 4, 3], "CadLIF")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "neuron" in name:
                parameter.add_(2.0)
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    network(torch.rand(2, 7, 6))
    assert all(torch.equal(before[name], p) for name, p in network.named_parameters())
    assert all(torch.isfinite(network(torch.rand(2, 7, 6))[0]).flatten())
