"""A scan as an autograd function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.opaque import differentiable_once, tie
from core.scan import fused
from core.scan.cpu import passes
from core.scan.cpu.launch import Launch
from core.scan.cpu.parts import Wants, parts
from core.scan.cpu.passes import Gradients, Inputs
from core.scan.graph import StepGraph

#: Arguments of :class:`Scan` before those of :func:`parts`.
FIXED = 9


class Scan(torch.autograd.Function):
    """Current, weight, mask and what :func:`parts` takes -> output, state, traces.

    ``B`` is at least one; weight and mask may be None; coefficients are 0-d or ``[N]``, fields of
    the state ``[B, N]``, and the weights belong to ``pathways``, see :class:`CpuVariant`.
    The resulting state is the one after the last step; traces are the values of the recorded
    fields, given by number, after every step. ``differentiable`` says whether a backward may
    follow; where none does, and ``spend`` allows it, the output takes the current's memory.
    Gradients of gradients raise a RuntimeError.
    """

    @staticmethod
    def forward(
        ctx: Any,
        graph: StepGraph,
        recorded: tuple[int, ...],
        pathways: tuple[tuple[int, int], ...],
        differentiable: bool,
        spend: bool,
        name: str,
        current: Tensor,
        weight: Tensor | None,
        mask: Tensor | None,
        *rest: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run all steps."""
        ctx.tie = tie(current, weight, *rest)
        needed = [wanted and differentiable for wanted in ctx.needs_input_grad]
        of_current, of_weight = needed[FIXED - 3 : FIXED - 1]
        wants = ctx.wants = Wants.of(of_current, of_weight, needed[FIXED:], graph)
        launch = ctx.launch = Launch.of(
            graph,
            name,
            current,
            recurrent=weight is not None,
            pathways=pathways,
            shared=tuple(c.dim() == 0 for c in parts(rest, graph)[0]),
            trained=wants.coefficients,
        )
        differentiated = any(needed)
        inputs = Inputs.of(launch, current, weight, mask, rest, copied=differentiated)
        # The gradient of a pathway's weight is one large product with what went through it.
        through = [f for (f, _), wanted in zip(pathways, wants.pathways, strict=True) if wanted]
        traced = dict.fromkeys((*recorded, *through))
        spend = spend and not differentiated
        found = passes.forward(launch, inputs, [*traced], keep=differentiated, spend=spend)
        ctx.recorded = recorded
        # The output is needed only where the weight's gradient is one large product with it. It is
        # not saved: that would forbid writing to it, which backward sees by its version.
        output = found.output
        ctx.output = None, 0
        if weight is not None and differentiated and passes.dense(output, found.spikes):
            ctx.output = output.detach(), output._version
        ctx.save_for_backward(
            *(inputs.current, weight, inputs.mask, inputs.rows, found.kept),
            *(*inputs.coefficients, *inputs.state.values(), *inputs.pathways, *inputs.further),
            *[found.traces[f] for f in through],
        )
        ctx.set_materialize_grads(False)
        # Fields of their own, no views of one tensor: they may be written to in place.
        given = [found.traces[f].clone() if f in through else found.traces[f] for f in recorded]
        return output, *found.final, *given

    @staticmethod
    @differentiable_once(fused.TWICE)
    def backward(
        ctx: Any, go: Tensor | None, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Run all steps backwards."""
        current, weight, mask, rows, kept, *rest = ctx.saved_tensors
        output, version = ctx.output
        if output is not None and output._version != version:
            output = None
        launch: Launch = ctx.launch
        graph, read = launch.variant.graph, launch.variant.read
        coefficients, rest = rest[: graph.coefficients], rest[graph.coefficients :]
        state, rest = dict(zip(read, rest, strict=False)), rest[len(read) :]
        weights = len(launch.variant.pathways)
        count = weights + graph.currents - 1
        pairs = zip(ctx.recorded, gradients[graph.states :], strict=True)
        traces = {f: gradient for f, gradient in pairs if gradient is not None}
        found = passes.backward(
            launch,
            Inputs(
                *(current, weight, mask, coefficients, state),
                *(rest[:weights], rest[weights:count], rows),
            ),
            ctx.wants,
            Gradients(go, gradients[: graph.states], traces),
            kept=kept,
            output=output,
            through=iter(rest[count:]),
        )
        return (*(None,) * (FIXED - 3), *found[:2], None, *found[2:])
