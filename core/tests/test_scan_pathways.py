"""Further recurrent pathways: from a field of the state, through a dense weight of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.errors import UserError
from core.neurons import BRF, AdLIF, BalancedLIF, Neuron
from core.scan import Case, choose, scan
from core.scan.cpu import workers
from core.scan.gpu import backend as gpu

Shape = tuple[int, int, int]
#: Field -> scale of its weight.
SLOW = {"trace": 30.0}


def made(firing: Any, size: int) -> Neuron:
    torch.manual_seed(0)
    return BalancedLIF(size, threshold=0.05, firing=firing).double()


def case(
    neuron: Neuron,
    shape: Shape,
    fields: dict[str, float],
    *,
    recurrent: bool,
    masked: bool = False,
    drive: float = 60.0,
) -> dict[str, Any]:
    """Everything that a scan takes, in double precision: sums run in another order."""
    torch.manual_seed(1)
    size, real = neuron.size, torch.float64
    weights = {
        name: (scale / size**0.5 * torch.randn(size, size, dtype=real)).requires_grad_()
        for name, scale in fields.items()
    }
    start = neuron.initial_state(shape[1])
    state = type(start)(*[(f + 0.1 * torch.rand_like(f)).requires_grad_() for f in start])
    weight = 50.0 / size**0.5 * torch.randn(size, size, dtype=real)
    return {
        "neuron": neuron,
        "current_TBN": (drive * torch.randn(shape, dtype=real)).requires_grad_(),
        "recurrent_weight": weight.requires_grad_() if recurrent else None,
        "spike_mask_TBN": (torch.rand(shape, dtype=real) > 0.2).double() if masked else None,
        "pathways": weights,
        "state": state,
        "record": tuple(fields),
    }


def results(given: dict[str, Any], backend: str, **instead: Any) -> tuple[list[Tensor], ...]:
    """Output, final state and traces; then all gradients that there are."""
    given = {**given, **instead}
    output, final, traces = scan(backend=backend, **given)
    found = [output, *final, *traces.values()]
    torch.manual_seed(2)
    loss = torch.stack([(f * torch.randn_like(f)).sum() for f in found]).sum()
    leaves = [given["current_TBN"], given["recurrent_weight"], *given["pathways"].values()]
    leaves += [*given["state"], *given["neuron"].parameters()]
    wanted = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    return [f.detach() for f in found], list(torch.autograd.grad(loss, wanted))


def assert_alike(given: dict[str, Any], **instead: Any) -> Tensor:
    found, expected = (results(given, backend, **instead) for backend in ("cpu", "reference"))
    assert torch.equal(found[0][0], expected[0][0])
    for a, b in zip((*found[0], *found[1]), (*expected[0], *expected[1]), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9 * float(b.abs().max()))
    return found[0][0]


@pytest.mark.parametrize(
    ("firing", "recurrent", "masked"),
    [
        ("multi", False, False),
        ("multi", True, True),
        ("single_published", True, False),
        ("single_intended", False, True),
    ],
)
def test_a_slow_current_and_all_its_gradients(firing: Any, recurrent: bool, masked: bool) -> None:
    neuron = made(firing, 37)
    spikes = assert_alike(case(neuron, (150, 11, 37), SLOW, recurrent=recurrent, masked=masked))
    assert 0.001 < spikes.mean() < 0.5


@settings(max_examples=20, deadline=None)
@given(
    steps=st.one_of(st.just(1), st.integers(1, 130)),
    batch=st.integers(1, 20),
    size=st.integers(1, 70),
    firing=st.sampled_from(["multi", "single_published"]),
)
def test_any_shape(steps: int, batch: int, size: int, firing: Any) -> None:
    both = firing == "multi"
    given = case(made(firing, size), (steps, batch, size), SLOW, recurrent=both, masked=both)
    assert_alike(given)


def test_several_pathways_from_any_field() -> None:
    torch.manual_seed(0)
    neuron = AdLIF(19).double()
    fields = {"potential": 0.5, "recovery": 0.3}
    fields = {name: fields.get(name, 0.2) for name in neuron.State._fields if name != "spike"}
    assert len(fields) == 2
    assert_alike(case(neuron, (90, 5, 19), fields, recurrent=True, drive=4.0))
    turned = dict(reversed(fields.items()))
    assert_alike(case(neuron, (90, 5, 19), turned, recurrent=False, drive=4.0))


def test_a_fixed_weight_gets_no_gradient_and_costs_no_trace() -> None:
    neuron = made("single_published", 23)
    given = case(neuron, (80, 4, 23), SLOW, recurrent=True)
    fixed = {name: weight.detach() for name, weight in given["pathways"].items()}
    assert_alike(given, pathways=fixed)
    assert_alike(
        given, pathways=fixed, record=(), recurrent_weight=given["recurrent_weight"].detach()
    )
    output, _ = scan(
        neuron, given["current_TBN"].detach(), pathways=fixed, backend="cpu", state=None
    )
    assert output.requires_grad, "of alpha alone"
    output.sum().backward()


def test_single_precision_agrees_to_rounding() -> None:
    neuron = made("multi", 31)
    given = case(neuron, (60, 9, 31), SLOW, recurrent=True)
    neuron.float()
    halved: dict[str, Any] = {
        "current_TBN": given["current_TBN"].detach().float().requires_grad_(),
        "recurrent_weight": given["recurrent_weight"].detach().float(),
        "pathways": {k: v.detach().float().requires_grad_() for k, v in given["pathways"].items()},
        "state": type(given["state"])(*[f.detach().float() for f in given["state"]]),
    }
    found, expected = (results(given, backend, **halved) for backend in ("cpu", "reference"))
    assert torch.equal(found[0][0], expected[0][0])
    for a, b in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * float(b.abs().max()))


def test_the_same_bits_in_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ELEMENTS_PER_THREAD", 1)
    before, found = torch.get_num_threads(), []
    neuron = made("single_published", 33)
    given = case(neuron, (70, 21, 33), SLOW, recurrent=True)
    for threads in (1, 5):
        torch.set_num_threads(threads)
        try:
            outputs, gradients = results(given, "cpu")
        finally:
            torch.set_num_threads(before)
        found.append([*outputs, gradients[0]])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_who_runs_it() -> None:
    neuron, current = BalancedLIF(4), torch.ones(3, 2, 4)
    slow = {"trace": torch.eye(4)}
    assert choose(Case(neuron, current, pathways=slow)).name == "cpu"
    refusal = gpu.not_taken(Case(neuron, current, pathways=slow))
    assert refusal == "it has no further recurrent pathway (trace)"
    with pytest.raises(UserError, match=r"pathway 'trace' is torch\.float64"):
        scan(neuron, current, pathways={"trace": torch.eye(4).double()}, backend="cpu")
    leaf = torch.eye(4).requires_grad_()
    output, _ = scan(BRF(4), 30 * current, pathways={"u": leaf}, backend="cpu")
    (gradient,) = torch.autograd.grad(output.sum(), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="no gradients of gradients"):
        gradient.sum().backward()
    nobody, _ = scan(neuron, current[:, :0], pathways=slow, backend="cpu")
    assert nobody.shape == (3, 0, 4)
