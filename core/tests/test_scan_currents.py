"""Neurons with several input currents, and pathways that end at any of them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.counting import Counter
from core.errors import UserError
from core.neurons import LIF, Neuron
from core.scan import Case, choose, scan
from core.scan.gpu import backend as gpu
from core.surrogates import boxcar

Shape = tuple[int, int, int]


class Dendrites(NamedTuple):
    basal: Tensor
    apical: Tensor
    shunt: Tensor


class Compartments(Neuron):
    """A soma that a basal current drives, an apical potential that lets it, and a third input.

    a_t = beta a_{t-1} + apical_t
    u_t = alpha (1 - z_{t-1}) u_{t-1} + basal_t (1 + sigma(a_t)) - 0.2 sigma(shunt_t) u_{t-1}
    """

    class State(NamedTuple):
        spike: Tensor
        u: Tensor
        a: Tensor

    class Coefficients(NamedTuple):
        alpha: Tensor
        beta: Tensor

    Currents = Dendrites

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.alpha = nn.Parameter(torch.linspace(0.3, 0.8, size))
        self.beta = nn.Parameter(torch.full((), 0.6))

    def coefficients(self) -> Coefficients:
        return self.Coefficients(self.alpha, self.beta)

    def step(
        self, coefficients: Coefficients, state: State, current: Dendrites
    ) -> tuple[State, Tensor]:
        a = coefficients.beta * state.a + current.apical
        u = coefficients.alpha * (1.0 - state.spike) * state.u
        u = u - 0.2 * torch.sigmoid(current.shunt) * state.u
        u = u + current.basal * (1.0 + torch.sigmoid(a))
        spike = boxcar(u - 1.0)
        return self.State(spike, u, a), spike


class LightGRU(Neuron):
    """No spikes: z_t = sigma(update_t), y_t = z_t y_{t-1} + (1 - z_t) relu(candidate_t)."""

    spiking = False

    class State(NamedTuple):
        y: Tensor

    class Coefficients(NamedTuple):
        one: Tensor

    class Currents(NamedTuple):
        candidate: Tensor
        update: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.add_number("one", 1.0)

    def coefficients(self) -> Coefficients:
        return self.Coefficients(self.get_buffer("one"))

    def step(
        self, coefficients: Coefficients, state: State, current: Currents
    ) -> tuple[State, Tensor]:
        z = torch.sigmoid(current.update)
        y = z * state.y + (coefficients.one - z) * torch.relu(current.candidate)
        return self.State(y), y


#: Pathways of Compartments, by what they test.
PATHWAYS: dict[str, list[Any]] = {
    "none": [],
    "spikes to another current": [("spike", "apical")],
    "one field to all, with and without the name of the first": ["a", ("a", "apical"), "u"],
    "to the last alone": [("u", "shunt")],
}


def case(shape: Shape, pathways: list[Any], *, recurrent: bool, masked: bool) -> dict[str, Any]:
    """Everything that a scan takes, in double precision: sums run in another order."""
    torch.manual_seed(0)
    _, batch, size = shape
    real = torch.float64
    neuron = Compartments(size).double()
    basal, apical = (torch.randn(shape, dtype=real).requires_grad_() for _ in range(2))
    shunt = (0.1 * torch.rand(shape, dtype=real)).requires_grad_()
    start = neuron.initial_state(batch)
    scale = 0.3 / size**0.5
    weights = {p: (scale * torch.randn(size, size, dtype=real)) for p in pathways}
    weight = 2.0 * scale * torch.randn(size, size, dtype=real)
    return {
        "neuron": neuron,
        "current_TBN": Dendrites(basal, apical, shunt),
        "recurrent_weight": weight.requires_grad_() if recurrent else None,
        "spike_mask_TBN": (torch.rand(shape, dtype=real) > 0.2).double() if masked else None,
        "pathways": {p: w.requires_grad_() for p, w in weights.items()},
        "state": type(start)(*[(f + 0.1 * torch.rand_like(f)).requires_grad_() for f in start]),
        "record": ("a",),
    }


def results(given: dict[str, Any], backend: str) -> list[Tensor]:
    """Output, final state, traces and all gradients that there are."""
    output, final, traces = scan(backend=backend, **given)
    found = [output, *final, *traces.values()]
    torch.manual_seed(2)
    loss = torch.stack([(f * torch.randn_like(f)).sum() for f in found]).sum()
    leaves = [*given["current_TBN"], given["recurrent_weight"], *given["pathways"].values()]
    leaves += [*(given["state"] or ()), *given["neuron"].parameters()]
    wanted = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    return [*found, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


def assert_alike(given: dict[str, Any]) -> Tensor:
    found, expected = (results(given, backend) for backend in ("cpu", "reference"))
    for a, b in zip(found, expected, strict=True):
        atol = 1e-9 * max(1.0, float(b.detach().abs().max()))
        torch.testing.assert_close(a, b, rtol=0, atol=atol)
    return found[0].detach()


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("name", PATHWAYS)
def test_all_currents_and_all_gradients(name: str, recurrent: bool) -> None:
    given = case((90, 11, 37), PATHWAYS[name], recurrent=recurrent, masked=recurrent)
    spikes = assert_alike(given)
    assert 0.02 < spikes.mean() < 0.7


@settings(max_examples=15, deadline=None)
@given(
    steps=st.integers(1, 80),
    batch=st.integers(1, 20),
    size=st.integers(1, 40),
    name=st.sampled_from(sorted(PATHWAYS)),
    recurrent=st.booleans(),
)
def test_any_shape(steps: int, batch: int, size: int, name: str, recurrent: bool) -> None:
    assert_alike(case((steps, batch, size), PATHWAYS[name], recurrent=recurrent, masked=False))


@pytest.mark.parametrize("fixed", ["basal", "apical", "shunt"])
def test_a_current_that_wants_no_gradient(fixed: str) -> None:
    given = case((40, 3, 9), [("spike", "apical")], recurrent=False, masked=False)
    currents = given["current_TBN"]
    given["current_TBN"] = currents._replace(**{fixed: getattr(currents, fixed).detach()})
    assert_alike(given)


def test_no_spikes_and_two_recurrent_currents() -> None:
    torch.manual_seed(0)
    neuron, real = LightGRU(23).double(), torch.float64
    weights = [0.2 * torch.randn(23, 23, dtype=real, requires_grad=True) for _ in range(2)]
    currents = [torch.randn(50, 9, 23, dtype=real, requires_grad=True) for _ in range(2)]
    given: dict[str, Any] = {
        "neuron": neuron,
        "current_TBN": LightGRU.Currents(*currents),
        "recurrent_weight": None,
        "pathways": {"y": weights[0].detach(), ("y", "update"): weights[1].detach()},
        "state": None,
        "record": (),
    }
    output = assert_alike(given)
    given["pathways"] = {k: w.clone().requires_grad_() for k, w in given["pathways"].items()}
    assert_alike(given)
    candidate, update = currents
    y = torch.zeros(9, 23, dtype=real)
    for t in range(50):  # the equations, once more
        z = torch.sigmoid(update[t] + y @ weights[1].t())
        y = z * y + (1.0 - z) * torch.relu(candidate[t] + y @ weights[0].t())
        torch.testing.assert_close(output[t], y)


@pytest.mark.filterwarnings("ignore")  # of PyTorch's compiler, as it goes
def test_in_a_compiled_graph_and_an_exported_program() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = Compartments(6)
            self.V = nn.Parameter(0.3 * torch.randn(6, 6))

        def forward(self, basal: Tensor, apical: Tensor, shunt: Tensor) -> Tensor:
            paths = {("spike", "apical"): self.V}
            return scan(self.neuron, Dendrites(basal, apical, shunt), pathways=paths)[0]

    torch.manual_seed(0)
    model = Model()
    inputs = tuple(torch.rand(12, 3, 6, requires_grad=True) for _ in range(3))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    exported = torch.export.export(model, inputs).module()
    found = []
    for run in (model, compiled, exported):
        output = run(*inputs)
        loss = (output * torch.arange(6)).sum()
        found.append([output, *torch.autograd.grad(loss, [*inputs, model.neuron.alpha])])
    assert output.sum() > 0.0
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=0)


def test_synaptic_operations_of_spikes_to_another_current() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = Compartments(5)

        def forward(self, x: Tensor) -> Tensor:
            currents = Dendrites(x, 0.0 * x, 0.0 * x)
            weights = {("spike", "apical"): torch.eye(5), "a": torch.eye(5)}
            return scan(self.neuron, currents, pathways=weights)[0]

    model = Model()
    with Counter(model) as counter:
        spikes = model(2.0 * torch.ones(6, 2, 5))
    (layer,) = counter.counts(samples=2).layers.values()
    sent = int(spikes[:-1].sum())
    assert sent > 0
    assert layer.recurrence.effective == sent + 6 * 2 * 5, "a spike each, and every value of a"


def test_what_does_not_fit() -> None:
    neuron, x = Compartments(4), torch.ones(3, 2, 4)
    all_three = Dendrites(x, x, x)
    for currents, message in (
        (x, "Compartments takes Dendrites(basal=..., apical=..., shunt=...), not a tensor"),
        ((x, x, x), "not tuple"),
        (all_three._replace(apical=x[:2]), "current 'apical' has shape (2, 2, 4), expected"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            scan(neuron, currents)
    with pytest.raises(ValueError, match=r"LIF has one input current: .* not Dendrites"):
        scan(LIF(4), all_three)
    weight = torch.eye(4)
    for pathway, message in (
        (("a", "apicl"), "no pathway can end at 'apicl': .* did you mean 'apical'"),
        (("b", "apical"), "no pathway can start at 'b'"),
        (("spike", "basal"), "the pathway of the spike is recurrent_weight"),
    ):
        with pytest.raises(ValueError, match=message):
            scan(neuron, all_three, pathways={pathway: weight})
    with pytest.raises(UserError, match=r"current 'shunt' is torch\.float64"):
        scan(neuron, all_three._replace(shunt=x.double()), backend="cpu")
    assert choose(Case(neuron, x, further=(x, x))).name == "cpu"
    assert (
        gpu.not_taken(Case(neuron, x, further=(x, x))) == "it takes neurons with one input current"
    )
