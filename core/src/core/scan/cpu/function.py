"""A scan as an autograd function: memory for both kernels, and their launch."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.buffers import empty
from core.once import once
from core.opaque import differentiable_once, tie
from core.scan import fused
from core.scan.cpu import recurrence, workers
from core.scan.cpu.backward import backward_text
from core.scan.cpu.forward import forward_text
from core.scan.cpu.geometry import Geometry, backward_scratch, forward_scratch, plan
from core.scan.cpu.kernel import CpuVariant, backward_slots, forward_slots
from core.scan.cpu.machine import Function, denormals, function, this_machine
from core.scan.graph import StepGraph

#: Bytes of a sequence above which caches cannot hold it until it is read.
LARGE = 16 << 20
#: Share of spikes above which one large product is faster than adding rows.
DENSE = 0.2


@once
def _kernel(direction: str, variant: CpuVariant, name: str) -> Function:
    text = forward_text if direction == "forward" else backward_text
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
class _Wants:
    """Whose gradients are wanted."""

    current: bool
    weight: bool
    coefficients: tuple[bool, ...]
    state: tuple[bool, ...]

    @classmethod
    def of(cls, needed: tuple[bool, ...], graph: StepGraph) -> _Wants:
        """From autograd's flags of all inputs of :class:`Scan`."""
        _, _, _, current, weight, _, *rest = needed
        return cls(
            current, weight, tuple(rest[: graph.coefficients]), tuple(rest[graph.coefficients :])
        )


@dataclass(frozen=True)
class _Launch:
    """What both directions of one scan share."""

    variant: CpuVariant
    name: str
    shape: torch.Size
    dtype: torch.dtype
    geometry: Geometry

    def run(
        self,
        direction: str,
        arrays: dict[str, Tensor | None],
        rest: dict[str, int],
        scratch: int,
        traces: tuple[int, ...],
    ) -> None:
        """Run a kernel in as many threads as pay.

        Args:
            direction: Of the kernel.
            arrays: Slot -> array.
            rest: Other slots.
            scratch: Reals of scratch memory that a thread needs.
            traces: See :class:`CpuVariant`.
        """
        steps, batch, neurons = self.shape
        plan = self.geometry
        slots = {
            **{"tasks": plan.tasks, "T": steps, "B": batch, "N": neurons},
            **{"segment": plan.segment, "segments": plan.segments, "rows": plan.rows},
            **{"columns": plan.columns, "column_blocks": plan.column_blocks},
            **{"padded": plan.padded, "control": denormals(), **rest},
        }
        forward = direction == "forward"
        written = ("output", *[f"trace{f}" for f in traces]) if forward else ("gx",)
        stream = all(self._streams(arrays[name]) for name in written)
        # Backwards, a recurrent layer reads what it wrote.
        stream = stream and (forward or not self.variant.recurrent)
        variant = replace(self.variant, stream=stream, traces=traces)
        names = forward_slots(variant) if forward else backward_slots(variant)
        for name, array in arrays.items():
            strides = f"{name}_t" in names
            slots |= _sequence(name, array) if strides else {name: _address(array)}
        kernel = _kernel(direction, variant, self.name)
        work = self.shape.numel() // workers.ELEMENTS_PER_THREAD
        threads = max(1, min(torch.get_num_threads(), plan.tasks, work))
        memory = empty((threads, scratch), self.dtype)
        # One list of spikes; backwards one list per row, and the winners of a segment.
        places = neurons
        if not forward:
            won = plan.segment * len(variant.graph.all_winners)
            places += plan.rows * (neurons + 1 + won)
        indices = torch.empty(threads, places, dtype=torch.int32)
        counters = (ctypes.c_int64 * 2)(0, 0)
        slots |= {"counters": ctypes.addressof(counters), "scratch_size": scratch}
        slots |= {"scratch": memory.data_ptr()}
        slots |= {"indices": indices.data_ptr(), "indices_size": places}
        workers.run(kernel, (ctypes.c_int64 * len(names))(*[slots[n] for n in names]), threads)

    def _streams(self, written: Tensor | None) -> bool:
        """Whether a kernel should write a sequence past the caches."""
        if written is None or not written.is_contiguous():
            return False
        row = self.shape[2] * self.dtype.itemsize
        aligned = (written.data_ptr() | row) % this_machine().vector_bytes == 0
        return aligned and self.shape.numel() * self.dtype.itemsize >= LARGE


