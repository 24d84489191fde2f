"""The contract of scan: what every backend does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from core.neurons import ALIF, BRF, LI, LIF, Neuron
from core.scan import BACKENDS, scan
from core.scan.contract import NEURONS, SMOOTH, SPIKING, current_for, recurrent_for


@pytest.fixture(autouse=True)
def _seed_and_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.delenv("SNN_BACKEND", raising=False)


@pytest.fixture(params=[b.name for b in BACKENDS if b.device in (None, "cpu")])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- running ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEURONS)
def test_one_step_is_the_step_of_the_neuron(name: str, backend: str) -> None:
    neuron, current = NEURONS[name](5), current_for(name, 1, 3, 5)
    start = neuron.initial_state(3)
    output, final = scan(neuron, current, state=start, backend=backend)
    state, expected = neuron.step(neuron.coefficients(), start, current[0])
    assert output.shape == (1, 3, 5)
    assert torch.equal(output[0], expected)
    assert isinstance(final, neuron.State)
    assert all(map(torch.equal, final, state))


@pytest.mark.parametrize("name", NEURONS)
def test_given_state_continues_exactly(name: str, backend: str) -> None:
    neuron, current = NEURONS[name](5), current_for(name, 20, 3, 5)
    recurrent = recurrent_for(name, 5)
    parts = []
    state = neuron.initial_state(3)
    whole, final = scan(neuron, current, recurrent_weight=recurrent, state=state, backend=backend)
    for part in current.split(10):
        output, state = scan(neuron, part, recurrent_weight=recurrent, state=state, backend=backend)
        parts.append(output)
    assert torch.equal(torch.cat(parts), whole)
    assert all(map(torch.equal, state, final))
    assert name == "LI" or 0 < whole.sum() < whole.numel()


@pytest.mark.parametrize("name", NEURONS)
def test_empty_batch(name: str, backend: str) -> None:
    neuron = NEURONS[name](5)
    current = torch.zeros(4, 0, 5, requires_grad=True)
    output, final = scan(neuron, current, recurrent_weight=recurrent_for(name, 5), backend=backend)
    assert output.shape == (4, 0, 5)
    assert all(tensor.shape == (0, 5) for tensor in final)
    output.sum().backward()
    assert current.grad is not None
    assert current.grad.shape == (4, 0, 5)


@pytest.mark.parametrize("name", NEURONS)
def test_memory_layout_of_the_input_does_not_matter(name: str, backend: str) -> None:
    neuron, current = NEURONS[name](5), current_for(name, 12, 3, 5)
    batch_first = current.transpose(0, 1).contiguous().transpose(0, 1)
    every_other = torch.stack([current, torch.zeros_like(current)], -1)[..., 0]
    state = neuron.initial_state(3)
    expected, _ = scan(neuron, current, state=state, backend=backend)
    for view in (batch_first, every_other):
        assert not view.is_contiguous()
        assert torch.equal(scan(neuron, view, state=state, backend=backend)[0], expected)


def test_recurrent_weight_maps_from_column_to_row(backend: str) -> None:
    # Neuron 0 is driven, and its spike reaches neuron 2 one step later: V[2, 0].
    neuron = LIF(3, tau_mem=1.0)
    current = torch.zeros(4, 1, 3)
    current[0, 0, 0] = 2.0
    weight = torch.zeros(3, 3)
    weight[2, 0] = 2.0
    spikes, _ = scan(neuron, current, recurrent_weight=weight, backend=backend)
    assert spikes[:, 0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_spike_of_the_given_state_drives_the_first_step(backend: str) -> None:
    neuron = LIF(2, tau_mem=1.0)
    state = neuron.initial_state(1)._replace(spike=torch.tensor([[1.0, 0.0]]))
    weight = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    spikes, _ = scan(
        neuron, torch.zeros(1, 1, 2), recurrent_weight=weight, state=state, backend=backend
    )
    assert spikes.tolist() == [[[0.0, 1.0]]]


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(name: str, dtype: torch.dtype, backend: str) -> None:
    neuron = NEURONS[name](3).to(dtype)
    output, final = scan(neuron, torch.ones(2, 1, 3, dtype=dtype), backend=backend)
    assert {output.dtype, *(tensor.dtype for tensor in final)} == {dtype}


def test_a_further_pathway_starts_at_the_state_of_the_step_before() -> None:
    # Neuron 0 is charged once; its potential, and no spike, drives neuron 1 one step later.
    neuron = LIF(2, tau_mem=1.0)
    keep = float(neuron.coefficients().alpha[0])
    current = torch.zeros(2, 1, 2)
    current[0, 0, 0] = 1.0
    weight = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    spikes, final = scan(neuron, current, pathways={"potential": weight})
    assert spikes.sum() == 0
    assert final.potential[0, 1] == pytest.approx((1 - keep) * 2.0 * (1 - keep))


# --- deleted spikes -----------------------------------------------------------------------------


def test_a_mask_of_ones_changes_nothing(backend: str) -> None:
    neuron, current = BRF(4), current_for("BRF", 20, 2, 4)
    weight = recurrent_for("BRF", 4)
    plain, plain_final = scan(neuron, current, recurrent_weight=weight, backend=backend)
    masked, final = scan(
        neuron,
        current,
        recurrent_weight=weight,
        spike_mask_TBN=torch.ones_like(current),
        backend=backend,
    )
    assert plain.sum() > 0
    assert torch.equal(masked, plain)
    assert all(map(torch.equal, final, plain_final))


def test_a_deleted_spike_leaves_the_neuron_that_made_it_alone(backend: str) -> None:
    neuron, current = BRF(4), current_for("BRF", 20, 2, 4)
    mask = (torch.rand_like(current) > 0.5).float()
    plain, plain_final = scan(neuron, current, backend=backend)
    masked, final = scan(neuron, current, spike_mask_TBN=mask, backend=backend)
    assert 0 < masked.sum() < plain.sum()
    assert torch.equal(masked, plain * mask)
    assert torch.equal(final.spike, masked[-1])
    for field in ("u", "v", "q"):
        assert torch.equal(getattr(final, field), getattr(plain_final, field)), field


def test_a_deleted_spike_drives_neither_recurrence_nor_adaptation(backend: str) -> None:
    neuron = ALIF(2)
    current = torch.zeros(2, 1, 2)
    current[0, 0, 0] = 10.0
    weight = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    mask = torch.ones_like(current)
    mask[0, 0, 0] = 0.0
    for keeps, expected in ((torch.ones_like(mask), 1.0), (mask, 0.0)):
        spikes, final = scan(
            neuron, current, recurrent_weight=weight, spike_mask_TBN=keeps, backend=backend
        )
        assert spikes[0, 0, 0] == expected
        assert spikes[1, 0, 1] == expected
        assert (final.adaptation[0, 0] > 0) == bool(expected)


# --- gradients ----------------------------------------------------------------------------------


class Run(nn.Module):
    """scan as a function of tensors only, for gradcheck."""

    def __init__(self, neuron: Neuron, weight: Tensor | None, mask: Tensor | None) -> None:
        super().__init__()
        self.neuron = neuron
        self.weight = None if weight is None else nn.Parameter(weight)
        self.mask = mask

    def forward(self, current: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        output, final = scan(
            self.neuron,
            current,
            recurrent_weight=self.weight,
            spike_mask_TBN=self.mask,
            state=self.neuron.State(*state),
            backend="reference",
        )
        return (output, *final)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    # With a smooth function in place of the spike, the recorded gradients of input, recurrent
    # weight, initial state and parameters must be the true ones of the whole recursion.
    if name == "LI":
        run = Run(LI(3), None, None)
    else:
        neuron = NEURONS[name](3, surrogate=torch.sigmoid)
        run = Run(neuron, torch.randn(3, 3), (torch.rand(4, 2, 3) > 0.3).double())
    run.double()
    names, parameters = zip(*run.named_parameters(), strict=True)
    state = [torch.rand(2, 3).double().requires_grad_() for _ in run.neuron.State._fields]
    current = torch.randn(4, 2, 3).double().requires_grad_()

    def function(current: Tensor, *rest: Tensor) -> Any:
        values = dict(zip(names, rest[: len(names)], strict=True))
        return functional_call(run, values, (current, *rest[len(names) :]))

    assert ("weight" in names) == (name != "LI")
    assert torch.autograd.gradcheck(function, (current, *parameters, *state))


def test_gradients_add_up_when_a_neuron_runs_twice_in_one_graph(backend: str) -> None:
    neuron, weight = BRF(4), nn.Parameter(50.0 * torch.randn(4, 4))
    current = current_for("BRF", 15, 2, 4)

    def twice(first: Neuron, second: Neuron) -> None:
        spikes, _ = scan(first, current, recurrent_weight=weight, backend=backend)
        _, final = scan(second, 80.0 * spikes, recurrent_weight=weight, backend=backend)
        (final.u + final.q).sum().backward()

    twice(neuron, neuron)
    together = {key: value.grad for key, value in neuron.named_parameters()}
    weight_together = weight.grad

    weight.grad = None
    copies = BRF(4), BRF(4)
    for copy in copies:
        copy.load_state_dict(neuron.state_dict())
    twice(*copies)
    assert weight_together is not None
    torch.testing.assert_close(weight_together, weight.grad)
    for key, gradient in together.items():
        apart = [dict(copy.named_parameters())[key].grad for copy in copies]
        assert all(part is not None and part.abs().max() > 0 for part in apart)
        torch.testing.assert_close(gradient, sum(apart))


def backward_nodes(tensor: Tensor) -> Counter[str]:
    """How many nodes of each kind autograd visits."""
    seen: set[Any] = set()
    stack: list[Any] = [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [before for before, _ in node.next_functions]
    return Counter(type(node).__name__ for node in seen)


@pytest.mark.parametrize("name", SPIKING)
def test_backward_is_linear_in_time(name: str, backend: str) -> None:
    def nodes(steps: int) -> Counter[str]:
        current = current_for(name, steps, 2, 3).requires_grad_()
        output, _ = scan(
            NEURONS[name](3),
            current,
            recurrent_weight=recurrent_for(name, 3),
            spike_mask_TBN=torch.ones_like(current),
            backend=backend,
        )
        return backward_nodes(output.sum())

    four, eight, twelve = nodes(4), nodes(8), nodes(12)
    assert twelve.total() - eight.total() == eight.total() - four.total()
    # The backward of an index writes a whole sequence of zeros: per step, that is quadratic.
    assert not {kind for kind in twelve if "Select" in kind or "Index" in kind}
