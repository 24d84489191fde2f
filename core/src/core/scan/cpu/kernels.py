"""The two kernels of a neuron: all steps forwards, all steps backwards.

A kernel takes tasks until none is left: a task is a block of ``rows`` samples and ``columns``
neurons (all of them, where the layer is recurrent) over all time steps, with its state in scratch
memory that fits in the processor's cache. Samples do not touch each other in either direction, so
tasks need no synchronisation, and as their size does not depend on the number of threads, neither
do the results.

The forward kernel keeps the state before every ``segment``-th step. The backward kernel goes
through the segments from the last to the first: it runs a segment forwards again from the kept
state, into scratch memory, and then backwards. Recomputing a step costs less than writing its
states to memory and reading them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from core.scan.cpu import recurrence
from core.scan.cpu.code import I64, Code, Value
from core.scan.cpu.machine import Machine
from core.scan.cpu.vector import operations
from core.scan.graph import StepGraph

#: Slots that both kernels read: sizes, the geometry of tasks, and the arrays of the forward pass.
#: ``*_t`` and ``*_b`` are strides in elements; the stride over neurons is one everywhere.
COMMON = (
    *("counter", "tasks", "control", "scratch", "indices"),
    *("T", "B", "N", "segment", "segments", "rows", "columns", "column_blocks", "padded"),
    *("x", "x_t", "x_b", "mask", "mask_t", "mask_b", "coefficients", "kept"),
    *("weight", "weight_row"),
)
#: ``kept`` may be zero: nothing is kept. ``spikes`` counts, per task, what gathered rows.
FORWARD = (*COMMON, "state", "final", "output", "spikes")
BACKWARD = (
    *COMMON,
    *("go", "go_t", "go_b", "final_gradient", "gx", "gx_t", "gx_b", "state_gradient"),
    *("coefficient_gradient", "packed", "panels", "product_row", "weight_gradient"),
)


AHEAD = 3


@dataclass(frozen=True)
class Variant:
    """Which kernel of a neuron.

    Attributes:
        graph: The step.
        double: Double precision.
        recurrent: With a recurrent weight.
        parameters: Whether the backward kernel gives gradients of coefficients.
        stream: Whether what it writes goes past the caches, see :meth:`Code.store`.
    """

    graph: StepGraph
    double: bool
    recurrent: bool
    parameters: bool = True
    stream: bool = False

    @property
    def real(self) -> ir.Type:
        """LLVM's type."""
        return ir.DoubleType() if self.double else ir.FloatType()