def _stacked(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.stack(list(tensors), out=empty((len(tensors), *tensors[0].shape), dtype))


def _wanted(parts: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
    return [parts[place] if keep else None for place, keep in enumerate(wanted)]


class Scan(torch.autograd.Function):
    """Current, weight, mask, coefficients ``[N]`` and state ``[B, N]`` -> output, state, traces.

    ``B`` is at least one; weight and mask may be None. The state is the one after the last step;
    traces are the values of the recorded fields, given by number, after every step. Gradients of
    gradients raise a RuntimeError.
    """

    @staticmethod
    def forward(
        ctx: Any,
        graph: StepGraph,
        recorded: tuple[int, ...],
        name: str,
        current: Tensor,
        weight: Tensor | None,
        mask: Tensor | None,
        *rest: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run all steps."""
        steps, batch, neurons = current.shape
        dtype, recurrent = current.dtype, weight is not None
        geometry = plan(
            *current.shape,
            states=graph.states,
            recurrent=recurrent,
            lanes=this_machine().vector_bytes // dtype.itemsize,
            real=dtype.itemsize,
            whole_rows=bool(graph.all_winners),
        )
        ctx.tie = tie(current, weight, *rest)
        ctx.wants = _Wants.of(ctx.needs_input_grad, graph)
        double = dtype == torch.float64
        variant = CpuVariant(graph, double, recurrent, parameters=any(ctx.wants.coefficients))
        ctx.launch = _Launch(variant, name, current.shape, dtype, geometry)
        coefficients = _stacked(rest[: graph.coefficients], dtype)
        state = _stacked(rest[graph.coefficients :], dtype)
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
        output, final = empty((steps, batch, neurons), dtype), empty(tuple(state.shape), dtype)
        traces = [empty((steps, batch, neurons), dtype) for _ in recorded]
        spikes = torch.zeros(geometry.tasks, dtype=torch.int64)
        ctx.launch.run(
            "forward",
            {
                **{"x": readable, "mask": mask, "coefficients": coefficients, "kept": kept},
                **{"weight": rows, "state": state, "final": final, "output": output},
                **{f"trace{f}": trace for f, trace in zip(recorded, traces, strict=True)},
                "spikes": spikes,
            },
            {"weight_row": geometry.padded},
            forward_scratch(geometry, graph.states),
            recorded,
        )
        ctx.recorded = recorded
        # The output is needed only where the weight's gradient is one large product with it. It is
        # not saved: that would forbid writing to it, which backward sees by its version.
        ctx.output = None, 0
        if recurrent and kept is not None and int(spikes.sum()) > DENSE * output.numel():
            ctx.output = output.detach(), output._version
        ctx.save_for_backward(current, coefficients, state[0], weight, mask, rows, kept)
        ctx.set_materialize_grads(False)
        # Fields of their own, no views of one tensor: they may be written to in place.
        return output, *[field.clone() for field in final], *traces

    @staticmethod
    @differentiable_once(fused.TWICE)
    def backward(
        ctx: Any, go: Tensor | None, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Run all steps backwards."""
        current, coefficients, spike, weight, mask, rows, kept = ctx.saved_tensors
        output, version = ctx.output
        if output is not None and output._version != version:
            output = None
        launch: _Launch = ctx.launch
        wants: _Wants = ctx.wants
        geometry, graph, dtype = launch.geometry, launch.variant.graph, launch.dtype
        _, batch, neurons = launch.shape
        final_gradients = gradients[: graph.states]
        pairs = zip(ctx.recorded, gradients[graph.states :], strict=True)
        traces = {f: _readable(gradient) for f, gradient in pairs if gradient is not None}
        if go is None:
            go = torch.zeros(1, 1, 1, dtype=dtype).expand(launch.shape)
        final_gradient = None
        if any(gradient is not None for gradient in final_gradients):
            zero = torch.zeros(1, 1, dtype=dtype).expand(batch, neurons)
            given = [zero if gradient is None else gradient for gradient in final_gradients]
            final_gradient = _stacked(given, dtype)
        if wants.current or weight is not None:
            gx = empty(tuple(launch.shape), dtype)
        else:  # every step overwrites the one before
            gx = torch.empty(1, batch, neurons, dtype=dtype).expand(launch.shape)
        state_gradient = empty((graph.states, batch, neurons), dtype)
        blocks = torch.empty(geometry.row_blocks, graph.coefficients, neurons, dtype=dtype)
        packed, sums, panels, product_row = None, None, 0, 0
        if weight is not None:
            packed = recurrence.packed(weight, this_machine())
            panels, product_row = packed.shape[0], packed.shape[0] * packed.shape[2]
            if wants.weight and output is None:
                sums = empty((geometry.tasks, neurons, geometry.padded), dtype).zero_()
        launch.run(
            "backward",
            {
                **{"x": _readable(current), "mask": mask, "coefficients": coefficients},
                **{"kept": kept, "weight": rows, "packed": packed, "weight_gradient": sums},
                **{"go": _readable(go), "final_gradient": final_gradient},
                **{f"gt{f}": gradient for f, gradient in traces.items()},
                **{"gx": gx, "state_gradient": state_gradient, "coefficient_gradient": blocks},
            },
            {"weight_row": geometry.padded, "panels": panels, "product_row": product_row},
            backward_scratch(geometry, graph.states, graph.coefficients, product_row=product_row),
            tuple(traces),
        )
        weight_gradient = None
        if sums is not None:
            weight_gradient = sums.sum(0)[:, :neurons].t()
        elif weight is not None and wants.weight:
            first, later = gx[0], gx[1:].flatten(0, 1)
            weight_gradient = later.t() @ output[:-1].flatten(0, 1) + first.t() @ spike
        if weight is not None and wants.state[0]:
            state_gradient[0] += gx[0] @ weight  # the initial spike feeds the first step
        return (
            *(None,) * 3,
            gx if wants.current else None,
            weight_gradient,
            None,
            *_wanted(blocks.sum(0) if any(wants.coefficients) else blocks, wants.coefficients),
            *_wanted(state_gradient, wants.state),
        )
