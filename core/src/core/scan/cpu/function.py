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
from core.scan.cpu.arrays import address, numbered, own, readable, samples, saved, sequence
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
        written = ["gx"]
        if forward:
            written = ["output", *[f"trace{f}" for f in traces]]
            written += [f"final{f}" for f in range(self.variant.graph.states)]
        stream = all(self._streams(arrays[name]) for name in written)
        # Backwards, a recurrent layer reads what it wrote.
        stream = stream and (forward or not self.variant.coupled)
        variant = replace(self.variant, stream=stream, traces=traces)
        if forward:  # the same whatever is trained
            variant = replace(variant, trained=())
        names = forward_slots(variant) if forward else backward_slots(variant)
        for name, array in arrays.items():
            if f"{name}_t" in names:
                slots |= sequence(name, array)
            elif f"{name}_b" in names:
                slots |= samples(name, array)
            else:
                slots[name] = address(array)
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

    def targets(self, wants: _Wants) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
        """Memory for the gradients of the current, of the first state, and parts of coefficients'.

        Of a coefficient for each block of rows; of a shared one for each task.
        """
        _, batch, neurons = self.shape
        if wants.current or self.variant.coupled:
            gx = empty(tuple(self.shape), self.dtype)
        else:  # every step overwrites the one before
            gx = empty((1, batch, neurons), self.dtype).expand(self.shape)
        first = [empty((batch, neurons), self.dtype) if wanted else None for wanted in wants.state]
        parts: list[Tensor | None] = []
        for shared, wanted in zip(self.variant.shared, wants.coefficients, strict=True):
            blocks = (self.geometry.tasks,) if shared else (self.geometry.row_blocks, neurons)
            parts.append(empty(blocks, self.dtype) if wanted else None)
        return gx, first, parts

    def sums(self) -> Tensor:
        """Memory for the gradient of the recurrent weight, transposed, for each task."""
        return empty((self.geometry.tasks, self.shape[2], self.geometry.padded), self.dtype)

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


def _added(parts: Tensor | None, shared: bool) -> Tensor | None:
    """The gradient of a coefficient, of its parts by tasks or blocks of rows."""
    if parts is None or shared:
        return None if parts is None else parts.sum()
    return parts[0] if len(parts) == 1 else parts.sum(0)


def _packed(slot: str, fields: Sequence[int], weights: Sequence[Tensor]) -> dict[str, Tensor]:
    pairs = zip(fields, weights, strict=True)
    return {f"{slot}{f}": recurrence.packed(weight, this_machine()) for f, weight in pairs}


def _outer(gx: Tensor, sent: Tensor, first: Tensor) -> Tensor:
    """The gradient of a weight: what arrived in each step times what was sent the step before."""
    later = gx[1:].flatten(0, 1)
    return later.t() @ sent[:-1].flatten(0, 1) + gx[0].t() @ first


class Scan(torch.autograd.Function):
    """Current, weight, mask, coefficients, state and weights of pathways -> output, state, traces.

    ``B`` is at least one; weight and mask may be None; coefficients are 0-d or ``[N]``, fields of
    the state ``[B, N]``, and the last weights belong to the fields in ``pathways``, by number.
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
        coefficients, fields, weights = _parts(rest, graph)
        shared = tuple(c.dim() == 0 for c in coefficients)
        trained = ctx.wants.coefficients
        variant = CpuVariant(graph, double, recurrent, shared, trained, pathways=pathways)
        ctx.launch = _Launch(variant, name, current.shape, dtype, geometry)
        coefficients = [c.contiguous() for c in coefficients]
        differentiated = any(needed)
        keep = own if differentiated else readable
        state = {f: keep(fields[f]) for f in variant.read}
        mask = None if mask is None else readable(mask)
        current = saved(current)
        rows = None
        if weight is not None:
            # Row j: what a spike of neuron j adds to the current of all.
            rows = torch.zeros(neurons, geometry.padded, dtype=dtype)
            rows[:, :neurons] = weight.t()
        kept = None
        if differentiated and geometry.segments > 1:
            kept = empty((geometry.segments - 1, graph.states, batch, neurons), dtype)
        final = [empty((batch, neurons), dtype) for _ in fields]
        if spend and not differentiated and current.is_contiguous():
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
                **{"x": readable(current), "mask": mask, "kept": kept},
                **{"weight": rows, "output": output},
                **numbered("c", coefficients),
                **{f"state{f}": field for f, field in state.items()},
                **numbered("final", final),
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
        if recurrent and differentiated and int(spikes.sum()) > DENSE * output.numel():
            ctx.output = output.detach(), output._version
        ctx.save_for_backward(
            *(current, weight, mask, rows, kept),
            *(*coefficients, *state.values(), *weights, *[traces[f] for f in through]),
        )
        ctx.set_materialize_grads(False)
        # Fields of their own, no views of one tensor: they may be written to in place.
        given = [traces[f].clone() if f in through else traces[f] for f in recorded]
        return output, *final, *given

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
        launch: _Launch = ctx.launch
        wants: _Wants = ctx.wants
        graph, read, dtype = launch.variant.graph, launch.variant.read, launch.dtype
        coefficients, rest = rest[: graph.coefficients], rest[graph.coefficients :]
        state, more = dict(zip(read, rest, strict=False)), rest[len(read) :]
        final_gradients = gradients[: graph.states]
        pairs = zip(ctx.recorded, gradients[graph.states :], strict=True)
        traces = {f: readable(gradient) for f, gradient in pairs if gradient is not None}
        if go is None:
            go = torch.zeros(1, 1, 1, dtype=dtype).expand(launch.shape)
        last = [None if given is None else readable(given) for given in final_gradients]
        gx, first, parts = launch.targets(wants)
        packed, sums, pathways = None, None, launch.variant.pathways
        weights, through = more[: len(pathways)], iter(more[len(pathways) :])
        if weight is not None:
            packed = recurrence.packed(weight, this_machine())
            if wants.weight and output is None:
                sums = launch.sums().zero_()
        launch.run(
            "backward",
            {
                **{"x": readable(current), "mask": mask, "go": readable(go), "gx": gx},
                **{"kept": kept, "weight": rows, "packed": packed, "weight_gradient": sums},
                **numbered("c", coefficients),
                **{f"state{f}": field for f, field in state.items()},
                **numbered("gs", last),
                **numbered("first", first),
                **numbered("gc", parts),
                **{f"gt{f}": gradient for f, gradient in traces.items()},
                **_packed("path", pathways, [path.t() for path in weights]),
                **_packed("back", pathways, weights),
            },
            tuple(traces),
        )  # fmt: skip
        weight_gradient = None
        if sums is not None:
            weight_gradient = sums.sum(0)[:, : launch.shape[2]].t()
        elif weight is not None and wants.weight:
            weight_gradient = _outer(gx, output, state[0])
        # The initial state feeds the first step.
        feeding = [(0, weight)] if weight is not None else []
        for f, matrix in (*feeding, *zip(pathways, weights, strict=True)):
            if (found := first[f]) is not None:
                found += gx[0] @ matrix
        return (
            *(None,) * 6,
            gx if wants.current else None,
            weight_gradient,
            None,
            *map(_added, parts, launch.variant.shared),
            *first,
            *[
                _outer(gx, next(through), state[f]) if wanted else None
                for f, wanted in zip(pathways, wants.pathways, strict=True)
            ],
        )
