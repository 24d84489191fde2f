"""Networks, loss, regulariser, dropout and initial values against arrays of the authors' code."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.neurons import PLIF
from core.paper import count_parameters
from plif.config import LAYERS, Config
from plif.layers import FrozenDropout, SequenceBatchNorm, SpikePool, Voting, neurons_of
from plif.models import EventNet, MnistNet, SpikingNet, Style, build
from plif.objectives import objective, spread_of_tau, vote_loss
from plif.paper import schedule
from plif.sets import empty_task as task_of

GOLDEN = Path(__file__).parent / "golden"
close: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        numbers = {key: arrays[key] for key in arrays.files if arrays[key].dtype.kind != "U"}
        return {key: torch.from_numpy(np.array(values)) for key, values in numbers.items()}


def group(data: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in data.items() if k.startswith(prefix)}


# --- small networks -------------------------------------------------------------------------------


def style(train: str, *, max_pool: bool = True, detach: bool = True) -> Style:
    def neuron(shape: tuple[int, ...]) -> PLIF:
        return PLIF(shape, train=train, detach_reset=detach)  # type: ignore[arg-type]

    return Style(neuron, max_pool, "step", 0.5)


def small(name: str, data: dict[str, Tensor]) -> tuple[SpikingNet, Tensor]:
    """The network in double precision, and its input, time first."""
    x = data["x"].double()
    steps = int(data["T"])
    common: dict[str, Any] = {"channels": int(data["channels"])}
    net: SpikingNet
    if name == "net_static_small":
        hidden = int(data["hidden"])
        net = MnistNet(
            (1, 12, 12), **common, hidden=hidden, classes=10, steps=steps, style=style("layer")
        )
        return net.double(), x[None]
    kind = {
        "net_gesture_small_layerwise": (5, None, 11, style("layer")),
        "net_nmnist_small_lif_avgpool": (2, None, 10, style("nothing", max_pool=False)),
        "net_per_neuron_small": (2, 12, 11, style("neuron")),
    }[name]
    layers, hidden_units, classes, how = kind
    shape = (2, x.shape[3], x.shape[4])
    net = EventNet(shape, **common, layers=layers, hidden=hidden_units, classes=classes, style=how)
    return net.double(), x.transpose(0, 1).contiguous()


@contextmanager
def masks(net: nn.Module, data: dict[str, Tensor], prefix: str) -> Iterator[None]:
    """Dropout draws these masks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, mask in group(data, prefix).items():
            module = net.get_submodule(name)
            assert isinstance(module, FrozenDropout)
            patch.setattr(module, "mask", lambda like, mask=mask: mask)
        yield


@pytest.mark.parametrize(
    "name",
    [
        "net_gesture_small_layerwise",
        "net_nmnist_small_lif_avgpool",
        "net_per_neuron_small",
        "net_static_small",
    ],
)
def test_small_network(name: str) -> None:
    data = golden(name)
    net, x = small(name, data)
    net.load_state_dict(group(data, "param/"))
    steps, labels = int(data["T"]), data["labels"]
    weight = float(data["lambda"]) if "lambda" in data else 0.0

    def penalty(model: nn.Module) -> Tensor:
        return spread_of_tau(model, weight=weight)

    measure = objective(steps, penalty if weight else None)
    net.train()
    with masks(net, data, "mask/"):
        result = measure(net, x, labels)
        counts = net(x).y  # a second forward: buffers are compared after one
    torch.testing.assert_close(result.loss.detach(), data["loss"], **close)
    torch.testing.assert_close(counts.detach(), data["counts"], **close)
    result.loss.backward()
    for key, expected in group(data, "grad/").items():
        torch.testing.assert_close(net.get_parameter(key).grad, expected, **close)

    net.load_state_dict(group(data, "param/"))
    with masks(net, data, "mask/"):
        net(x)
    for key, expected in group(data, "buffer_after/").items():
        torch.testing.assert_close(net.state_dict()[key], expected, **close)
    if "counts_eval_after" in data:
        net.load_state_dict({**net.state_dict(), **group(data, "eval_buffer/")})
        output = net.eval()(x)
        torch.testing.assert_close(output.y, data["counts_eval_after"], **close)
        assert len(output.spikes_TBN) == len(neurons_of(net))


def test_adam_trajectory() -> None:
    data = golden("net_per_neuron_small")
    net, x = small("net_per_neuron_small", data)
    net.load_state_dict(group(data, "param/"))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    measure = objective(5, lambda model: spread_of_tau(model, weight=float(data["lambda"])))
    losses = []
    for step in range(4):
        with masks(net.train(), data, f"step{step}_mask/" if step else "mask/"):
            optimizer.zero_grad()
            loss = measure(net, x, data["labels"]).loss
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
        if step in (0, 3):
            for key, expected in group(data, f"after_adam{step + 1}/").items():
                torch.testing.assert_close(net.get_parameter(key).data, expected, **close)
    torch.testing.assert_close(torch.stack(losses), data["adam_losses"], **close)


