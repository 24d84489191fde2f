"""What a step reads, and when: the kernels that run are those of the step as it is now."""

from __future__ import annotations

import copy
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import UserError
from core.neurons import BRF, HRF, LIF, PLIF, Neuron
from core.neurons.leaky import SpikeAndPotential
from core.scan import kinds, scan
from core.surrogates import Surrogate, linear

Step = Callable[[Any, Tensor], Any]


class Free(LIF):
    """A LIF whose threshold, per step, is what a function of the neuron and the current says."""

    def __init__(self, size: int, threshold: Step, **attributes: Any) -> None:
        super().__init__(size, tau_mem=2.0)
        self.threshold = threshold
        vars(self).update(attributes)

    def step(self, coefficients: Any, state: SpikeAndPotential, current: Tensor) -> Any:
        (alpha,) = coefficients
        charged = alpha * state.potential * (1.0 - state.spike) + current
        spike = self.surrogate(charged - self.threshold(self, current))
        return SpikeAndPotential(spike, charged), spike


class Settings:
    value = 0.4


LEVEL = 0.4
TABLE = [0.4]


def by_global(neuron: Any, current: Tensor) -> Any:
    return LEVEL


def numpy_state() -> list[Any]:
    state: Any = np.random.get_state()  # noqa: NPY002
    return [state[1].tolist(), *state[2:]]


