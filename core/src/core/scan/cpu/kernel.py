"""What the two kernels of a neuron share: tasks, rows of memory, one step forwards.

A kernel takes tasks until none is left: a task is a block of ``rows`` samples and ``columns``
neurons (all of them, where neurons see each other) over all time steps, with its state in scratch
memory that fits in the processor's cache. Samples do not touch each other in either direction, so
tasks need no synchronisation, and as their size does not depend on the number of threads, neither
do the results.

The forward kernel (:mod:`core.scan.cpu.forward`) keeps the state before every ``segment``-th step.
The backward kernel (:mod:`core.scan.cpu.backward`) goes through the segments from the last to the
first: it runs a segment forwards again from the kept state, into scratch memory, and then
backwards. Recomputing a step costs less than writing its states to memory and reading them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from core.scan.cpu import recurrence, tasks
from core.scan.cpu.code import I32, Code, Value
from core.scan.cpu.geometry import SPARE_ROWS
from core.scan.cpu.machine import Machine
from core.scan.cpu.vector import operations
from core.scan.cpu.winner import first_largest
from core.scan.currents import current_input
from core.scan.graph import Variant, winner_input

#: Slots that both kernels read: sizes, the geometry of tasks, and the arrays of the forward pass.
#: ``*_t`` and ``*_b`` are strides in elements; the stride over neurons is one everywhere.
#: Every thread has its own part of ``scratch`` and ``indices``, whose sizes per seat are given.
COMMON = (
    *tasks.SLOTS,
    *("scratch", "scratch_size", "indices", "indices_size"),
    *("T", "B", "N", "segment", "segments", "rows", "columns", "column_blocks", "padded"),
    *("x", "x_t", "x_b", "mask", "mask_t", "mask_b", "kept"),
    *("weight", "weight_row", "panels", "product_row"),
)
#: ``kept`` may be zero: nothing is kept. ``spikes`` counts, per task, what gathered rows.
FORWARD = (*COMMON, "output", "spikes")
BACKWARD = (
    *COMMON,
    *("go", "go_t", "go_b", "gx", "gx_t", "gx_b", "packed", "weight_gradient"),
)

#: Steps that a sequence is fetched ahead of its use.
AHEAD = 1


@dataclass(frozen=True)
class CpuVariant(Variant):
    """Which kernel of a neuron.

    Attributes:
        shared: Per coefficient, whether it is one number for all neurons.
        trained: Per coefficient, whether the backward kernel gives its gradient.
        stream: Whether what it writes goes past the caches, see :meth:`Code.store`.
        traces: Fields of the state, by number, whose values the forward kernel writes down at
            every step, or whose values of every step have a gradient in the backward kernel.
        pathways: Fields of the state, as they stand after the previous step, that come back through
            a weight of their own, and the currents that they come to; both by number.
    """

    shared: tuple[bool, ...] = ()
    trained: tuple[bool, ...] = ()
    stream: bool = False
    traces: tuple[int, ...] = ()
    pathways: tuple[tuple[int, int], ...] = ()

    @property
    def coupled(self) -> tuple[int, ...]:
        """Currents that depend on the step before: then a task has all neurons of its samples."""
        fed = {current for _, current in self.pathways} | ({0} if self.recurrent else set())
        return tuple(sorted(fed))

    @property
    def read(self) -> list[int]:
        """Fields of the state that the next step reads."""
        sent = [field for field, _ in self.pathways] + [0] * self.recurrent
        return [f for f in range(self.graph.states) if f in sent or f"s{f}" in self.graph.read]

    @property
    def real(self) -> ir.Type:
        """LLVM's type."""
        return ir.DoubleType() if self.double else ir.FloatType()


def forward_slots(variant: CpuVariant) -> tuple[str, ...]:
    """The slots of a forward kernel.

    Beside the rest a contiguous ``[T, B, N]`` for every trace and ``[B, N]`` for every field of
    the state after the last step.
    """
    final = [f"final{f}" for f in range(variant.graph.states)]
    return (*FORWARD, *_given(variant), *final, *[f"trace{f}" for f in variant.traces])


def backward_slots(variant: CpuVariant) -> tuple[str, ...]:
    """The slots of a backward kernel.

    Beside the rest a sequence of gradients for every trace, and for every field of the state the
    gradients of the last one and of the first, zero where there is none or it is not wanted. A
    trained coefficient's is ``[row blocks, N]``; a shared one's ``[tasks]``.
    """
    slots = _strided(f"gt{f}" for f in variant.traces)
    for f in range(variant.graph.states):
        slots += [f"gs{f}", f"gs{f}_b", f"first{f}"]
    back = [f"back{p}" for p in range(len(variant.pathways))]
    back += _strided(f"g{name}" for name in _further(variant))
    trained = [f"gc{place}" for place, wanted in enumerate(variant.trained) if wanted]
    return (*BACKWARD, *_given(variant), *back, *trained, *slots)