class _Kernel:
    """What both kernels share: tasks, rows of scratch memory, one step forwards."""

    def __init__(self, name: str, slots: tuple[str, ...], variant: Variant, machine: Machine):
        self.variant, self.graph = variant, variant.graph
        self.code = Code(name, slots, variant.real, machine)
        self.table = operations(self.code)
        self.states = self.graph.states

    @contextmanager
    def tasks(self) -> Iterator[None]:
        """Code of one task, repeated for all; sets where the task lies."""
        code = self.code
        b = code.builder
        if code.machine.x86:
            kind = ir.FunctionType(ir.VoidType(), [ir.PointerType()])
            # Denormal numbers as the caller's thread treats them.
            b.call(code.declare("llvm.x86.sse.ldmxcsr", kind), [code.slot_address("control")])
        with code.endless() as leave_if:
            task = b.atomic_rmw("add", code.array("counter"), I64(1), "monotonic")
            leave_if(b.icmp_signed(">=", task, code.slot("tasks")))
            self.task = task
            blocks = code.slot("column_blocks")
            row_block, column_block = b.sdiv(task, blocks), b.srem(task, blocks)
            self.first_row = code.product(row_block, code.slot("rows"))
            self.first = code.product(column_block, code.slot("columns"))
            rest = b.sub(code.slot("B"), self.first_row)
            self.rows = code.smaller(code.slot("rows"), rest)
            self.width = code.smaller(code.slot("columns"), b.sub(code.slot("N"), self.first))
            yield

    def sequence(self, slot: str, t: Value, r: Value) -> Value:
        """The row of ``[T, B, N]`` at step ``t`` and the task's row ``r``."""
        code = self.code
        return code.at(
            code.array(slot),
            code.product(t, code.slot(f"{slot}_t")),
            code.product(code.sum(self.first_row, r), code.slot(f"{slot}_b")),
            self.first,
        )

    def stacked(self, slot: str, field: Value | int, r: Value) -> Value:
        """The row of ``[fields, B, N]``."""
        code = self.code
        row = code.sum(code.product(field, code.slot("B")), self.first_row, r)
        return code.at(code.array(slot), code.product(row, code.slot("N")), self.first)

    def kept(self, segment: Value, field: int, r: Value) -> Value:
        """The row of a kept state, ``[segments, fields, B, N]``."""
        return self.stacked(
            "kept", self.code.sum(self.code.product(segment, self.states), field), r
        )

    def coefficient(self, place: int) -> Value:
        """The row of coefficient ``place``."""
        code = self.code
        start = code.product(place, code.slot("N"))
        return code.at(code.array("coefficients"), start, self.first)

    def advance(
        self, t: Value, r: Value, before: list[Value], after: list[Value], total: Value,
        output: Value | None,
    ) -> None:  # fmt: skip
        """One step of one row: state ``before`` to ``after``, both in scratch memory.

        With recurrence, the total current is gathered into ``total`` first.
        """
        code, graph = self.code, self.graph
        if self.variant.recurrent:
            self.gather(t, r, before[0], total)

        def one(i: Value, mask: Value | None) -> None:
            inputs = self.inputs(t, r, i, mask, before, total)
            self.foresee("x", code.sum(t, AHEAD), r, i)
            results = graph.evaluate(graph.forward, inputs, self.table)
            for row, value in zip(after, results, strict=False):
                code.store(value, code.at(row, i))
            if output is not None:
                code.store(results[-1], code.at(output, i), mask, stream=self.variant.stream)

        code.across(self.width, one)

    def inputs(
        self, t: Value, r: Value, i: Value, mask: Value | None, before: list[Value], total: Value
    ) -> dict[str, Value]:
        """What a step reads, for the vector at ``i``."""
        code = self.code
        inputs = {
            f"c{place}": code.load(code.at(self.coefficient(place), i), mask)
            for place in range(self.graph.coefficients)
        }
        inputs |= {f"s{f}": code.load(code.at(row, i)) for f, row in enumerate(before)}
        if self.variant.recurrent:
            inputs["x"] = code.load(code.at(total, i))
        else:
            inputs["x"] = code.load(code.at(self.sequence("x", t, r), i), mask)
        if self.graph.masked:
            inputs["m"] = code.load(code.at(self.sequence("mask", t, r), i), mask)
        return inputs

    def foresee(self, slot: str, t: Value, r: Value, i: Value) -> None:
        """Fetch what a later step reads of a sequence."""
        self.code.prefetch(self.code.at(self.sequence(slot, t, r), i))

    def gather(self, t: Value, r: Value, spikes: Value, total: Value) -> None:
        """Total current of a row, from the spikes of the step before."""
        code = self.code
        count = recurrence.list_spikes(code, spikes, self.width, code.array("indices"))
        recurrence.gather(
            code, self.sequence("x", t, r), spikes, code.array("indices"), count,
            code.array("weight"), code.slot("weight_row"), total, self.width,
        )  # fmt: skip
        self.counted(count)

    def counted(self, count: Value) -> None:
        """Told how many rows a gather read."""


class _Forward(_Kernel):
    def text(self) -> str:
        code = self.code
        with self.tasks():
            total = code.array("scratch")
            base = code.at(total, code.slot("padded"))
            self.count = code.variable(I64(0))
            with code.loop(0, self.rows) as r:
                for f, row in enumerate(self.state(base, r)):
                    source = self.stacked("state", f, r)
                    code.copy_row(source, row, self.width, masked_source=True)
            with code.loop(0, code.slot("segments")) as segment:
                self.keep(base, segment)
                start = code.product(segment, code.slot("segment"))
                stop = code.smaller(code.sum(start, code.slot("segment")), code.slot("T"))
                with code.loop(start, stop) as t, code.loop(0, self.rows) as r:
                    state = self.state(base, r)
                    self.advance(t, r, state, state, total, self.output(t, r))
            with code.loop(0, self.rows) as r:
                for f, row in enumerate(self.state(base, r)):
                    target = self.stacked("final", f, r)
                    code.copy_row(row, target, self.width, masked_source=False)
            if self.variant.recurrent:
                place = code.at(code.array("spikes"), self.task, kind=I64)
                code.builder.store(code.read(self.count), place)
        return code.finish()

    def state(self, base: Value, r: Value) -> list[Value]:
        code = self.code
        start = code.product(r, self.states, code.slot("padded"))
        return [
            code.at(base, start, code.product(f, code.slot("padded"))) for f in range(self.states)
        ]

    def keep(self, base: Value, segment: Value) -> None:
        code = self.code
        wanted = code.builder.icmp_signed("!=", code.slot("kept"), I64(0))
        with code.when(wanted), code.loop(0, self.rows) as r:
            for f, row in enumerate(self.state(base, r)):
                code.copy_row(row, self.kept(segment, f, r), self.width, masked_source=False)

    def output(self, t: Value, r: Value) -> Value:
        return self.stacked("output", t, r)

    def counted(self, count: Value) -> None:
        known = self.code.read(self.count)
        self.code.builder.store(self.code.sum(known, count), self.count)


