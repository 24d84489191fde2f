"""A current that nobody needs any more gives its memory to the output."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from core.layers import Layer
from core.neurons import LIF, BalancedLIF, Neuron
from core.scan import scan
from core.scan.cpu import launch

CASES: dict[str, tuple[type[Neuron], dict[str, Any]]] = {
    "alone": (LIF, {}),
    "recurrent": (LIF, {"recurrent_weight": 5.0 * torch.eye(37).roll(1, 0)}),
    "of a row": (BalancedLIF, {"pathways": {"trace": torch.eye(37)}}),
}


def current() -> Tensor:
    return 20.0 * torch.randn(70, 11, 37, generator=torch.Generator().manual_seed(0))


def spent(x_TBN: Tensor, neuron: Neuron, given: dict[str, Any], *, spend: bool = True) -> Tensor:
    return scan(neuron, x_TBN, backend="cpu", spend_current=spend, **given)[0]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_output_is_the_same_in_the_memory_of_the_current(
    name: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "LARGE", 0 if stream else 1 << 60)
    kind, given = CASES[name]
    torch.manual_seed(0)
    neuron = kind(37, firing="single_published") if kind is BalancedLIF else kind(37)
    x_TBN, kept = 100.0 * current(), 100.0 * current()
    with torch.no_grad():
        expected = spent(kept, neuron, given, spend=False)
        found = spent(x_TBN, neuron, given)
        looped = scan(neuron, kept, backend="reference", **given)[0]
    assert torch.equal(kept, 100.0 * current())
    assert torch.equal(found, expected)
    assert torch.equal(found, looped)
    assert found.any()
    assert found.data_ptr() == x_TBN.data_ptr() != expected.data_ptr()


@pytest.mark.parametrize("of", ["current", "neuron", "weight", "state"])
def test_a_current_that_a_gradient_asks_for_stays(of: str) -> None:
    torch.manual_seed(0)
    neuron, x_TBN = LIF(37), current()
    for parameter in neuron.parameters():
        parameter.requires_grad_(of == "neuron")
    x_TBN.requires_grad_(of == "current")
    given: dict[str, Any] = {"recurrent_weight": torch.eye(37).requires_grad_(of == "weight")}
    start = neuron.initial_state(11)
    given["state"] = type(start)(*[f.clone().requires_grad_(of == "state") for f in start])
    output = spent(x_TBN, neuron, given)
    assert output.requires_grad
    assert torch.equal(x_TBN, current())
    output.sum().backward()


def test_a_current_with_holes_stays() -> None:
    neuron, wide = LIF(37), torch.randn(70, 11, 60)
    before = wide.clone()
    with torch.no_grad():
        spent(wide[..., :37], neuron, {})
        spent(torch.ones(1, 1, 37).expand(70, 11, 37), neuron, {})
    assert torch.equal(wide, before)


def test_without_gradients_nothing_is_kept_for_a_way_back() -> None:
    weight = torch.eye(37).requires_grad_()
    neuron = BalancedLIF(37)
    with torch.no_grad():
        output, _ = scan(neuron, current(), pathways={"trace": weight}, backend="cpu")
    assert not output.requires_grad
    again, _ = scan(neuron, current(), pathways={"trace": weight}, backend="cpu")
    assert torch.equal(output, again.detach())


def test_a_layer_spends_its_own_current_and_never_its_input() -> None:
    torch.manual_seed(0)
    layer, x_TBI = Layer(37, LIF(37), recurrent=True), current()
    trained = layer(x_TBI).output_TBH
    with torch.no_grad():
        evaluated = layer(x_TBI).output_TBH
    assert torch.equal(trained.detach(), evaluated)
    assert torch.equal(x_TBI, current())