def _given(variant: CpuVariant) -> list[str]:
    """Slots of coefficients, of the state before, of further currents and weights of pathways.

    The weights are packed as :func:`recurrence.multiply` reads them; ``back*`` are the same for
    the way back.
    """
    state = [f"state{f}{stride}" for f in variant.read for stride in ("", "_b")]
    coefficients = [f"c{place}" for place in range(variant.graph.coefficients)]
    paths = [f"path{p}" for p in range(len(variant.pathways))]
    return [*coefficients, *state, *_strided(_further(variant)), *paths]


def _further(variant: CpuVariant) -> list[str]:
    """The arrays of all currents but the first."""
    return [current_input(k) for k in range(1, variant.graph.currents)]


def _strided(names: Iterable[str]) -> list[str]:
    """The slots of sequences."""
    return [f"{name}{stride}" for name in names for stride in ("", "_t", "_b")]


Rows = dict[int, Value]
"""Of every current that depends on the step before, where a row of its total lies."""


class Kernel:
    """What both kernels share: tasks, rows of scratch memory, one step forwards."""

    keeps_all = False
    """Whether fields that no step reads are written down, too."""

    def __init__(self, name: str, slots: tuple[str, ...], variant: CpuVariant, machine: Machine):
        self.variant, self.graph = variant, variant.graph
        self.code = Code(name, slots, variant.real, machine)
        self.table = operations(self.code)
        self.states = self.graph.states
        self.winners: Sequence[int] = self.graph.all_winners
        self.sent: Value = None  # where the products of pathways lie, once that is known

    @contextmanager
    def tasks(self) -> Iterator[None]:
        """Code of one task, repeated for all; sets where the task lies."""
        code = self.code
        b = code.builder
        with tasks.each_task(code) as (task, seat):
            own = code.product(seat, code.slot("scratch_size"))
            self.scratch = code.at(code.array("scratch"), own)
            own = code.product(seat, code.slot("indices_size"))
            self.indices = code.at(code.array("indices"), own, kind=I32)
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

    def field(self, slot: str, r: Value) -> Value:
        """The row of ``[B, N]``."""
        code = self.code
        row = code.product(code.sum(self.first_row, r), code.slot(f"{slot}_b"))
        return code.at(code.array(slot), row, self.first)

    def stacked(self, slot: str, place: Value | int, r: Value) -> Value:
        """The row of a contiguous ``[places, B, N]``."""
        code = self.code
        row = code.sum(code.product(place, code.slot("B")), self.first_row, r)
        return code.at(code.array(slot), code.product(row, code.slot("N")), self.first)

    def kept(self, segment: Value, field: int, r: Value) -> Value:
        """The row of the state kept before a segment, ``[segments - 1, fields, B, N]``.

        Before the first one it is the state that was given.
        """
        code = self.code
        place = code.sum(code.product(code.sum(segment, -1), self.states), field)
        return self.stacked("kept", place, r)

    def coefficient(self, place: int, i: Value, mask: Value | None) -> Value:
        """The vector of coefficient ``place`` at ``i``."""
        code = self.code
        if self.variant.shared[place]:
            return code.repeated(f"c{place}")
        return code.load(code.at(code.array(f"c{place}"), self.first, i), mask)

    def advance(
        self, t: Value, r: Value, before: list[Value], after: list[Value], total: Rows,
        written: dict[int, Value],
    ) -> None:  # fmt: skip
        """One step of one row: state ``before`` to ``after``, both in scratch memory.

        A current that is not the input alone is gathered into its row of ``total`` first.
        ``written`` are rows of sequences by what goes there: a field of the state, or -1 for the
        output.
        """
        code, graph = self.code, self.graph
        winners = self.prepare(t, r, before, total)

        def one(i: Value, mask: Value | None) -> None:
            inputs = self.inputs(t, r, i, mask, before, total, winners)
            for k in range(graph.currents):
                self.foresee(current_input(k), code.sum(t, AHEAD), r, i)
            results = graph.evaluate(graph.forward, inputs, self.table)
            for f, row in enumerate(after):
                if f in self.variant.read or self.keeps_all:
                    code.store(results[f], code.at(row, i))
            for place, row in written.items():
                code.store(results[place], code.at(row, i), mask, stream=self.variant.stream)

        code.across(self.width, one)

    def prepare(self, t: Value, r: Value, before: list[Value], total: Rows) -> dict[int, Value]:
        """What a step of a row needs first: its total currents, and the places of its winners.

        Returns:
            The places, by node. Each takes a pass over the row of its own.
        """
        if self.variant.recurrent:
            self.gather(t, r, before[0], total[0])
        if self.variant.pathways:
            self.add_pathways(t, r, total)
        found: dict[int, Value] = {}
        for node in self.winners:
            wanted = self.graph.nodes[node].args

            def value(i: Value, mask: Value | None, wanted: tuple[int, ...] = wanted) -> Value:
                inputs = self.inputs(t, r, i, mask, before, total, found)
                return self.graph.evaluate(wanted, inputs, self.table)[0]

            found[node] = first_largest(self.code, self.width, value)
        return found

    def inputs(
        self, t: Value, r: Value, i: Value, mask: Value | None, before: list[Value], total: Rows,
        winners: dict[int, Value],
    ) -> dict[str, Value]:  # fmt: skip
        """What a step reads, for the vector at ``i``; ``winners`` as :meth:`prepare`."""
        code = self.code
        inputs = {
            f"c{place}": self.coefficient(place, i, mask)
            for place in range(self.graph.coefficients)
        }
        inputs |= {f"s{f}": code.load(code.at(row, i)) for f, row in enumerate(before)}
        for name in (current_input(k) for k in range(self.graph.currents)):
            inputs[name] = code.load(code.at(self.sequence(name, t, r), i), mask)
        inputs |= {current_input(k): code.load(code.at(row, i)) for k, row in total.items()}
        if self.graph.masked:
            inputs["m"] = code.load(code.at(self.sequence("mask", t, r), i), mask)
        for node, place in winners.items():
            here = code.splat(place, ir.VectorType(I32, code.lanes))
            inputs[winner_input(node)] = code.builder.icmp_signed("==", code.places(i), here)
        return inputs

    def foresee(self, slot: str, t: Value, r: Value, i: Value) -> None:
        """Fetch what a later step reads of a sequence."""
        self.code.prefetch(self.code.at(self.sequence(slot, t, r), i))

    def gather(self, t: Value, r: Value, spikes: Value, total: Value) -> None:
        """Total current of a row, from the spikes of the step before."""
        code = self.code
        count = recurrence.list_spikes(code, spikes, self.width, self.indices)
        recurrence.gather(
            code, self.sequence("x", t, r), spikes, self.indices, count,
            code.array("weight"), code.slot("weight_row"), total, self.width,
        )  # fmt: skip
        self.counted(count)

    def send(self, first: list[Value]) -> None:
        """What all rows send through their pathways; ``first`` is the state of the first of them.

        One product for all rows reads each weight once.
        """
        code = self.code
        for p, (field, _) in enumerate(self.variant.pathways):
            recurrence.multiply(
                code, first[field], code.product(self.states, code.slot("padded")),
                self.rows, code.slot("N"), code.array(f"path{p}"), code.slot("panels"),
                self.product_of(self.sent, p, 0), code.slot("product_row"),
            )  # fmt: skip

    def product_of(self, base: Value, pathway: int, r: int | Value) -> Value:
        """The row of a pathway's product; those of all pathways start at ``base``."""
        code = self.code
        rows = code.sum(code.slot("rows"), SPARE_ROWS)
        row = code.sum(code.product(pathway, rows), r)
        return code.at(base, code.product(row, code.slot("product_row")))

    def add_pathways(self, t: Value, r: Value, total: Rows) -> None:
        """Add what :meth:`send` computed to the currents of a row."""
        code = self.code
        sent: dict[int, list[Value]] = {}
        for p, (_, current) in enumerate(self.variant.pathways):
            sent.setdefault(current, []).append(self.product_of(self.sent, p, r))

        def one(i: Value, mask: Value | None) -> None:
            for current, rows in sent.items():
                if current == 0 and self.variant.recurrent:
                    value = code.load(code.at(total[current], i))
                else:
                    source = self.sequence(current_input(current), t, r)
                    value = code.load(code.at(source, i), mask)
                for row in rows:
                    value = code.builder.fadd(value, code.load(code.at(row, i)))
                code.store(value, code.at(total[current], i))

        code.across(self.width, one)

    def counted(self, count: Value) -> None:
        """Told how many rows a gather read."""