def test_statistics_of_the_sequence_are_another_network_in_training_only() -> None:
    data = golden("net_gesture_small_layerwise")
    x = torch.rand(3, 2, 4, 6, 6, dtype=torch.float64)
    step, sequence = SequenceBatchNorm(4).double(), SequenceBatchNorm(4, "sequence").double()
    assert not torch.allclose(step(x), sequence(x))
    assert step.state_dict()["num_batches_tracked"] == 3
    assert sequence.state_dict()["num_batches_tracked"] == 1
    expected = nn.functional.batch_norm(x.flatten(0, 1), None, None, training=True)
    torch.testing.assert_close(sequence(x).flatten(0, 1), expected, rtol=1e-6, atol=1e-5)
    sequence.load_state_dict(step.state_dict())
    assert torch.equal(step.eval()(x), sequence.eval()(x))
    assert data["buffer_after/conv.1.num_batches_tracked"] == 3


# --- full size ------------------------------------------------------------------------------------

FULL = {
    "mnist": ("MNIST", False),
    "cifar10": ("CIFAR10", False),
    "nmnist": ("NMNIST", False),
    "cifar10dvs": ("CIFAR10DVS", False),
    "gesture": ("DVS128Gesture", False),
    "gesture_per_neuron": ("DVS128Gesture", True),
}


def full_config(name: str, **more: Any) -> Config:
    dataset, per_neuron = FULL[name]
    return Config(
        dataset_name=dataset,  # type: ignore[arg-type]
        use_plif=True,
        tau_per_neuron=per_neuron,
        use_max_pool=True,
        **more,
    )


def by_formula(net: nn.Module, seed: int, gains: list[float]) -> None:
    """Weights and buffers as the arrays' README gives them."""
    conv, linear, shift, spread = gains
    state, place = net.state_dict(), 0
    for key, tensor in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        u = np.random.RandomState(seed + place).uniform(-1, 1, size=tuple(tensor.shape))
        place += 1
        if key.endswith("running_mean"):
            u = 0.1 * u
        elif key.endswith("running_var"):
            u = 1 + 0.5 * u
        elif key.endswith(".w"):
            u = spread * u
        elif tensor.dim() == 1:
            u = 1 + 0.2 * u if key.endswith("weight") else shift + 0.1 * u
        elif tensor.dim() == 4:
            u = conv * u * np.sqrt(3 / (tensor.shape[1] * 9))
        else:
            u = linear * u * np.sqrt(3 / tensor.shape[1])
        tensor.copy_(torch.from_numpy(np.asarray(u)))


@pytest.mark.parametrize("name", FULL)
def test_full_size_network(name: str) -> None:
    data = group(golden("net_fullsize_formula_params"), f"{name}/")
    keys = np.load(GOLDEN / "net_fullsize_formula_params.npz")[f"{name}/state_dict_keys"]
    steps, samples = int(data["T"]), int(data["N"])
    config = full_config(name, T=steps)
    task = task_of(config.dataset_name)
    net = build(config, task).double().eval()
    assert list(net.state_dict()) == keys.tolist()
    assert count_parameters(net) == int(data["params"])
    by_formula(net, int(data["seed_base"]), data["gains"].tolist())
    random = np.random.RandomState(int(data["seed_base"]) + 99)
    if config.is_static:
        x = torch.from_numpy(random.normal(0, 1, size=(samples, *task.shape)))[None]
    else:
        frames = random.poisson(0.3, size=(samples, steps, *task.shape))
        x = torch.from_numpy(frames).double().transpose(0, 1).contiguous()
    assert float(x.sum()) == pytest.approx(float(data["x_sum"]), rel=1e-12)
    with torch.no_grad():
        output = net(x)
    torch.testing.assert_close(output.y, data["counts"], **close)
    for spikes_TBN, expected in zip(output.spikes_TBN, group(data, "rate/").values(), strict=True):
        torch.testing.assert_close(spikes_TBN.mean((1, 2)), expected, **close)


def test_parameter_counts() -> None:
    names = {
        "MNISTNet": "MNIST",
        "FashionMNISTNet": "FashionMNIST",
        "Cifar10Net": "CIFAR10",
        "NMNISTNet": "NMNIST",
        "CIFAR10DVSNet": "CIFAR10DVS",
        "DVS128GestureNet": "DVS128Gesture",
    }
    with open(GOLDEN / "param_counts.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row in rows:
        dataset = names[row["network"]]
        config = Config(
            dataset_name=dataset,  # type: ignore[arg-type]
            use_plif=True,
            tau_per_neuron=row["tau"] == "per neuron",
            number_layer=int(row["conv_layers"]) if dataset in LAYERS else None,
        )
        with torch.device("meta"):
            net = build(config, task_of(dataset))
        assert count_parameters(net) == int(row["total_params"])
        w = sum(neuron.w.numel() for neuron in neurons_of(net))
        assert w == int(row["w_params"])


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", range(4))
def test_dropout_with_a_frozen_mask(case: int) -> None:
    data = group(golden("dropout_fixed_mask"), f"c{case}_")
    layer = FrozenDropout(float(data["p"]))
    x = data["x"].clone().requires_grad_()
    torch.manual_seed(int(data["seed"]))
    y = layer(x)
    binarised = bool(data["dropout_spikes"]) and not torch.equal(x, (x != 0).float())
    kept = data["mask_run1"].expand_as(x) if binarised else data["y_run1"]
    assert torch.equal(y.detach(), x.detach() * kept if binarised else kept)
    (y * data["upstream"]).sum().backward()
    if not binarised:
        torch.testing.assert_close(x.grad, data["grad_x_run1"])
    assert torch.equal(layer.mask(x[0].detach()), data["mask_run2"])
    assert layer.eval()(x) is x


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (17, 17)])
def test_pooling_is_pytorchs(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(3, 4, *size, generator=generator) < 0.4).double()
    outcomes = []
    for pool in (SpikePool(), nn.MaxPool2d(2, 2)):
        given = x.clone().requires_grad_()
        pooled = pool(given)
        (pooled * torch.linspace(-1, 2, pooled.numel()).view_as(pooled)).sum().backward()
        outcomes.append((pooled.detach(), given.grad))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*outcomes, strict=True))


