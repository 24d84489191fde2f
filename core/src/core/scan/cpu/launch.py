"""What both directions of a scan share: which kernel, on which arrays, in how many threads."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from core.buffers import empty
from core.once import once
from core.scan.cpu import recurrence, workers
from core.scan.cpu.arrays import address, samples, sequence
from core.scan.cpu.backward import backward_text
from core.scan.cpu.forward import forward_text
from core.scan.cpu.geometry import Geometry, backward_scratch, forward_scratch, plan
from core.scan.cpu.kernel import CpuVariant, backward_slots, forward_slots
from core.scan.cpu.machine import Function, denormals, function, this_machine
from core.scan.cpu.parts import Wants
from core.scan.currents import current_input
from core.scan.graph import StepGraph

#: Bytes of a sequence above which caches cannot hold it until it is read.
LARGE = 16 << 20


@once
def _kernel(direction: str, variant: CpuVariant, name: str) -> Function:
    text = forward_text if direction == "forward" else backward_text
    what = f"CPU kernel of {name} ({direction}, {'float64' if variant.double else 'float32'}"
    what += ", recurrent)" if variant.coupled else ")"
    return function(direction, text(variant, this_machine()), what)


def cut(variant: CpuVariant, shape: torch.Size, dtype: torch.dtype) -> Geometry:
    """How a scan is cut into tasks and segments on this machine."""
    return plan(
        *shape,
        states=variant.graph.states,
        coupled=len(variant.coupled),
        lanes=this_machine().vector_bytes // dtype.itemsize,
        real=dtype.itemsize,
        whole_rows=bool(variant.graph.all_winners),
    )


@dataclass(frozen=True)
class Launch:
    """What both directions of one scan share."""

    variant: CpuVariant
    name: str
    shape: torch.Size
    dtype: torch.dtype
    geometry: Geometry

    @classmethod
    def of(
        cls,
        graph: StepGraph,
        name: str,
        current_TBN: Tensor,
        *,
        recurrent: bool,
        pathways: tuple[tuple[int, int], ...],
        shared: tuple[bool, ...],
        trained: tuple[bool, ...],
    ) -> Launch:
        """For ``neurons`` of that name, see :class:`CpuVariant`."""
        shape, dtype = current_TBN.shape, current_TBN.dtype
        double = dtype == torch.float64
        variant = CpuVariant(graph, double, recurrent, shared, trained, pathways=pathways)
        return cls(variant, name, shape, dtype, cut(variant, shape, dtype))

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
        written = [f"g{current_input(k)}" for k in range(self.variant.graph.currents)]
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

    def targets(
        self, wants: Wants
    ) -> tuple[list[Tensor], list[Tensor | None], list[Tensor | None]]:
        """Memory for the gradients of the currents, of the first state, and parts of coefficients'.

        Of a coefficient for each block of rows; of a shared one for each task.
        """
        _, batch, neurons = self.shape
        gx = [
            empty(tuple(self.shape), self.dtype)
            if wanted or k in self.variant.coupled
            # every step overwrites the one before
            else empty((1, batch, neurons), self.dtype).expand(self.shape)
            for k, wanted in enumerate((wants.current, *wants.further))
        ]
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
        coupled, pathways = len(self.variant.coupled), len(self.variant.pathways)
        sizes = {"coupled": coupled, "pathways": pathways, "product_row": row}
        if forward:
            return forward_scratch(self.geometry, graph.states, **sizes)
        return backward_scratch(self.geometry, graph.states, graph.coefficients, **sizes)

    def _streams(self, written: Tensor | None) -> bool:
        """Whether a kernel should write a sequence past the caches."""
        if written is None or not written.is_contiguous():
            return False
        row = self.shape[2] * self.dtype.itemsize
        aligned = (written.data_ptr() | row) % this_machine().vector_bytes == 0
        return aligned and self.shape.numel() * self.dtype.itemsize >= LARGE