def spikes(neuron: Neuron, backend: str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    current = 0.6 * torch.rand(40, 3, neuron.size, generator=generator)
    with torch.no_grad():
        return scan(neuron, current.to(dtype), backend=backend)[0]


def agree(neuron: Neuron) -> float:
    """Spikes of the kernel, which are those of the reference."""
    found = spikes(neuron)
    assert torch.equal(found, spikes(neuron, "reference"))
    return float(found.sum())


def closure() -> tuple[Neuron, Callable[[], None]]:
    level = 0.4

    def change() -> None:
        nonlocal level
        level = 0.9

    return Free(8, lambda neuron, _: level), change


def changed_global() -> None:
    global LEVEL
    LEVEL = 0.9


def settled(neuron: Neuron, change: Callable[[Any], Any]) -> tuple[Neuron, Callable[[], Any]]:
    return neuron, lambda: change(neuron)


def module_and_slope() -> tuple[Neuron, Callable[[], Any]]:
    class Scaled(nn.Module):
        factor = 0.4

        def forward(self, x: Tensor) -> Tensor:
            return 0.0 * x + self.factor

    neuron = Free(8, lambda neuron, x: neuron.get_submodule("part")(x))
    neuron.part = Scaled()
    return neuron, lambda: setattr(neuron.part, "factor", 0.9)


CHANGES: dict[str, Callable[[], tuple[Neuron, Callable[[], Any]]]] = {
    "private attribute": lambda: settled(
        Free(8, lambda n, _: n._level, _level=0.4), lambda n: setattr(n, "_level", 0.9)
    ),
    "item of a list": lambda: settled(
        Free(8, lambda n, _: n.levels[1], levels=[0.0, 0.4]),
        lambda n: n.levels.append(n.levels.pop() + 0.5),
    ),
    "item of a dictionary": lambda: settled(
        Free(8, lambda n, _: n.levels["a"], levels={"a": 0.4}), lambda n: n.levels.update(a=0.9)
    ),
    "object": lambda: settled(
        Free(8, lambda n, _: n.settings.value, settings=Settings()),
        lambda n: setattr(n.settings, "value", 0.9),
    ),
    "array": lambda: settled(
        Free(8, lambda n, _: float(n.levels[0]), levels=np.full(1, 0.4)),
        lambda n: n.levels.fill(0.9),
    ),
    "environment variable": lambda: (
        Free(8, lambda *_: float(os.environ["LEVEL"])),
        lambda: os.environ.update(LEVEL="0.9"),
    ),
    "closure": closure,
    "global": lambda: (Free(8, by_global), changed_global),
    "item of a global": lambda: (Free(8, lambda *_: TABLE[0]), lambda: TABLE.__setitem__(0, 0.9)),
    "training": lambda: settled(
        Free(8, lambda n, _: 0.4 if n.training else 0.9), lambda n: n.eval()
    ),
    "method": lambda: settled(
        Free(8, lambda *_: 0.4), lambda n: setattr(n, "threshold", lambda *_: 0.9)
    ),
    "module": module_and_slope,
}  # fmt: skip


@pytest.fixture
def level(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LEVEL", "0.4")
    monkeypatch.setitem(globals(), "LEVEL", 0.4)
    yield
    TABLE[0] = 0.4


@pytest.mark.parametrize("what", CHANGES)
def test_a_step_reads_what_is_there_now(what: str, level: None) -> None:
    neuron, change = CHANGES[what]()
    before = agree(neuron)
    change()
    after = agree(neuron)
    assert 0 < after < before


class Plain(LIF):
    """Like the package's own by its attributes; what its step reads stands elsewhere."""

    def step(self, coefficients: Any, state: SpikeAndPotential, current: Tensor) -> Any:
        charged = coefficients.alpha * state.potential * (1.0 - state.spike) + current
        spike = self.surrogate(charged - LEVEL)
        return SpikeAndPotential(spike, charged), spike


def test_plain_attributes_alone_prove_nothing(level: None) -> None:
    before = agree(Plain(8, tau_mem=2.0))
    changed_global()
    assert 0 < agree(Plain(8, tau_mem=2.0)) < before


def test_another_instance_has_its_own_values() -> None:
    assert agree(Free(8, lambda n, _: n._level, _level=0.4)) > agree(
        Free(8, lambda n, _: n._level, _level=0.9)
    )
    assert (
        agree(Free(8, lambda n, _: 4.0 / n.size)) / 8
        > agree(Free(4, lambda n, _: 4.0 / n.size)) / 4
    )
    surrogates = [Surrogate("mine", linear.derivative, at_zero=at) for at in (0, 1)]
    zero = torch.zeros(1, 1, 2)
    for at, surrogate in enumerate(surrogates):
        neuron = Free(2, lambda *_: 0.0)
        neuron.surrogate = surrogate
        assert scan(neuron, zero, backend="cpu")[0].sum() == 2 * at


def test_gradients_are_those_of_the_surrogate_as_it_is_now() -> None:
    slope = [1.0]
    steep = Surrogate("mine", lambda x: slope[0] * torch.ones_like(x))
    neuron = LIF(3, surrogate=steep)
    for value in (1.0, 5.0):
        slope[0] = value
        found = []
        for backend in ("cpu", "reference"):
            current = torch.ones(4, 2, 3, requires_grad=True)
            scan(neuron, current, backend=backend)[0].sum().backward()
            found.append(current.grad)
        torch.testing.assert_close(*found)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_step_may_decide_by_precision(dtype: torch.dtype) -> None:
    neuron = Free(8, lambda _, x: 0.9 if x.dtype == torch.float64 else 0.4).to(dtype)
    assert torch.equal(spikes(neuron, "cpu", dtype), spikes(neuron, "reference", dtype))


def test_a_step_may_decide_by_whether_gradients_are_wanted() -> None:
    neuron = Free(8, lambda *_: 0.4 if torch.is_grad_enabled() else 0.9)
    current = 0.6 * torch.rand(40, 3, 8)
    for wanted in (True, False):
        with torch.set_grad_enabled(wanted):
            found, expected = (scan(neuron, current, backend=b)[0] for b in ("cpu", "reference"))
        assert torch.equal(found, expected)
    assert agree(neuron) < float(scan(neuron, current, backend="cpu")[0].sum())


# --- the package's own neurons, whose graphs are kept -------------------------------------------


def test_a_plain_neuron_of_the_package_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    neurons: list[Neuron] = [LIF(3), BRF(3), PLIF(3), PLIF(3, reset=None)]
    first = [kinds.graph_of(neuron, torch.float32, masked=False) for neuron in neurons]
    monkeypatch.delattr(kinds, "trace")
    for neuron, graph in zip(neurons, first, strict=True):
        assert kinds.graph_of(neuron, torch.float32, masked=False) is graph
        assert kinds.graph_of(copy.deepcopy(neuron), torch.float32, masked=False) is graph


def test_equal_steps_have_one_graph() -> None:
    assert kinds.graph_of(BRF(3), torch.float32, masked=False) is kinds.graph_of(
        BRF(300), torch.float32, masked=False
    )
    a, b = (Free(8, lambda n, _: n.level, level=0.4) for _ in range(2))
    assert kinds.graph_of(a, torch.float32, masked=False) is kinds.graph_of(
        b, torch.float32, masked=False
    )


@pytest.mark.parametrize("value", [0.3, -0.0, float("nan")])
def test_constants_are_told_apart_to_the_bit(value: float) -> None:
    graphs = [
        kinds.graph_of(Free(8, lambda n, _: n.level, level=v), torch.float32, masked=False)
        for v in (0.0, value, value)
    ]
    assert graphs[0] is not graphs[1]
    assert graphs[1] is graphs[2]


def test_what_stands_in_the_package_may_change_too(monkeypatch: pytest.MonkeyPatch) -> None:
    neuron = HRF(8, omega=30.0, b_offset=2.0)
    generator = torch.Generator().manual_seed(0)
    current = 300.0 * torch.randn(60, 3, 8, generator=generator)

    def total() -> float:
        with torch.no_grad():
            found, expected = (scan(neuron, current, backend=b)[0] for b in ("cpu", "reference"))
        assert torch.equal(found, expected)
        return float(found.sum())

    before = total()
    # HRF reads it of another class.
    monkeypatch.setattr(BRF, "REFRACTORY_DECAY", 0.1)
    changed = total()
    assert changed != before
    plain = HRF.step
    monkeypatch.setattr(HRF, "step", lambda self, c, s, x: plain(self, c, s, 0.5 * x))
    assert total() < changed
    monkeypatch.undo()
    assert total() == before
    neuron.dt = 0.005
    assert total() != before


def test_code_edited_in_a_running_session_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: LIF, coefficients: Any, state: SpikeAndPotential, current: Tensor) -> Any:
        (alpha,) = coefficients
        charged = alpha * state.potential + current
        spike = self.surrogate(charged - 1.0)
        return self.State(spike, charged - spike), spike

    before = agree(LIF(8, tau_mem=2.0))
    monkeypatch.setattr(LIF.step, "__code__", step.__code__)
    assert agree(LIF(8, tau_mem=2.0)) > before


# --- refused by name ----------------------------------------------------------------------------


def appended(neuron: Any, x: Tensor) -> float:
    neuron.history.append(1.0)
    return 0.4


def counted(neuron: Any, x: Tensor) -> float:
    neuron.count += 1
    return 0.4


KEPT: list[Tensor] = []


def kept(neuron: Any, x: Tensor) -> float:
    KEPT.append(x)
    return 0.4


def buffered(neuron: Any, x: Tensor) -> float:
    neuron.last = x
    return 0.4


REFUSED: dict[str, tuple[Step, str]] = {
    "a branch on a shape": (lambda _, x: 0.4 if x.shape[0] > 2 else 0.9, "reads shape of a tensor"),
    "a size": (lambda _, x: 1.0 / x.numel(), "reads numel of a tensor"),
    "a length": (lambda _, x: 1.0 / len(x), "reads __len__ of a tensor"),
    "whether it has a gradient": (lambda _, x: 1.0 * x.requires_grad, "reads requires_grad of"),
    "values by way of NumPy": (
        lambda n, x: float(n.tau_mem.numpy()[0]),
        "not among its coefficients",
    ),
    "values as a list": (lambda n, x: n.tau_mem.tolist()[0], "reads tolist of a tensor"),
    "a tensor": (lambda n, x: n.tau_mem, "not among its coefficients"),
    "Python's random numbers": (lambda *_: random.random(), "draws random numbers"),
    "NumPy's random numbers": (lambda *_: float(np.random.rand()), "draws random numbers"),  # noqa: NPY002
    "a random branch": (lambda *_: 0.4 if random.random() < 0.99 else 0.9, "draws random numbers"),
    "PyTorch's random numbers": (lambda _, x: torch.rand_like(x), "aten.rand_like"),
    "the clock": (lambda *_: time.perf_counter(), "something else each time"),
    "a counter": (counted, "writes to count of the neuron"),
    "a record of numbers": (appended, "writes to history of the neuron"),
    "a record of tensors": (kept, "keeps tensors somewhere"),
    "a buffer": (buffered, "keeps tensors somewhere"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_traced_is_refused_and_nothing_of_it_stays(what: str) -> None:
    formula, reason = REFUSED[what]
    neuron = Free(4, formula, count=0, history=[])
    neuron.register_buffer("last", None)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    state = random.getstate(), numpy_state(), torch.get_rng_state()
    for _ in range(2):
        with pytest.raises(UserError, match=f"'cpu' cannot run Free here: .*{reason}"):
            scan(neuron, torch.ones(2, 3, 4), backend="cpu")
    assert random.getstate() == state[0]
    assert numpy_state() == state[1]
    assert torch.equal(torch.get_rng_state(), state[2])
    assert (neuron.count, neuron.history, neuron.last) == (0, [], None)


def test_coefficients_that_are_drawn_are_drawn_once() -> None:
    class Noisy(LIF):
        def coefficients(self) -> Any:
            return self.Coefficients(torch.rand(self.size))

    neuron, found = Noisy(8), []
    for backend in ("cpu", "reference"):
        torch.manual_seed(0)
        found.append(torch.cat([spikes(neuron, backend).flatten(), torch.rand(1)]))
    assert torch.equal(*found)


def test_a_refusal_is_not_remembered_where_its_reason_is_gone() -> None:
    neuron = Free(8, lambda _, x: x.cumsum(-1))
    with pytest.raises(UserError, match=r"aten\.cumsum"):
        spikes(neuron)
    neuron.threshold = lambda *_: 0.4
    assert agree(neuron) > 0
