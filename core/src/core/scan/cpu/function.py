"""A scan as an autograd function: memory for both kernels, and their launch."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
#: Arguments of :class:`Scan` before coefficients, state and weights of pathways.
FIXED = 9
#: Share of spikes above which one large product is faster than adding rows.
DENSE = 0.2


@once
def _kernel(direction: str, variant: CpuVariant, name: str) -> Function:
    text = forward_text if direction == "forward" else backward_text
    what = f"CPU kernel of {name} ({direction}, {'float64' if variant.double else 'float32'}"
    what += ", recurrent)" if variant.coupled else ")"
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


def _parts(rest: Sequence[Any], graph: StepGraph) -> tuple[Sequence[Any], ...]:
    """What belongs to coefficients, to fields of the state, and to weights of pathways."""
    states = graph.coefficients + graph.states
    return rest[: graph.coefficients], rest[graph.coefficients : states], rest[states:]


@dataclass(frozen=True)
class _Wants:
    """Whose gradients are wanted."""

    current: bool
    weight: bool
    coefficients: tuple[bool, ...]
    state: tuple[bool, ...]
    pathways: tuple[bool, ...]

    @classmethod
    def of(cls, needed: Sequence[bool], graph: StepGraph) -> _Wants:
        """From autograd's flags of all inputs of :class:`Scan`."""
        *_, current, weight, _ = needed[:FIXED]
        rest = needed[FIXED:]
        return cls(current, weight, *map(tuple, _parts(rest, graph)))


@dataclass(frozen=True)
class _Launch:
    """What both directions of one scan share."""

    variant: CpuVariant
    name: str
    shape: torch.Size
    dtype: torch.dtype
    geometry: Geometry

    @cached_property
    def product(self) -> dict[str, int]:
        """The slots of dense products; zero where there are none."""
        panels, wide = 0, 0
        if self.variant.coupled:
            panels, wide = recurrence.panels_of(self.shape[2], self.dtype.itemsize, this_machine())
        return {"panels": panels, "product_row": panels * wide}

    def run(
        self,
        direction: str,
        arrays: dict[str, Tensor | None],
        traces: tuple[int, ...],
    ) -> None:
        """Run a kernel in as many threads as pay.

        Args:
            direction: Of the kernel.
            arrays: Slot -> array.
            traces: See :class:`CpuVariant`.
        """
        steps, batch, neurons = self.shape
        plan = self.geometry
        slots = {
            **{"tasks": plan.tasks, "T": steps, "B": batch, "N": neurons},
            **{"segment": plan.segment, "segments": plan.segments, "rows": plan.rows},
            **{"columns": plan.columns, "column_blocks": plan.column_blocks},
            **{"padded": plan.padded, "control": denormals(), "weight_row": plan.padded},
            **self.product,
        }
        forward = direction == "forward"
        written = ("output", *[f"trace{f}" for f in traces]) if forward else ("gx",)
        stream = all(self._streams(arrays[name]) for name in written)
        # Backwards, a recurrent layer reads what it wrote.
        stream = stream and (forward or not self.variant.coupled)
        variant = replace(self.variant, stream=stream, traces=traces)
        if forward:  # the same whatever is trained
            variant = replace(variant, parameters=False)
        names = forward_slots(variant) if forward else backward_slots(variant)
        for name, array in arrays.items():
            strides = f"{name}_t" in names
            slots |= _sequence(name, array) if strides else {name: _address(array)}
        kernel = _kernel(direction, variant, self.name)
        work = self.shape.numel() // workers.ELEMENTS_PER_THREAD
        threads = max(1, min(torch.get_num_threads(), plan.tasks, work))
        scratch = self._scratch(forward)
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

    def _scratch(self, forward: bool) -> int:
        """Reals of scratch memory that a thread needs."""
        graph, row = self.variant.graph, self.product["product_row"]
        pathways = len(self.variant.pathways)
        if forward:
            return forward_scratch(self.geometry, graph.states, pathways=pathways, product_row=row)
        sizes = self.geometry, graph.states, graph.coefficients
        return backward_scratch(*sizes, pathways=pathways, product_row=row)

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


def _packed(slot: str, fields: Sequence[int], weights: Sequence[Tensor]) -> dict[str, Tensor]:
    pairs = zip(fields, weights, strict=True)
    return {f"{slot}{f}": recurrence.packed(weight, this_machine()) for f, weight in pairs}


def _outer(gx: Tensor, sent: Tensor, first: Tensor) -> Tensor:
    """The gradient of a weight: what arrived in each step times what was sent the step before."""
    later = gx[1:].flatten(0, 1)
    return later.t() @ sent[:-1].flatten(0, 1) + gx[0].t() @ first


