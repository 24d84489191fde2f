"""The nodes beside SpikingJelly's own: equal spikes, states and gradients, in its networks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from core.neurons import LogNormalTau
from core.tap import Onlooker, shown_to
from plif.nodes import LearnableATan, LIFNode, ParametricLIFNode

SHAPE = (3, 4, 4)


class Scans(Onlooker):
    """Counts the scans that a kernel ran."""

    def __init__(self) -> None:
        self.backends: list[str] = []

    def scanned(self, case: Any, given: Any, output_TBN: Tensor, backend: str) -> None:
        self.backends.append(backend)


def lif(module: Any, **options: Any) -> neuron.BaseNode:
    return module(1.7, **options)


def plif(module: Any, **options: Any) -> neuron.BaseNode:
    return module(2.5, **options)


def with_w(shape: tuple[int, ...]) -> Callable[..., neuron.BaseNode]:
    """Theirs with a tensor in place of its parameter, as its users do it."""

    def make(module: Any, **options: Any) -> neuron.BaseNode:
        node = module(2.5, **options)
        generator = torch.Generator().manual_seed(3)
        node.w = nn.Parameter(0.5 * torch.randn(1, *shape, generator=generator))
        return node

    return make


NODES = {
    "LIF": ("LIFNode", LIFNode, lif),
    "per layer": ("ParametricLIFNode", ParametricLIFNode, plif),
    "per neuron": ("ParametricLIFNode", ParametricLIFNode, with_w(SHAPE)),
    "per channel": ("ParametricLIFNode", ParametricLIFNode, with_w((3, 1, 1))),
}
ATAN = {"surrogate_function": surrogate.ATan(alpha=1.6)}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "ATan, detached": {**ATAN, "detach_reset": True},
    "ATan, attached": ATAN,
    "soft": {**ATAN, "v_reset": None},
    "soft, detached": {"v_reset": None, "detach_reset": True},
    "other voltages": {"v_reset": -0.2, "v_threshold": 0.7},
    "input not decayed": {**ATAN, "decay_input": False},
}


def sequences(dtype: torch.dtype, *more: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = more or SHAPE
    return [2.0 * torch.randn(5, 2, *shape, generator=generator, dtype=dtype) for _ in range(2)]


def outcome(node: neuron.BaseNode, dtype: torch.dtype, mode: str) -> dict[str, Tensor]:
    """Two sequences, the second from where the first ended, and all gradients."""
    functional.set_step_mode(node, mode)
    node = node.to(dtype)
    found: dict[str, Tensor] = {}
    inputs = [x.requires_grad_() for x in sequences(dtype)]
    loss = torch.zeros((), dtype=dtype)
    for number, x in enumerate(inputs):
        spikes = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
        found |= {f"spikes {number}": spikes, f"v {number}": node.v}
        weights = torch.linspace(-1.0, 1.0, spikes.numel(), dtype=dtype).view_as(spikes)
        loss = loss + (spikes * weights).sum() + node.v.square().sum()
        if node.store_v_seq:
            found[f"v_seq {number}"] = node.v_seq
            loss = loss + node.v_seq.sum()
    loss.backward()
    found |= {f"gradient of x {n}": x.grad for n, x in enumerate(inputs) if x.grad is not None}
    found |= {f"gradient of {n}": p.grad for n, p in node.named_parameters() if p.grad is not None}
    node.reset()
    assert isinstance(node.v, float)
    assert node.v_seq is None
    return {name: value.detach() for name, value in found.items()}


@pytest.mark.parametrize("mode", ["m", "s"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", NODES)
def test_equal_to_spikingjelly(kind: str, options: str, mode: str) -> None:
    theirs, ours, make = NODES[kind]
    dtype = torch.float64 if options == "ATan, attached" else torch.float32
    settings = {**OPTIONS[options], "store_v_seq": "reset" not in options}
    expected = outcome(make(getattr(neuron, theirs), **settings), dtype, mode)
    scans = Scans()
    with shown_to(scans):
        found = outcome(make(ours, **settings), dtype, mode)
    assert set(scans.backends) == {"cpu"}, (
        "a kernel, or this test compares SpikingJelly with itself"
    )
    assert found.keys() == expected.keys()
    assert 0.05 < float(expected["spikes 0"].mean()) < 0.6
    relative = 1e-9 if dtype == torch.float64 else 2e-5
    for name, value in expected.items():
        if name.startswith("spikes"):
            assert torch.equal(found[name], value), name
        else:
            scale = float(value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=relative, atol=relative * scale)


def test_without_storing_voltages_too() -> None:
    for mode in "ms":
        expected = outcome(plif(neuron.ParametricLIFNode), torch.float32, mode)
        found = outcome(plif(ParametricLIFNode), torch.float32, mode)
        assert torch.equal(found["spikes 1"], expected["spikes 1"])
        assert torch.equal(found["v 1"], expected["v 1"])


@pytest.mark.parametrize("shape", [(), (7,), (2, 3)])
def test_samples_of_any_shape(shape: tuple[int, ...]) -> None:
    x = 2.0 * torch.randn(6, *shape, generator=torch.Generator().manual_seed(1))
    theirs, ours = neuron.ParametricLIFNode(step_mode="m"), ParametricLIFNode(step_mode="m")
    assert torch.equal(ours(x), theirs(x))
    assert ours.v.shape == theirs.v.shape == torch.Size(shape)


def test_another_batch_size_starts_at_rest() -> None:
    theirs, ours = neuron.LIFNode(step_mode="m"), LIFNode(step_mode="m")
    for samples in (2, 3):
        x = 3.0 * torch.randn(4, samples, 5, generator=torch.Generator().manual_seed(samples))
        assert torch.equal(ours(x), theirs(x))
        assert torch.equal(ours.v, theirs.v)


@pytest.mark.parametrize("given", [surrogate.PiecewiseQuadratic(), surrogate.ATan(spiking=False)])
def test_what_the_scan_does_not_know_runs_as_in_spikingjelly(given: nn.Module) -> None:
    options: dict[str, Any] = {"surrogate_function": given, "store_v_seq": True}
    expected = outcome(neuron.ParametricLIFNode(**options), torch.float32, "m")
    scans = Scans()
    with shown_to(scans):
        found = outcome(ParametricLIFNode(**options), torch.float32, "m")
    assert scans.backends == []
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_half_precision_runs_as_in_spikingjelly() -> None:
    x = torch.randn(4, 2, 5).bfloat16()
    spikes = ParametricLIFNode(step_mode="m")(x)
    assert torch.equal(spikes, neuron.ParametricLIFNode(step_mode="m")(x))


# --- in networks ----------------------------------------------------------------------------------


def network(lif_node: type[nn.Module], plif_node: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4)),
        *(plif_node(2.0, surrogate_function=surrogate.ATan(), detach_reset=True),),
        *(layer.MaxPool2d(2), layer.Flatten(), layer.Linear(64, 30)),
        *(
            lif_node(3.0, v_threshold=0.1, surrogate_function=surrogate.ATan()),
            layer.VotingLayer(10),
        ),
    )
    functional.set_step_mode(model, "m")
    return model


def test_replaced_in_a_network() -> None:
    x = 20.0 * torch.rand(6, 3, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([0, 1, 2])
    losses = []
    for nodes in ((neuron.LIFNode, neuron.ParametricLIFNode), (LIFNode, ParametricLIFNode)):
        model = network(*nodes)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        curve = []
        for _ in range(4):
            loss = nn.functional.cross_entropy(model(x).mean(0), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            functional.reset_net(model)
            curve.append(float(loss.detach()))
        losses.append(curve)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][-1] < losses[0][0]


def test_a_node_is_copied_with_its_parameters() -> None:
    node = ParametricLIFNode(step_mode="m")
    x = torch.full((3, 1, 2), 1.5)
    before = node(x)
    node.reset()
    twin = copy.deepcopy(node)
    twin.w.data.fill_(3.0)
    assert isinstance(node, neuron.ParametricLIFNode)
    assert torch.equal(node(x), before)
    assert twin(x).sum() > before.sum()


# --- what SpikingJelly does not have --------------------------------------------------------------


def test_a_trained_slope() -> None:
    node = ParametricLIFNode(surrogate_function=LearnableATan(1.6), step_mode="m")
    assert set(node.state_dict()) == {"w", "surrogate_function.alpha"}
    fixed = ParametricLIFNode(surrogate_function=surrogate.ATan(1.6), step_mode="m")
    (x, _) = sequences(torch.float32)
    found, expected = node(x), fixed(x)
    assert torch.equal(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(node.w.grad, fixed.w.grad, rtol=1e-4, atol=1e-6)
    assert node.surrogate_function.alpha.grad.abs() > 0


def test_time_constants_per_neuron_from_a_distribution() -> None:
    torch.manual_seed(2020)
    node = ParametricLIFNode(LogNormalTau(2.0, 0.1), tau_shape=SHAPE)
    assert node.w.shape == (1, *SHAPE)
    assert 0.05 < float(node.w.detach().std()) < 0.2
    assert ParametricLIFNode(16.0, tau_shape=(3, 1, 1)).w.shape == (1, 3, 1, 1)
    with pytest.raises(ValueError, match="needs tau_shape"):
        ParametricLIFNode(LogNormalTau(2.0, 0.1))
    for kind in (LIFNode, ParametricLIFNode):
        with pytest.raises(ValueError, match="above 1 step, got 1"):
            kind(1.0)


def test_time_constants_of_another_shape_are_refused_by_name() -> None:
    node = ParametricLIFNode(2.0, tau_shape=(3,), step_mode="m")
    with pytest.raises(ValueError, match=r"tau_shape is \(3,\), a sample has the shape \(5,\)"):
        node(torch.rand(4, 2, 5))
    assert node(torch.rand(4, 2, 3)).shape == (4, 2, 3)
    channels = ParametricLIFNode(2.0, tau_shape=(3, 1, 1), step_mode="m")
    assert channels(torch.rand(4, 2, 3, 6, 6)).shape == (4, 2, 3, 6, 6)


def test_a_printed_node_fits_a_line() -> None:
    assert "tau of shape (8, 16, 16) from 2 to 2" in str(
        ParametricLIFNode(2.0, tau_shape=(8, 16, 16))
    )
    assert "tau=2.0" in str(ParametricLIFNode(2.0))
