"""A scan as an autograd function: memory for both kernels, and their launch."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.buffers import empty
from core.scan.cpu import kernels, recurrence, workers
from core.scan.cpu.geometry import Geometry, backward_scratch, forward_scratch, plan
from core.scan.cpu.machine import Function, denormals, function, this_machine
from core.scan.graph import StepGraph

#: Bytes of a sequence above which caches cannot hold it until it is read.
LARGE = 16 << 20
#: Share of spikes above which one large product is faster than adding rows.
DENSE = 0.2


@cache
def _kernel(direction: str, variant: kernels.Variant, name: str) -> Function:
    text = kernels.forward_text if direction == "forward" else kernels.backward_text
    what = f"CPU kernel of {name} ({direction}, {'float64' if variant.double else 'float32'}"
    what += ", recurrent)" if variant.recurrent else ")"
    return function(direction, text(variant, this_machine()), what)


def _readable(tensor: Tensor) -> Tensor:
    """The same values with neurons next to each other; dimensions that repeat stay repeated."""
    unrepeated = tensor
    for dimension, stride in enumerate(tensor.stride()):
        if stride == 0:
            unrepeated = unrepeated.narrow(dimension, 0, 1)
    if tensor.stride(2) == 0:
        unrepeated = unrepeated.expand(-1, -1, tensor.shape[2])
    if unrepeated.stride(2) != 1 and tensor.shape[2] > 1:
        unrepeated = unrepeated.contiguous()
    return unrepeated.expand(tensor.shape)


def _sequence(slot: str, tensor: Tensor | None) -> dict[str, int]:
    """The slots of a sequence ``[T, B, N]``."""
    if tensor is None:
        return {slot: 0, f"{slot}_t": 0, f"{slot}_b": 0}
    address = tensor.data_ptr()
    return {slot: address, f"{slot}_t": tensor.stride(0), f"{slot}_b": tensor.stride(1)}


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


@dataclass(frozen=True)
class _Launch:
    """What both directions of one scan share."""

    variant: kernels.Variant
    name: str
    shape: torch.Size
    dtype: torch.dtype
    geometry: Geometry

    def run(
        self, direction: str, arrays: dict[str, Tensor | None], rest: dict[str, int], scratch: int
    ) -> None:
        """Run a kernel in as many threads as pay.

        Args:
            direction: Of the kernel.
            arrays: Slot -> array; ``x``, ``mask``, ``go`` and ``gx`` are sequences with strides.
            rest: Other slots.
            scratch: Reals of scratch memory that a thread needs.
        """
        steps, batch, neurons = self.shape
        plan = self.geometry
        slots = {
            **{"tasks": plan.tasks, "T": steps, "B": batch, "N": neurons},
            **{"segment": plan.segment, "segments": plan.segments, "rows": plan.rows},
            **{"columns": plan.columns, "column_blocks": plan.column_blocks},
            **{"padded": plan.padded, "control": denormals(), **rest},
        }
        for name, array in arrays.items():
            sequence = name in ("x", "mask", "go", "gx")
            slots |= _sequence(name, array) if sequence else {name: _address(array)}
        names = kernels.FORWARD if direction == "forward" else kernels.BACKWARD
        written = arrays["output" if direction == "forward" else "gx"]
        variant = replace(self.variant, stream=self._streams(written))
        kernel = _kernel(direction, variant, self.name)
        counter = ctypes.c_int64(0)
        slots["counter"] = ctypes.addressof(counter)
        work = self.shape.numel() // workers.ELEMENTS_PER_THREAD
        threads = max(1, min(torch.get_num_threads(), plan.tasks, work))
        own = [
            (torch.empty(scratch, dtype=self.dtype), torch.empty(neurons, dtype=torch.int32))
            for _ in range(threads)
        ]
        jobs = []
        for memory, indices in own:
            slots |= {"scratch": memory.data_ptr(), "indices": indices.data_ptr()}
            jobs.append(partial(kernel, (ctypes.c_int64 * len(names))(*[slots[n] for n in names])))
        workers.run(jobs)

    def _streams(self, written: Tensor | None) -> bool:
        """Whether a kernel should write a sequence past the caches."""
        if written is None or self.variant.recurrent or not written.is_contiguous():
            return False  # a recurrent layer reads back what it wrote
        row = self.shape[2] * self.dtype.itemsize
        aligned = (written.data_ptr() | row) % this_machine().vector_bytes == 0
        return aligned and self.shape.numel() * self.dtype.itemsize >= LARGE


class Scan(torch.autograd.Function):
    """Current ``[T, B, N]``, coefficients ``[c, N]``, state ``[s, B, N]`` -> output, state.

    With a recurrent weight and a spike mask, or None. ``B`` is at least one. Gradients of gradients
    are not available.
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
        name: str,
    ) -> tuple[Tensor, Tensor]:
        """Run all steps."""
        steps, batch, neurons = current.shape
        dtype, recurrent = current.dtype, weight is not None
        geometry = plan(
            *current.shape,
            states=graph.states,
            recurrent=recurrent,
            lanes=this_machine().vector_bytes // dtype.itemsize,
            real=dtype.itemsize,
        )
        double = dtype == torch.float64
        variant = kernels.Variant(graph, double, recurrent, parameters=ctx.needs_input_grad[1])
        ctx.launch = _Launch(variant, name, current.shape, dtype, geometry)
        state = state.contiguous()
        mask = None if mask is None else _readable(mask)
        # A view is not saved: changes in place of what it shows would go unnoticed.
        readable = _readable(current)
        current = current if readable.data_ptr() == current.data_ptr() else readable
        rows = None
        if weight is not None:
            # Row j: what a spike of neuron j adds to the current of all.
            rows = torch.zeros(neurons, geometry.padded, dtype=dtype)
            rows[:, :neurons] = weight.t()
        kept = None
        if any(ctx.needs_input_grad):
            kept = empty((geometry.segments, graph.states, batch, neurons), dtype)
        output, final = empty((steps, batch, neurons), dtype), torch.empty_like(state)
        spikes = torch.zeros(geometry.tasks, dtype=torch.int64)
        ctx.launch.run(
            "forward",
            {
                **{"x": readable, "mask": mask, "coefficients": coefficients, "kept": kept},
                **{"weight": rows, "state": state, "final": final, "output": output},
                "spikes": spikes,
            },
            {"weight_row": geometry.padded},
            forward_scratch(geometry, graph.states),
        )
        dense = int(spikes.sum()) > DENSE * output.numel()
        # The output is needed only where the weight's gradient is one large product with it.
        ctx.save_for_backward(
            current, coefficients, state, weight, mask, rows, kept, output if dense else None
        )
        ctx.set_materialize_grads(False)
        return output, final

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, go: Tensor | None, final_gradient: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Run all steps backwards."""
        current, coefficients, state, weight, mask, rows, kept, output = ctx.saved_tensors
        launch: _Launch = ctx.launch
        geometry, graph, dtype = launch.geometry, launch.variant.graph, launch.dtype
        _, batch, neurons = launch.shape
        wants_current, wants_coefficients, wants_state, wants_weight, *_ = ctx.needs_input_grad
        if go is None:
            go = torch.zeros(1, 1, 1, dtype=dtype).expand(launch.shape)
        if final_gradient is None:
            final_gradient = torch.zeros_like(state)
        if wants_current or weight is not None:
            gx = empty(launch.shape, dtype)
        else:  # every step overwrites the one before
            gx = torch.empty(1, batch, neurons, dtype=dtype).expand(launch.shape)
        state_gradient = torch.empty_like(state)
        blocks = torch.empty(geometry.row_blocks, graph.coefficients, neurons, dtype=dtype)
        packed, sums, panels, product_row = None, None, 0, 0
        if weight is not None:
            packed = recurrence.packed(weight, this_machine())
            panels, product_row = packed.shape[0], packed.shape[0] * packed.shape[2]
            if wants_weight and output is None:
                sums = empty((geometry.tasks, neurons, geometry.padded), dtype).zero_()
        launch.run(
            "backward",
            {
                **{"x": _readable(current), "mask": mask, "coefficients": coefficients},
                **{"kept": kept, "weight": rows, "packed": packed, "weight_gradient": sums},
                **{"go": _readable(go), "final_gradient": final_gradient.contiguous()},
                **{"gx": gx, "state_gradient": state_gradient, "coefficient_gradient": blocks},
            },
            {"weight_row": geometry.padded, "panels": panels, "product_row": product_row},
            backward_scratch(geometry, graph.states, graph.coefficients, product_row=product_row),
        )
        weight_gradient = None
        if sums is not None:
            weight_gradient = sums.sum(0)[:, :neurons].t()
        elif weight is not None and wants_weight:
            first, later = gx[0], gx[1:].flatten(0, 1)
            weight_gradient = later.t() @ output[:-1].flatten(0, 1) + first.t() @ state[0]
        if weight is not None and wants_state:
            state_gradient[0] += gx[0] @ weight  # the initial spike feeds the first step
        return (
            gx if wants_current else None,
            blocks.sum(0) if wants_coefficients else None,
            state_gradient if wants_state else None,
            weight_gradient,
            *(None,) * 3,
        )