class Scan(torch.autograd.Function):
    """Current, weight, mask, coefficients, state and weights of pathways -> output, state, traces.

    ``B`` is at least one; weight and mask may be None; coefficients are ``[N]``, fields of the
    state ``[B, N]``, and the last weights belong to the fields in ``pathways``, given by number.
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
        pathways: tuple[int, ...],
        differentiable: bool,
        spend: bool,
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
            recurrent=recurrent or bool(pathways),
            lanes=this_machine().vector_bytes // dtype.itemsize,
            real=dtype.itemsize,
            whole_rows=bool(graph.all_winners),
        )
        ctx.tie = tie(current, weight, *rest)
        needed = [wanted and differentiable for wanted in ctx.needs_input_grad]
        ctx.wants = _Wants.of(needed, graph)
        double = dtype == torch.float64
        parameters = any(ctx.wants.coefficients)
        variant = CpuVariant(graph, double, recurrent, parameters, pathways=pathways)
        ctx.launch = _Launch(variant, name, current.shape, dtype, geometry)
        *parts, weights = _parts(rest, graph)
        coefficients, state = (_stacked(part, dtype) for part in parts)
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
        if any(needed):
            kept = empty((geometry.segments, graph.states, batch, neurons), dtype)
        final = empty(tuple(state.shape), dtype)
        if spend and kept is None and current.is_contiguous():
            output = current.detach()  # a step reads its current before it writes
        else:
            output = empty((steps, batch, neurons), dtype)
        # The gradient of a pathway's weight is one large product with what went through it.
        through = [f for f, wanted in zip(pathways, ctx.wants.pathways, strict=True) if wanted]
        traces = {f: empty((steps, batch, neurons), dtype) for f in (*recorded, *through)}
        spikes = torch.zeros(geometry.tasks, dtype=torch.int64)
        ctx.launch.run(
            "forward",
            {
                **{"x": readable, "mask": mask, "coefficients": coefficients, "kept": kept},
                **{"weight": rows, "state": state, "final": final, "output": output},
                **{f"trace{f}": trace for f, trace in traces.items()},
                **_packed("path", pathways, [weight.t() for weight in weights]),
                "spikes": spikes,
            },
            tuple(traces),
        )
        ctx.recorded = recorded
        # The output is needed only where the weight's gradient is one large product with it. It is
        # not saved: that would forbid writing to it, which backward sees by its version.
        ctx.output = None, 0
        if recurrent and kept is not None and int(spikes.sum()) > DENSE * output.numel():
            ctx.output = output.detach(), output._version
        ctx.save_for_backward(
            *(current, coefficients, state, weight, mask, rows, kept),
            *(*weights, *[traces[f] for f in through]),
        )
        ctx.set_materialize_grads(False)
        # Fields of their own, no views of one tensor: they may be written to in place.
        given = [traces[f].clone() if f in through else traces[f] for f in recorded]
        return output, *[field.clone() for field in final], *given

    @staticmethod
    @differentiable_once(fused.TWICE)
    def backward(
        ctx: Any, go: Tensor | None, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Run all steps backwards."""
        current, coefficients, state, weight, mask, rows, kept, *more = ctx.saved_tensors
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
        if wants.current or launch.variant.coupled:
            gx = empty(tuple(launch.shape), dtype)
        else:  # every step overwrites the one before
            gx = torch.empty(1, batch, neurons, dtype=dtype).expand(launch.shape)
        state_gradient = empty((graph.states, batch, neurons), dtype)
        blocks = torch.empty(geometry.row_blocks, graph.coefficients, neurons, dtype=dtype)
        packed, sums, pathways = None, None, launch.variant.pathways
        weights, through = more[: len(pathways)], iter(more[len(pathways) :])
        if weight is not None:
            packed = recurrence.packed(weight, this_machine())
            if wants.weight and output is None:
                sums = empty((geometry.tasks, neurons, geometry.padded), dtype).zero_()
        launch.run(
            "backward",
            {
                **{"x": _readable(current), "mask": mask, "coefficients": coefficients},
                **{"kept": kept, "weight": rows, "packed": packed, "weight_gradient": sums},
                **{"go": _readable(go), "final_gradient": final_gradient},
                **{f"gt{f}": gradient for f, gradient in traces.items()},
                **_packed("path", pathways, [path.t() for path in weights]),
                **_packed("back", pathways, weights),
                **{"gx": gx, "state_gradient": state_gradient, "coefficient_gradient": blocks},
            },
            tuple(traces),
        )  # fmt: skip
        weight_gradient = None
        if sums is not None:
            weight_gradient = sums.sum(0)[:, :neurons].t()
        elif weight is not None and wants.weight:
            weight_gradient = _outer(gx, output, state[0])
        if weight is not None and wants.state[0]:
            state_gradient[0] += gx[0] @ weight  # the initial spike feeds the first step
        for f, path in zip(pathways, weights, strict=True):
            if wants.state[f]:
                state_gradient[f] += gx[0] @ path
        return (
            *(None,) * 6,
            gx if wants.current else None,
            weight_gradient,
            None,
            *_wanted(blocks.sum(0) if any(wants.coefficients) else blocks, wants.coefficients),
            *_wanted(state_gradient, wants.state),
            *[
                _outer(gx, next(through), state[f]) if wanted else None
                for f, wanted in zip(pathways, wants.pathways, strict=True)
            ],
        )
