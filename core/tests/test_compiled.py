"""Networks inside graphs of ``torch.compile`` and ``torch.export``."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.counting import Counter
from core.errors import UserError
from core.layers import AxonalDelay, Network, SoftmaxSumReadout, SpikingLayer
from core.layers.dropout import dropout
from core.neurons import ALIF, BRF, LIF, PLIF, AdLIF, BalancedLIF, Neuron, Uniform
from core.opaque import uncompiled
from core.projection import linear, linear_weight_gradient
from core.scan import explain, scan, text
from core.scan.cpu import operator
from core.scan.kinds import graph_of
from core.surrogates import boxcar
from core.surrogates import linear as triangle

#: PyTorch's own, of its compiler.
pytestmark = pytest.mark.filterwarnings("ignore")

Results = Sequence[Tensor | None]


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def network(inputs: int = 30, size: int = 96, backend: str = "auto") -> Network:
    torch.manual_seed(0)

    def hidden(before: int) -> SpikingLayer:
        return SpikingLayer(
            *(before, size, lambda n: AdLIF(n, initial="zero")),
            recurrent=True,
            normalization="batchnorm",
            dropout=0.1,
            backend=backend,
        )

    readout = SoftmaxSumReadout(size, 5, normalization="batchnorm", backend=backend)
    return Network([hidden(inputs), hidden(size)], readout)


def spikes(*shape: int) -> Tensor:
    return 4.0 * (torch.rand(shape) < 0.1).float()


def step(model: nn.Module, run: Callable[[Tensor], Any], x: Tensor) -> Results:
    """Outputs, states and gradients of one training step."""
    torch.manual_seed(1)
    model.zero_grad()
    output = run(x)
    weights = torch.linspace(-1.0, 1.0, output.y.numel()).view_as(output.y)
    (output.y * weights).sum().backward()
    state = [field.detach() for state in output.state for field in state]
    return [output.y.detach(), *state, *[p.grad for p in model.parameters()]]


def compiled(run: Callable[..., Any], backend: str = "aot_eager") -> Callable[..., Any]:
    made: Callable[..., Any] = torch.compile(run, backend=backend, fullgraph=True)
    return made


def exactly(ours: Results, theirs: Results) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=0.0)


# --- torch.compile ------------------------------------------------------------------------------


def test_a_training_step_is_one_graph_and_the_same_numbers() -> None:
    model, x = network(), spikes(50, 40, 30)  # large enough for sparse products
    expected = step(model, model, x)
    assert 0.05 < expected[1].mean() < 0.9  # type: ignore[union-attr]
    exactly(step(again := network(), compiled(again), x), expected)
    assert [buffer for buffer in again.buffers()]
    exactly([*again.buffers()], [*model.buffers()])


def test_evaluations_of_several_shapes() -> None:
    model = network().eval()
    run = compiled(model)
    with torch.no_grad():
        for steps, batch in ((50, 8), (50, 3), (50, 5), (70, 5)):
            x = spikes(steps, batch, 30)
            exactly([run(x).y], [model(x).y])


def test_under_autocast_it_is_one_graph_too() -> None:
    model, x = network().eval(), spikes(12, 8, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(compiled(model)(x).y, model(x).y)


def test_spikes_that_leave_a_layer_late() -> None:
    delay = partial(AxonalDelay, initial=Uniform(0.0, 4.0), longest=4, learnable=True)
    layer, x = SpikingLayer(30, 8, LIF, delay=delay), 20.0 * spikes(12, 8, 30)
    found = []
    for run in (layer, compiled(layer)):
        layer.zero_grad()
        output = run(x).output_TBH
        output.square().sum().backward()
        found.append([output, *[p.grad for p in layer.parameters()]])
    torch.testing.assert_close(found[1], found[0])
    assert output.sum() > 0.0


def around(neuron: Neuron, **options: Any) -> tuple[Callable[..., Any], list[Tensor]]:
    """A scan as a function of its tensors, and these."""
    size = neuron.size
    names = [name for name in ("recurrent_weight", *options.pop("through", ())) if name]
    given = [40.0 * torch.rand(9, 3, size), *[torch.randn(size, size) / size for _ in names]]

    def run(current: Tensor, *weights: Tensor) -> Any:
        weight, *others = weights
        paths = dict(zip(names[1:], others, strict=True))
        output, state, traces = scan(
            neuron, current, recurrent_weight=weight, pathways=paths, backend="cpu", **options
        )
        return output, *state, *traces.values()

    return run, [tensor.requires_grad_() for tensor in given]


MASK = (torch.arange(9 * 3 * 6).view(9, 3, 6) % 3 > 0).float()
CASES: dict[str, tuple[Callable[[], Neuron], dict[str, Any]]] = {
    "traces": (lambda: BRF(6), {"record": ("v", "u")}),
    "deleted spikes": (lambda: ALIF(6), {"spike_mask_TBN": MASK, "record": ()}),
    "one number for all": (lambda: PLIF(6), {"record": ("potential",)}),
    "a pathway, a winner": (
        lambda: BalancedLIF(6, firing="single_intended", threshold=0.02),
        {"record": ("trace",), "through": ("trace",)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_scan(name: str) -> None:
    torch.manual_seed(0)
    make, options = CASES[name]
    neuron = make()
    run, tensors = around(neuron, **options)
    found = []
    for function in (run, compiled(run)):
        outputs = function(*tensors)
        loss = sum((output * (output + 1.0)).sum() for output in outputs)
        gradients = torch.autograd.grad(loss, [*tensors, *neuron.parameters()], allow_unused=True)
        found.append([*outputs, *gradients])
    exactly(found[1], found[0])
    assert found[0][0].sum() > 0


class Settable(LIF):
    """What its step reads stands in places that no key of a kernel knows."""

    def __init__(self) -> None:
        super().__init__(6)
        self.options = {"gain": 1.0}

    def step(self, coefficients: Any, state: Any, current: Tensor) -> Any:
        return super().step(coefficients, state, self.options["gain"] * current)


def test_what_a_step_reads_may_change_afterwards() -> None:
    neuron, current = AdLIF(6), 3.0 * torch.rand(9, 3, 6)
    run = compiled(lambda x: scan(neuron, x, backend="cpu")[0])
    outputs = []
    for threshold in (1.0, 0.5, 0.2, 0.1):
        neuron.threshold = threshold
        outputs.append(run(current))
        exactly([outputs[-1]], [scan(neuron, current)[0]])
    assert not torch.equal(outputs[0], outputs[3])
    current.requires_grad_()
    gradients: list[Tensor] = []
    for surrogate in (boxcar, triangle):
        neuron.surrogate = surrogate
        gradients += torch.autograd.grad(run(current).sum(), current)
        exactly(gradients[-1:], [*torch.autograd.grad(scan(neuron, current)[0].sum(), current)])
    assert not torch.equal(*gradients)
    own = Settable()
    run = compiled(lambda x: scan(own, x, backend="cpu")[0])
    for gain in (1.0, 2.0, 3.0, 4.0):
        own.options["gain"] = gain
        exactly([run(current)], [scan(own, current)[0]])


class Summed(LIF):
    """No kernel takes it."""

    def step(self, coefficients: Any, state: Any, current: Tensor) -> Any:
        return super().step(coefficients, state, current - state.spike.sum(-1, keepdim=True))


def test_what_no_kernel_takes_runs_beside_the_graph() -> None:
    neuron, current = Summed(6), 3.0 * torch.rand(5, 3, 6)

    def run(x: Tensor, backend: str = "auto") -> Tensor:
        return scan(neuron, 2.0 * x, backend=backend)[0] + 1.0

    exactly([torch.compile(run, backend="aot_eager")(current)], [run(current)])
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="its kernels are compiled"):
        compiled(run)(current)


def test_a_function_that_is_left_alone_says_so_at_once() -> None:
    doubled = uncompiled(lambda x: 2.0 * x)
    with pytest.raises(
        torch._dynamo.exc.Unsupported, match=r"\(reason: its kernels are compiled\)"
    ):
        compiled(lambda x: doubled(x) + 1.0)(torch.ones(3))
    run = torch.compile(lambda x: doubled(x) + 1.0, backend="aot_eager")
    assert torch.equal(run(torch.ones(3)), torch.full((3,), 3.0))


def test_who_looks_on_sees_a_compiled_model() -> None:
    model, x = network().eval(), spikes(12, 3, 30)
    ready: Any = torch.compile(model, backend="aot_eager")
    ready(x)
    assert [line.backend for line in explain(ready, x)] == ["cpu"] * 3
    counted = []
    for each in (model, ready):
        with Counter(model) as counter:
            each(x)
        counted.append(str(counter.counts(samples=3)))
    assert counted[0] == counted[1]


# --- torch.export -------------------------------------------------------------------------------


class Scores(nn.Module):
    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x).y
        return scores


def test_an_exported_program_is_small_and_runs_in_another_process() -> None:
    model, x = Scores(network()).eval(), spikes(50, 40, 30)
    program = torch.export.export(model, (x,))
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert called.count("core.scan.default") == 3
    assert len(called) < 100
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    text.read.cache_clear()  # nothing that this process knows of its neurons is needed
    loaded = torch.export.load(buffer).module()
    exactly([loaded(x)], [model(x)])
    with pytest.raises((AssertionError, RuntimeError), match=r"(?i)guard|shape"):
        loaded(x[:-1])


def test_a_network_is_exported_as_it_is() -> None:
    model, x = network(size=8).eval(), spikes(12, 4, 30)
    found = torch.export.export(model, (x,)).module()(x)
    expected = model(x)
    exactly(
        [found.y, *found.spikes_TBN, *found.state[0]],
        [expected.y, *expected.spikes_TBN, *expected.state[0]],
    )


def test_an_exported_program_can_be_trained() -> None:
    x, found = spikes(50, 40, 30), []
    program = torch.export.export(Scores(network()), (x,))
    for model in (Scores(network()), program.module()):
        torch.manual_seed(1)
        scores = model(x)
        scores.square().sum().backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        found.append([scores.detach(), *[gradients[name] for name in sorted(gradients)]])
    exactly(found[1], found[0])


def test_gradients_of_gradients_are_refused_there_too() -> None:
    current = torch.rand(5, 2, 4, requires_grad=True)

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = LIF(4)

        def forward(self, x: Tensor) -> Tensor:
            return scan(self.neuron, x)[0]

    program = torch.export.export(One(), (current,)).module()
    (gradient,) = torch.autograd.grad(program(current).sum(), current, create_graph=True)
    with pytest.raises(RuntimeError, match=r"no gradients of gradients; .*backend='reference'"):
        gradient.sum().backward()


# --- the operators ------------------------------------------------------------------------------


def planned(neuron: Neuron, name: str = "LIF") -> str:
    graph = graph_of(neuron, torch.float32, masked=False)
    return text.written(text.Plan(name, graph, (0,), ()))


def arguments(neuron: LIF) -> tuple[Any, ...]:
    current = torch.rand(70, 3, neuron.size, requires_grad=True)
    weight = torch.rand(neuron.size, neuron.size, requires_grad=True)
    rest = [*neuron.coefficients(), *neuron.initial_state(3)]
    return planned(neuron), current, weight, None, rest, True


def test_what_pytorch_asks_of_an_operator() -> None:
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    x, weight = spikes(50, 20, 100), torch.rand(130, 100, requires_grad=True)
    plan, *given = arguments(LIF(9))
    results = operator.scan(plan, *given)
    for function, values in (
        (linear, (x, weight, None)),
        (linear_weight_gradient, (x, torch.rand(50, 20, 130))),
        (dropout, (x.requires_grad_(), 0.3, torch.tensor(7))),
        (operator.scan, (plan, *given)),
        (
            operator.scan_backward,
            (plan, *given[:4], [results[0], *results[-2:]], results[:4], [True] * 5),
        ),
    ):
        torch.library.opcheck(function, values, test_utils=checks)


class Bounded(LIF):
    """With constants that JSON has not."""

    def step(self, coefficients: Any, state: Any, current: Tensor) -> Any:
        return super().step(coefficients, state, torch.clamp(current, -torch.inf, 9.0) * -0.0)


@pytest.mark.parametrize("kind", [BRF, AdLIF, Bounded])
def test_a_plan_is_what_was_written(kind: type[Neuron]) -> None:
    plan = planned(kind(3))
    assert text.written(text.read(plan)) == plan
    assert text.read(plan).graph == graph_of(kind(3), torch.float32, masked=False)


@pytest.mark.parametrize(
    "edit",
    [
        lambda plan: plan[1][0].append(["mul", [0, 999], False]),
        lambda plan: plan[1][0].append(["input", ["c9"], False]),
        lambda plan: plan[1][0].append(["system", [0], False]),
        lambda plan: plan[1].__setitem__(1, 10**9),
        lambda plan: plan[1].__setitem__(3, 0),
        lambda plan: plan[1][5].pop(),
        lambda plan: plan[2].append(7),
        lambda plan: plan[3].append([0, 1]),
        lambda plan: plan.pop(),
    ],
)
def test_a_plan_that_is_damaged_is_refused(edit: Callable[[Any], Any]) -> None:
    plan = json.loads(planned(LIF(3)))
    edit(plan)
    with pytest.raises(UserError, match="export the program again"):
        text.read(json.dumps(plan))
    with pytest.raises(UserError, match="export the program again"):
        text.read(json.dumps(plan)[:-9])


@pytest.mark.parametrize(
    "edit",
    [
        lambda given: given.__setitem__(1, given[1].double()),
        lambda given: given.__setitem__(2, given[2][:-1]),
        lambda given: given.__setitem__(3, torch.ones(70, 3, 6)),
        lambda given: given[4].pop(),
        lambda given: given[4].__setitem__(0, torch.ones(5)),
        lambda given: given[4].__setitem__(-1, torch.ones(2, 6)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(edit: Callable[[Any], Any]) -> None:
    given = [*arguments(LIF(6))]
    edit(given)
    with pytest.raises(ValueError, match="export the program again"):
        operator.scan(*given)