def test_votes_and_loss() -> None:
    data = golden("loss_vote_regulariser")
    for case in ("mse0_", "mse1_"):
        part = group(data, case)
        spikes = part["spikes"].double().requires_grad_()
        votes = Voting()(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])
        torch.testing.assert_close(votes.detach(), part["votes"], **close)
        counts = Voting()(spikes.sum(0))
        torch.testing.assert_close(counts.detach(), part["counts"], **close)
        loss = vote_loss(counts, part["labels"], int(part["T"]))
        loss.backward()
        torch.testing.assert_close(loss.detach(), part["loss"], **close)
        torch.testing.assert_close(spikes.grad, part["grad_spikes"], **close)
        assert abs(float(loss.detach()) - float(part["paper_loss_per_step"])) > 0.01


def test_regulariser() -> None:
    data = golden("loss_vote_regulariser")
    net = nn.ModuleList()
    for layer in range(4):
        w = data[f"reg_w{layer}"]
        neuron = PLIF(tuple(w.shape[1:]), train="neuron").double()
        neuron.w.data.copy_(w)
        net.append(neuron)
    value = spread_of_tau(net, weight=float(data["reg_lambda"]))
    torch.testing.assert_close(value.detach(), data["reg_value"], **close)
    value.backward()
    for layer, neuron in enumerate(neurons_of(net)):
        torch.testing.assert_close(neuron.w.grad, data[f"reg_grad_w{layer}"], **close)
    thesis = spread_of_tau(net, weight=1.0, of="var_tau").detach()
    expected = sum((1 + torch.exp(-data[f"reg_w{layer}"])).var() for layer in range(4))
    assert float(thesis) == pytest.approx(float(expected))
    with pytest.raises(ValueError, match="one time constant per neuron"):
        spread_of_tau(nn.ModuleList([PLIF(3)]), weight=0.1)


def test_learning_rates() -> None:
    data = golden("cosine_lr")
    for period in (64, 16):
        expected = data[f"lr_Tmax{period}"]
        optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=float(data["base_lr"]))
        scheduler = schedule(Config(T_max=period), optimizer)
        found = []
        for _ in expected:
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), expected, **close)
    assert expected[16] == 0.0


# --- initial values -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [2020, 1])
def test_initial_values_of_the_whole_network(seed: int) -> None:
    data = group(golden("init_lognormal_tau"), f"net_seed{seed}_")
    config = full_config("gesture_per_neuron", tau_std_dev=0.1)
    torch.manual_seed(seed)
    net = build(config, task_of(config.dataset_name))
    assert count_parameters(net) == int(data["total_params"])
    for layer, neuron in enumerate(neurons_of(net)):
        w = neuron.w.detach().flatten()
        assert w.numel() == int(data["w_numel"][layer])
        torch.testing.assert_close(w[:8], data["w_first8"][layer], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(w[-8:], data["w_last8"][layer], rtol=1e-6, atol=1e-6)
    state = net.state_dict()
    for key, name in (("conv.0.weight", "conv0"), ("fc.2.weight", "fc2")):
        assert torch.equal(state[key].flatten()[:8], data[f"{name}_weight_first8"])
    total = float(spread_of_tau(net, weight=1.0).detach())
    assert total == pytest.approx(float(data["reg_sum_var_float32"]), rel=1e-6)
    if seed == 2020:  # silent networks lose 1/11: the published first losses
        assert 1 / 11 + 0.1 * total == pytest.approx(0.09780152142047882, abs=5e-8)
        assert 1 / 11 + 0.01 * total == pytest.approx(0.09159832447767258, abs=5e-8)


def test_the_thesis_draws_other_time_constants() -> None:
    torch.manual_seed(2020)
    config = full_config("gesture_per_neuron", tau_std_dev=0.1, tau_init="shifted_lognormal")
    net = build(config, task_of(config.dataset_name))
    total = float(spread_of_tau(net, weight=1.0).detach())
    assert total == pytest.approx(0.0680529, abs=1e-6)