class _Backward(_Kernel):
    """Backwards through all steps.

    Scratch memory, in rows of ``padded`` reals: gradients of coefficients ``[coefficients]`` and of
    the state ``[rows, states]``, states before the steps of a segment ``[segment, rows, states]``,
    total currents ``[segment, rows]``; then the product, ``[rows + a tile's, product_row]`` reals.
    """

    def text(self) -> str:
        code = self.code
        with self.tasks():
            self.arrange()
            code.clear(self.sums, code.product(self.graph.coefficients, code.slot("padded")))
            with code.loop(0, self.rows) as r:
                for f in range(self.states):
                    source = self.stacked("final_gradient", f, r)
                    code.copy_row(source, self.carried(r, f), self.width, masked_source=True)
            if self.variant.recurrent:
                code.clear(self.product, code.product(self.rows, code.slot("product_row")))
            with code.loop(0, code.slot("segments")) as passed:
                segment = code.builder.sub(code.sum(code.slot("segments"), -1), passed)
                start = code.product(segment, code.slot("segment"))
                stop = code.smaller(code.sum(start, code.slot("segment")), code.slot("T"))
                self.replay(segment, start, stop)
                with code.loop(start, stop) as i:
                    t = code.builder.sub(code.sum(start, stop, -1), i)
                    self.retreat(t, code.builder.sub(t, start))
            self.finish_task()
        return code.finish()

    def arrange(self) -> None:
        """Where everything lies in scratch memory."""
        code, padded = self.code, self.code.slot("padded")
        rows = code.slot("rows")
        self.sums = code.array("scratch")
        self.gradients = code.at(self.sums, code.product(self.graph.coefficients, padded))
        self.before = code.at(self.gradients, code.product(rows, self.states, padded))
        size = code.product(code.slot("segment"), rows, self.states, padded)
        self.totals = code.at(self.before, size)
        self.product = code.at(self.totals, code.product(code.slot("segment"), rows, padded))

    def carried(self, r: Value, field: int) -> Value:
        """Gradient of a field of the state of row ``r``."""
        code = self.code
        row = code.sum(code.product(r, self.states), field)
        return code.at(self.gradients, code.product(row, code.slot("padded")))

    def row_before(self, k: Value, r: Value) -> list[Value]:
        """State of row ``r`` before step ``k`` of the segment."""
        code = self.code
        row = code.product(code.sum(code.product(k, code.slot("rows")), r), self.states)
        return [
            code.at(self.before, code.product(code.sum(row, f), code.slot("padded")))
            for f in range(self.states)
        ]

    def total(self, k: Value, r: Value) -> Value:
        """Total current of row ``r`` in step ``k`` of the segment."""
        code = self.code
        row = code.sum(code.product(k, code.slot("rows")), r)
        return code.at(self.totals, code.product(row, code.slot("padded")))

    def replay(self, segment: Value, start: Value, stop: Value) -> None:
        """Run a segment forwards again; the state after its last step is not needed."""
        code = self.code
        with code.loop(0, self.rows) as r:
            for f, row in enumerate(self.row_before(I64(0), r)):
                code.copy_row(self.kept(segment, f, r), row, self.width, masked_source=True)
        last = code.builder.sub(code.sum(stop, -1), start)
        with code.loop(0, last) as k, code.loop(0, self.rows) as r:
            self.advance(
                code.sum(start, k), r, self.row_before(k, r), self.row_before(code.sum(k, 1), r),
                self.total(k, r), None,
            )  # fmt: skip
        if self.variant.recurrent:
            with code.loop(0, self.rows) as r:
                spikes = self.row_before(last, r)[0]
                self.gather(code.sum(stop, -1), r, spikes, self.total(last, r))

    def retreat(self, t: Value, k: Value) -> None:
        """One step backwards, for all rows of the task."""
        code = self.code
        if self.variant.recurrent:
            with code.when(code.builder.icmp_signed("<", code.sum(t, 1), code.slot("T"))):
                recurrence.multiply(
                    code, self.sequence("gx", code.sum(t, 1), I64(0)), code.slot("gx_b"),
                    self.rows, code.slot("N"), code.array("packed"), code.slot("panels"),
                    self.product, code.slot("product_row"),
                )  # fmt: skip
        with code.loop(0, self.rows) as r:
            before = self.row_before(k, r)
            self.retreat_row(t, k, r, before)
            if self.variant.recurrent:
                wanted = code.builder.icmp_signed("!=", code.slot("weight_gradient"), I64(0))
                with code.when(wanted):
                    self.add_weight_gradient(t, r, before[0])

    def retreat_row(self, t: Value, k: Value, r: Value, before: list[Value]) -> None:
        code, graph = self.code, self.graph
        carried = [self.carried(r, f) for f in range(self.states)]

        def one(i: Value, mask: Value | None) -> None:
            inputs = self.inputs(t, r, i, mask, before, self.total(k, r))
            inputs |= {f"gs{f}": code.load(code.at(row, i)) for f, row in enumerate(carried)}
            inputs["go"] = code.load(code.at(self.sequence("go", t, r), i), mask)
            self.foresee("go", code.sum(t, -AHEAD), r, i)
            if self.variant.recurrent:
                row = code.at(self.product, code.product(r, code.slot("product_row")))
                fed_back = code.load(code.at(row, i))
                inputs["gs0"] = code.builder.fadd(inputs["gs0"], fed_back)
            count = graph.coefficients if self.variant.parameters else 0
            wanted = graph.backward[:count] + graph.backward[graph.coefficients :]
            results = graph.evaluate(wanted, inputs, self.table)
            for place, value in enumerate(results[:count]):
                address = code.at(self.sums, code.product(place, code.slot("padded")), i)
                code.store(code.builder.fadd(code.load(address), value), address)
            for row, value in zip(carried, results[count:-1], strict=True):
                code.store(value, code.at(row, i))
            target = code.at(self.sequence("gx", t, r), i)
            code.store(results[-1], target, mask, stream=self.variant.stream)

        code.across(self.width, one)

    def add_weight_gradient(self, t: Value, r: Value, spikes: Value) -> None:
        code = self.code
        count = recurrence.list_spikes(code, spikes, self.width, code.array("indices"))
        size = code.product(self.task, code.slot("N"), code.slot("weight_row"))
        recurrence.add_outer(
            code, spikes, code.array("indices"), count, self.sequence("gx", t, r),
            code.at(code.array("weight_gradient"), size), code.slot("weight_row"), self.width,
        )  # fmt: skip

    def finish_task(self) -> None:
        """Gradients of the initial state, and this task's part of the coefficients'."""
        code = self.code
        with code.loop(0, self.rows) as r:
            for f in range(self.states):
                target = self.stacked("state_gradient", f, r)
                code.copy_row(self.carried(r, f), target, self.width, masked_source=False)
        if not self.variant.parameters:
            return
        row_block = code.builder.sdiv(self.task, code.slot("column_blocks"))
        for place in range(self.graph.coefficients):
            source = code.at(self.sums, code.product(place, code.slot("padded")))
            row = code.sum(code.product(row_block, self.graph.coefficients), place)
            start = code.product(row, code.slot("N"))
            target = code.at(code.array("coefficient_gradient"), start, self.first)
            code.copy_row(source, target, self.width, masked_source=False)


def forward_text(variant: Variant, machine: Machine) -> str:
    """LLVM code of the forward kernel, called ``forward``."""
    return _Forward("forward", FORWARD, variant, machine).text()


def backward_text(variant: Variant, machine: Machine) -> str:
    """LLVM code of the backward kernel, called ``backward``."""
    return _Backward("backward", BACKWARD, variant, machine).text()
