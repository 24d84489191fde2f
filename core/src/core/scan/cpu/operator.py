"""A scan as an operator in the graphs of ``torch.compile`` and ``torch.export``.

The step is an argument, as text: nothing else of the neuron is needed, so that an exported program
runs wherever ``core.scan`` is imported. Eager code takes :mod:`core.scan.cpu.function`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.scan.cpu.backend import missing
from core.scan.cpu.parts import Wants, parts
from core.scan.fused import TWICE
from core.scan.text import Plan, read

if TYPE_CHECKING:
    from core.scan.cpu.launch import Launch
    from core.scan.cpu.passes import Inputs


@torch.library.custom_op("core::scan", mutates_args=())
def scan(
    plan: str,
    current: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    rest: Sequence[Tensor],
    keep: bool,
) -> list[Tensor]:
    """:class:`core.scan.cpu.function.Scan` without autograd.

    Args:
        plan: See :mod:`core.scan.text`.
        current: See ``Scan``, as for the next three.
        weight: See there.
        mask: See there.
        rest: See there.
        keep: A way back follows, which needs the last result.

    Returns:
        Output, state after the last step, traces, spikes per task and the states between segments.

    Raises:
        ValueError: Tensors that do not fit each other.
        UserError: The plan is none.
        RuntimeError: This machine can make no kernels.
    """
    launch, inputs = _prepared(plan, current, weight, mask, rest)
    from core.scan.cpu import passes

    found = passes.forward(launch, inputs, read(plan).traced, keep=keep)
    kept = current.new_empty(0) if found.kept is None else found.kept
    return [found.output, *found.final, *found.traces.values(), found.spikes, kept]


@scan.register_fake
def _(
    plan: str,
    current: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    rest: Sequence[Tensor],
    keep: bool,
) -> list[Tensor]:
    from core.scan.cpu.kernel import CpuVariant
    from core.scan.cpu.launch import cut

    known = read(plan)
    shape = torch.Size(map(int, current.shape))  # how a scan is cut depends on all three
    double = current.dtype == torch.float64
    variant = CpuVariant(known.graph, double, weight is not None, pathways=known.pathways)
    geometry = cut(variant, shape, current.dtype)
    between = geometry.segments - 1
    kept = (between, known.graph.states, *shape[1:]) if keep and between else (0,)
    return [
        current.new_empty(shape),
        *[current.new_empty(shape[1:]) for _ in range(known.graph.states)],
        *[current.new_empty(shape) for _ in known.traced],
        current.new_empty(geometry.tasks, dtype=torch.int64),
        current.new_empty(kept),
    ]


@torch.library.custom_op("core::scan_backward", mutates_args=())
def scan_backward(
    plan: str,
    current: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    rest: Sequence[Tensor],
    results: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor]:
    """The gradients that are ``wanted`` of current, weight and ``rest``, in this order.

    Args:
        plan: See :func:`scan`, as for the next four.
        current: See there.
        weight: See there.
        mask: See there.
        rest: See there.
        results: What it returned as output, spikes and states between segments, and the traces of
            those fields whose pathway's weight wants a gradient.
        gradients: Of output, state and traces; None for zero.
        wanted: One flag per input.

    Raises:
        ValueError: Tensors that do not fit each other.
        UserError: The plan is none.
        RuntimeError: This machine can make no kernels.
    """
    known = read(plan)
    of_traces = 1 + known.graph.states
    output, spikes, kept, *through = results
    wants = Wants.of(wanted[0], wanted[1], wanted[2:], known.graph)
    launch, inputs = _prepared(plan, current, weight, mask, rest, trained=wants.coefficients)
    from core.scan.cpu import passes

    pairs = zip(known.traced, gradients[of_traces:], strict=True)
    traces = {f: gradient for f, gradient in pairs if gradient is not None}
    found = passes.backward(
        launch,
        inputs,
        wants,
        passes.Gradients(gradients[0], gradients[1:of_traces], traces),
        kept=kept if kept.numel() else None,
        output=output if wants.weight and passes.dense(output, spikes) else None,
        through=iter(through),
    )
    return [gradient.contiguous() for gradient in found if gradient is not None]


@scan_backward.register_fake
def _(
    plan: str,
    current: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    rest: Sequence[Tensor],
    results: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor]:
    inputs = zip((current, weight, *rest), wanted, strict=True)
    return [given.new_empty(given.shape) for given, want in inputs if want and given is not None]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    plan, current, weight, mask, rest, _ = inputs
    known = read(plan)
    of_weight, of_rest = ctx.needs_input_grad[2], ctx.needs_input_grad[4 : 4 + len(rest)]
    *found, spikes, kept = output
    traces = dict(zip(known.traced, found[1 + known.graph.states :], strict=True))
    wanted = Wants.of(False, of_weight, of_rest, known.graph).pathways
    through = [traces[f] for (f, _), want in zip(known.pathways, wanted, strict=True) if want]
    # The output is asked for where the weight's gradient is, and is a tensor in any case.
    sent = found[0] if of_weight else kept
    ctx.plan, ctx.given, ctx.found = plan, len(rest), len(found)
    ctx.save_for_backward(current, weight, mask, *rest, sent, spikes, kept, *through)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    current, weight, mask, *saved = ctx.saved_tensors
    rest, results = saved[: ctx.given], saved[ctx.given :]
    _, of_current, of_weight, _, of_rest, _ = ctx.needs_input_grad
    wanted = [of_current, of_weight, *of_rest]
    given = gradients[: ctx.found]
    left = iter(scan_backward(ctx.plan, current, weight, mask, rest, results, given, wanted))
    found = [next(left) if want else None for want in wanted]
    return None, found[0], found[1], None, found[2:], None


def _refused(ctx: Any, *gradients: Any) -> Any:
    raise RuntimeError(TWICE)


scan.register_autograd(_backward, setup_context=_keep)
scan_backward.register_autograd(_refused)


def _prepared(
    text: str,
    current: Tensor,
    weight: Tensor | None,
    mask: Tensor | None,
    rest: Sequence[Tensor],
    trained: tuple[bool, ...] = (),
) -> tuple[Launch, Inputs]:
    if (reason := missing()) is not None:
        raise RuntimeError(reason)
    from core.scan.cpu.launch import Launch
    from core.scan.cpu.passes import Inputs

    plan = read(text)
    _check(plan, current, weight, mask, rest)
    shared = tuple(c.dim() == 0 for c in rest[: plan.graph.coefficients])
    launch = Launch.of(
        plan.graph,
        plan.name,
        current,
        recurrent=weight is not None,
        pathways=plan.pathways,
        shared=shared,
        trained=trained or (False,) * len(shared),
    )
    return launch, Inputs.of(launch, current, weight, mask, rest, copied=False)


def _check(
    plan: Plan, current: Tensor, weight: Tensor | None, mask: Tensor | None, rest: Sequence[Tensor]
) -> None:
    """Refuse what would let a kernel read beside its arrays: a program may come from anywhere."""
    if current.dim() != 3 or 0 in current.shape:
        raise ValueError(f"current has shape {tuple(current.shape)}, expected [T, B, N]")
    batch, neurons = current.shape[1:]
    coefficients, state, pathways, further = parts(rest, plan.graph)
    weights = [*pathways, *([] if weight is None else [weight])]
    masks = [] if mask is None else [mask]
    fits = (
        len(state) == plan.graph.states
        and len(pathways) == len(plan.pathways)
        and plan.graph.masked == (mask is not None)
        and all(c.shape in ((), (neurons,)) for c in coefficients)
        and all(field.shape == (batch, neurons) for field in state)
        and all(matrix.shape == (neurons, neurons) for matrix in weights)
        and len(further) == plan.graph.currents - 1
        and all(one.shape == current.shape for one in (*masks, *further))
        and current.dtype in (torch.float32, torch.float64)
    )
    for tensor in (current, *rest, *weights, *masks):
        fits = fits and (tensor.dtype, tensor.device.type) == (current.dtype, "cpu")
    if not fits:
        raise ValueError("tensors that do not fit this step: export the program again")
