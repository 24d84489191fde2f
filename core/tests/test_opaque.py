"""What PyTorch may do with functions whose arithmetic it does not see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.utils.flop_counter import FlopCounterMode

from core.errors import UserError
from core.layers import Layer, Network, SoftmaxSumReadout, SpikingLayer
from core.layers.delay import delayed
from core.layers.dropout import Dropout
from core.neurons import LIF, RF, AdLIF, BalancedLIF
from core.projection import project
from core.scan import scan
from core.scan.contract import Run, assert_same

BACKENDS = ["reference", "cpu"]
#: Below and above the size from which results lie in memory that is used again.
STEPS = [5, 150]
#: PyTorch warns of itself when it is first used.
FORWARD_MODE = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")


def layer(backend: str = "auto", **options: Any) -> Layer:
    torch.manual_seed(0)
    return Layer(10, LIF(64, tau_mem=2.0), recurrent=True, backend=backend, **options)


def network(backend: str = "auto") -> Network:
    torch.manual_seed(0)
    hidden = SpikingLayer(
        3, 8, lambda n: AdLIF(n, initial="zero"), normalization="layernorm", backend=backend
    )
    return Network([hidden], SoftmaxSumReadout(8, 4, initial="zero", backend=backend))


# --- in place -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("steps", STEPS)
def test_results_may_be_written_to(steps: int, backend: str) -> None:
    made = layer(backend)
    spikes, _, state = made(torch.rand(steps, 32, 10))
    spikes[:, :, 3] = 0.0
    state.potential.mul_(0.5)
    (spikes.sum() + state.potential.sum()).backward()
    spikes, _, state = made(torch.rand(steps, 32, 10))
    for field in state:
        field.detach_()
    made(torch.rand(steps, 32, 10), state)[0].sum().backward()
    current = project(torch.rand(steps, 32, 10), made.input_weight)
    current.clamp_(max=0.1)
    current.sum().backward()
    dropped = Dropout(0.2)(torch.rand(steps, 32, 64, requires_grad=True))
    dropped.clamp_(max=1.0)
    dropped.sum().backward()


def test_fields_of_a_state_are_apart() -> None:
    state = layer()(torch.rand(5, 32, 10)).state
    before = state.potential.clone()
    state.spike.fill_(7.0)
    assert torch.equal(state.potential, before)


def test_written_outputs_do_not_change_gradients() -> None:
    # Dense enough that the weight's gradient would be a product with the output.
    run = Run("RF", (60, 5, 24), recurrent=True)
    expected = run("reference")
    outputs = run.outputs("cpu")
    assert outputs[0].mean() > 0.25
    kept = [output.detach().clone() for output in outputs]
    for output in outputs:
        output.add_(1.0)
    _, gradients = run.differentiate(outputs)
    assert_same((kept, gradients), expected, 1e-5)


# --- gradients of gradients ---------------------------------------------------------------------


def penalised(run: Callable[[Tensor], Tensor], wanted: str, module: nn.Module) -> float:
    x = (3.0 * torch.linspace(0.0, 1.0, 120).view(6, 2, 10)).requires_grad_()
    towards = x if wanted == "input" else dict(module.named_parameters())[wanted]
    output = run(x)
    (gradient,) = torch.autograd.grad(output.sum(), towards, create_graph=True)
    x.grad = None
    gradient.square().sum().backward()
    return float(x.grad.abs().sum()) if x.grad is not None else 0.0


@pytest.mark.parametrize("wanted", ["input", "input_weight", "recurrent_weight", "bias"])
def test_a_penalty_on_gradients_is_none_of_zero(wanted: str) -> None:
    made = layer("reference", bias=True)
    assert penalised(lambda x: made(x)[0], wanted, made) > 0.0
    made = layer("cpu", bias=True)
    with pytest.raises(RuntimeError, match=r"no gradients of gradients; .*backend='reference'"):
        penalised(lambda x: made(x)[0], wanted, made)


def test_a_penalty_on_the_gradients_of_a_network() -> None:
    def above(backend: str) -> Network:
        return Network([layer(backend)], SoftmaxSumReadout(64, 4, backend=backend))

    net = above("reference")
    for name in ("input", "0.input_weight", "0.recurrent_weight", "1.W.weight", "1.neuron.alpha"):
        assert penalised(lambda x: net(x).y.square(), name, net) > 0.0
    net = above("cpu")
    with pytest.raises(RuntimeError, match=r"no gradients of gradients; .*backend='reference'"):
        penalised(lambda x: net(x).y.square(), "0.input_weight", net)


def test_no_way_around_the_refusal() -> None:
    neuron, current = LIF(4), torch.rand(5, 2, 4, requires_grad=True)
    outputs, state = scan(neuron, current, backend="cpu")
    for what in (outputs, state.potential):
        (gradient,) = torch.autograd.grad(what.sum(), current, create_graph=True)
        loss = current.sum() + gradient.sum()
        for wanted in (current, neuron.tau_mem):
            with pytest.raises(RuntimeError, match="no gradients of gradients"):
                torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    plain = torch.autograd.grad(outputs.sum(), current, create_graph=True)[0].detach()
    assert torch.equal(plain, torch.autograd.grad(outputs.sum(), current)[0])


def test_projection_and_dropout_can_be_differentiated_again() -> None:
    torch.manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 4), (5, 4), (5,))
    )
    assert torch.autograd.gradgradcheck(project, (x, weight, bias))

    def cubed(x: Tensor) -> Tensor:
        torch.manual_seed(0)
        dropped: Tensor = Dropout(0.5)(x)
        return dropped**3

    assert torch.autograd.gradcheck(cubed, x)
    assert torch.autograd.gradgradcheck(cubed, x)


def test_gradients_of_gradients_through_sparse_products() -> None:
    torch.manual_seed(0)
    x = (torch.rand(40, 40, 100) < 0.05).float()
    found = []
    for product in (project, nn.functional.linear):
        weight = torch.linspace(-1.0, 1.0, 12_800).view(128, 100).requires_grad_()
        (gradient,) = torch.autograd.grad(
            product(x, weight).square().mean(), weight, create_graph=True
        )
        gradient.square().sum().backward()
        found.append(weight.grad)
    torch.testing.assert_close(*found)


# --- transformations ----------------------------------------------------------------------------


@FORWARD_MODE
@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_transformations_of_functions(backend: str) -> None:
    net = network(backend)
    many = 3.0 * torch.rand(3, 6, 2, 3)
    parameters = {name: value.detach() for name, value in net.named_parameters()}

    def loss(parameters: Any, x: Tensor) -> Tensor:
        return functional_call(net, parameters, (x,)).y.square().sum()

    each = vmap(grad(loss), in_dims=(None, 0))(parameters, many)
    outputs = vmap(lambda x: net(x).y)(many)
    for place, x in enumerate(many):
        net.zero_grad()
        y = net(x).y
        torch.testing.assert_close(outputs[place], y)
        y.square().sum().backward()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(each[name][place], parameter.grad, rtol=1e-3, atol=1e-6)
    change: Tensor
    _, change = jvp(  # type: ignore[misc]
        lambda x: net(x).y.square().sum(), (many[0],), (torch.ones_like(many[0]),)
    )
    x = many[0].clone().requires_grad_()
    net(x).y.square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(change, x.grad.sum(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "neuron", [LIF(8), RF(8), BalancedLIF(8, firing="single_intended", threshold=0.02)]
)
def test_a_transformed_layer_with_pruning_and_deletion(neuron: Any) -> None:
    made = Layer(3, neuron, recurrent=True, mask_probability=0.5)
    x = 3.0 * torch.rand(6, 2, 3)
    parameters = {name: value.detach().clone() for name, value in made.named_parameters()}
    found = grad(lambda p: functional_call(made, p, (x,))[0].sum())(parameters)
    made(x)[0].sum().backward()
    torch.testing.assert_close(
        found["recurrent_weight"], made.get_parameter("recurrent_weight").grad
    )
    both = {name: torch.stack([value, value]) for name, value in parameters.items()}
    outputs = vmap(lambda p: functional_call(made, p, (x,))[0])(both)
    torch.testing.assert_close(outputs[1], made(x)[0])


@FORWARD_MODE
def test_a_kernel_asked_for_by_name_refuses_to_be_transformed() -> None:
    neuron, x = LIF(4), torch.rand(3, 5, 2, 4)
    with pytest.raises(UserError, match=r"'cpu' cannot run LIF here: torch\.func"):
        vmap(lambda x: scan(neuron, x, backend="cpu")[0])(x)
    refused = "cannot run LIF here: it has no forward-mode derivative"
    with pytest.raises(UserError, match=refused), torch.autograd.forward_ad.dual_level():
        scan(neuron, x[0], backend="cpu")
    refused = "cannot run LIF here: something watches"
    with pytest.raises(UserError, match=refused), FlopCounterMode(display=False):
        scan(neuron, x[0], backend="cpu")

    class Own(Tensor):
        pass

    with pytest.raises(UserError, match="plain tensors, not Own"):
        scan(neuron, x[0].as_subclass(Own), backend="cpu")
    with pytest.raises(UserError, match="where a negated view has the other sign"):
        scan(neuron, torch._neg_view(x[0]), backend="cpu")
    # None of it is remembered.
    scan(neuron, x[0], backend="cpu")


def test_anomaly_detection_before_the_first_scan() -> None:
    class Fresh(LIF):
        pass

    neuron = Fresh(4)
    current = torch.rand(5, 2, 4, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        scan(neuron, current, backend="cpu")[0].sum().backward()
        bad = torch.full((5, 2, 4), torch.nan, requires_grad=True)
        with pytest.raises(RuntimeError, match="returned nan values"):
            scan(neuron, bad, backend="cpu")[1].potential.square().sum().backward()


NEGATED: list[Callable[[Tensor], Tensor]] = [
    lambda x: scan(LIF(64), 20.0 * x)[0],
    lambda x: scan(LIF(64), x)[0],
    lambda x: scan(LIF(64), 20.0 * torch.ones_like(x), spike_mask_TBN=x.detach())[0] + 0.0 * x,
    lambda x: project(x, torch.ones(64, 64)),
    lambda x: delayed(x, torch.full((64,), 1.5)),
    Dropout(0.5),
]


@pytest.mark.parametrize("function", NEGATED)
def test_a_negated_view_counts_as_what_it_stands_for(function: Callable[[Tensor], Tensor]) -> None:
    # PyTorch leaves its memory as it was and notes that the sign is the other one.
    torch.manual_seed(0)
    x = (torch.rand(100, 32, 64) < 0.05).float().requires_grad_()
    towards = torch.randn(100, 32, 64)

    def both(x: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        output = function(x)
        return output, torch.autograd.grad(output, x, towards)[0]

    output, gradient = both(x, towards)
    torch.testing.assert_close(both(x, torch._neg_view(-towards))[1], gradient)
    if not isinstance(function, Dropout):  # PyTorch's draws other numbers
        negated = torch._neg_view(-x.detach()).requires_grad_()
        torch.testing.assert_close(both(negated, towards), (output, gradient))
