"""A scan as an autograd function: memory for both kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.opaque import differentiable_once, tie
from core.scan import fused
from core.scan.gpu import geometry, launch, verified
from core.scan.gpu.kernels import GpuVariant
from core.scan.graph import StepGraph


class Scan(torch.autograd.Function):
    """Current ``[T, B, N]``, coefficients ``[c, N]``, state ``[s, B, N]`` -> output, state, traces.

    Traces are sequences of the recorded fields, given by number. With a recurrent weight and a
    spike mask, or None. Coefficients and state are contiguous, ``B`` is at least one. Gradients of
    gradients raise a RuntimeError.
    """

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        coefficients: Tensor,
        state: Tensor,
        weight: Tensor | None,
        mask: Tensor | None,
        graph: StepGraph,
        recorded: tuple[int, ...],
    ) -> tuple[Tensor, ...]:
        """Run all steps."""
        ctx.tie = tie(current, coefficients, state, weight)
        keep = any(ctx.needs_input_grad)
        variant = GpuVariant(
            graph,
            double=current.dtype == torch.float64,
            recurrent=weight is not None,
            parameters=ctx.needs_input_grad[1],
            traces=recorded,
        )
        # Once: autograd runs the way back of a GPU in a thread that knows of no forced geometry.
        batch, neurons = current.shape[1:]
        cuts = geometry.chosen(variant.recurrent, batch, neurons, current.dtype)
        if current.device.type == "cuda":  # where some were found right, those alone
            cuts = verified.right(variant, cuts, current.device) or cuts
        both = ctx.launch = launch.Launch(variant, current.shape, tuple(cuts), launch.SEGMENT)
        current, mask = current.contiguous(), None if mask is None else mask.contiguous()
        output, final = torch.empty_like(current), state.clone()
        matrix = None if weight is None else weight.t().contiguous()
        traces = [torch.empty_like(current) for _ in recorded]
        kept = current.new_empty((both.segments if keep else 0, *state.shape))
        total = None if weight is None else torch.empty_like(current) if keep else current
        both.run(
            "forward",
            {
                **{"x": current, "coefficients": coefficients, "mask": mask},
                **{"output": output, "final": final, "kept": kept, "total": total},
                **{"matrix": matrix, "carried": None if matrix is None else state[0] @ matrix},
                **{f"trace{f}": trace for f, trace in zip(recorded, traces, strict=True)},
            },
            KEEP=keep,
        )
        ctx.save_for_backward(
            current if total is None else total,
            *(coefficients, mask, kept, weight),
            # A copy: whoever gets the output may write to it.
            *((state, output.clone()) if ctx.needs_input_grad[3] else (None, None)),
        )
        ctx.set_materialize_grads(False)
        return output, final, *traces

    @staticmethod
    @differentiable_once(fused.TWICE)
    def backward(
        ctx: Any, go: Tensor | None, final_gradient: Tensor | None, *traces: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Run all steps backwards."""
        total, coefficients, mask, kept, weight, state, output = ctx.saved_tensors
        both: launch.Launch = ctx.launch
        wants_current, wants_coefficients, wants_state, wants_weight, *_ = ctx.needs_input_grad
        whole = wants_current or weight is not None
        go = torch.zeros_like(total) if go is None else go.contiguous()
        state_gradient = (
            torch.zeros_like(kept[0])
            if final_gradient is None
            else final_gradient.clone(memory_format=torch.contiguous_format)
        )
        pairs = zip(both.variant.traces, traces, strict=True)
        given = {
            f"gt{f}": torch.zeros_like(total) if g is None else g.contiguous() for f, g in pairs
        }
        gx = total.new_empty(total.shape if whole else (0,))
        elements = (coefficients.shape[0] if wants_coefficients else 0, *total.shape[1:])
        coefficient_gradient = total.new_zeros(elements)
        both.run(
            "backward",
            {
                **{"x": total, "coefficients": coefficients, "mask": mask, "kept": kept},
                **{"matrix": None if weight is None else weight.contiguous(), "go": go},
                **{"gx": gx, "scratch": total.new_empty((both.segment, *kept.shape[1:]))},
                **{"state_gradient": state_gradient, "coefficient_gradient": coefficient_gradient},
                **given,
            },
            WANTS_CURRENT=whole,
        )
        if wants_state and weight is not None:
            state_gradient[0] += gx[0] @ weight  # what the first spikes did to the first step
        weight_gradient = None
        if wants_weight:
            first, later = gx[0], gx[1:].flatten(0, 1)
            weight_gradient = first.t() @ state[0] + later.t() @ output[:-1].flatten(0, 1)
        return (
            gx if wants_current else None,
            coefficient_gradient.sum(1) if wants_coefficients else None,
            state_gradient if wants_state else None,
            weight_gradient,
            *(None,) * 3,
        )
