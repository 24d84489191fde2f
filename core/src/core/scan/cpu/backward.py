"""The backward kernel: segment by segment, forwards again and then backwards."""

from __future__ import annotations

import functools

from llvmlite import ir

from core.scan.cpu import recurrence
from core.scan.cpu.code import I32, I64, Value
from core.scan.cpu.geometry import SPARE_ROWS
from core.scan.cpu.kernel import AHEAD, CpuVariant, Kernel, Rows, backward_slots
from core.scan.cpu.machine import Machine
from core.scan.currents import current_input

#: Share of open gates (tenths) above which the whole product is faster: it reads the weight once
#: for a block of rows, and the product of listed columns anew for every row.
OPEN_TENTHS = 4


def backward_text(variant: CpuVariant, machine: Machine) -> str:
    """LLVM code of the backward kernel, called ``backward``."""
    return _Backward("backward", backward_slots(variant), variant, machine).text()


class _Backward(Kernel):
    """Backwards through all steps.

    Scratch memory, in rows of ``padded`` reals: gradients of coefficients ``[coefficients]`` and of
    the state ``[rows, states]``, states before the steps of a segment ``[segment, rows, states]``,
    total currents ``[segment, rows, currents]``; then products of ``[rows + a tile's,
    product_row]`` reals: that of the spikes, what pathways send, and what comes back through them.
    """

    def text(self) -> str:
        code = self.code
        with self.tasks():
            self.arrange()
            code.clear(self.sums, code.product(self.graph.coefficients, code.slot("padded")))
            with code.loop(0, self.rows) as r:
                for f in range(self.states):
                    self.start_gradient(r, f)
            if self.variant.coupled:
                code.clear(self.product, code.product(self.products, code.slot("product_row")))
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

    @property
    def trained(self) -> list[int]:
        """Coefficients whose gradients are wanted."""
        return [place for place, wanted in enumerate(self.variant.trained) if wanted]

    def start_gradient(self, r: Value, field: int) -> None:
        """Gradient of the state after the last step; zero where there is none."""
        code, target = self.code, self.carried(r, field)
        given = code.builder.icmp_signed("!=", code.slot(f"gs{field}"), I64(0))
        with code.builder.if_else(given) as (then, otherwise):
            with then:
                source = self.field(f"gs{field}", r)
                code.copy_row(source, target, self.width, masked_source=True)
            with otherwise:
                code.clear(target, code.slot("padded"))

    def arrange(self) -> None:
        """Where everything lies in scratch memory."""
        code, padded = self.code, self.code.slot("padded")
        rows = code.slot("rows")
        self.sums = self.scratch
        self.gradients = code.at(self.sums, code.product(self.graph.coefficients, padded))
        self.before = code.at(self.gradients, code.product(rows, self.states, padded))
        size = code.product(code.slot("segment"), rows, self.states, padded)
        self.totals = code.at(self.before, size)
        count = len(self.variant.coupled)
        size = code.product(code.slot("segment"), rows, count, padded)
        self.product = code.at(self.totals, size)
        one = code.sum(rows, SPARE_ROWS)
        paths = code.product(one, len(self.variant.pathways))
        row = code.slot("product_row")
        self.sent = code.at(self.product, code.product(one, row))
        self.returned = code.at(self.sent, code.product(paths, row))
        self.products = code.sum(one, paths, paths)

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

    def total(self, k: Value, r: Value) -> Rows:
        """Total currents of row ``r`` in step ``k`` of the segment."""
        code, coupled = self.code, self.variant.coupled
        row = code.product(code.sum(code.product(k, code.slot("rows")), r), len(coupled))
        return {
            current: code.at(self.totals, code.product(code.sum(row, place), code.slot("padded")))
            for place, current in enumerate(coupled)
        }

    def replay(self, segment: Value, start: Value, stop: Value) -> None:
        """Run a segment forwards again; the state after its last step is not needed."""
        code, self.start = self.code, start
        with code.loop(0, self.rows) as r:
            for f, row in enumerate(self.row_before(I64(0), r)):
                if f in self.variant.read:
                    initial = code.builder.icmp_signed("==", segment, I64(0))
                    places = self.field(f"state{f}", r), self.kept(segment, f, r)
                    source = code.builder.select(initial, *places)
                    code.copy_row(source, row, self.width, masked_source=True)
        last = code.builder.sub(code.sum(stop, -1), start)
        with code.loop(0, last) as k:
            self.send(self.row_before(k, I64(0)))
            with code.loop(0, self.rows) as r:
                after = self.row_before(code.sum(k, 1), r)
                t, before = code.sum(start, k), self.row_before(k, r)
                self.advance(t, r, before, after, self.total(k, r), {})
        if self.variant.coupled or self.winners:
            self.send(self.row_before(last, I64(0)))
            with code.loop(0, self.rows) as r:
                before = self.row_before(last, r)
                self.prepare(code.sum(stop, -1), r, before, self.total(last, r))

    def prepare(self, t: Value, r: Value, before: list[Value], total: Rows) -> dict[int, Value]:
        """As both kernels; winners are written down, for the way back."""
        found = super().prepare(t, r, before, total)
        k = self.code.builder.sub(t, self.start)
        for node, place in found.items():
            self.code.builder.store(place, self.won(k, r, node))
        return found

    def won(self, k: Value, r: Value, node: int) -> Value:
        """Where the place of a winner of row ``r`` in step ``k`` of the segment is written down."""
        code = self.code
        lists = code.product(code.slot("rows"), code.sum(code.slot("N"), 1))
        row = code.sum(code.product(k, code.slot("rows")), r)
        own = code.product(row, len(self.winners))
        number = self.winners.index(node)
        return code.at(self.indices, code.sum(code.slot("N"), lists, own, number), kind=I32)

    def winners_of(self, k: Value, r: Value) -> dict[int, Value]:
        """The places of all winners of row ``r`` in step ``k`` of the segment, by node."""
        return {node: self.code.load_one(self.won(k, r, node), I32) for node in self.winners}

    def retreat(self, t: Value, k: Value) -> None:
        """One step backwards, for all rows of the task."""
        code = self.code
        if self.variant.coupled:
            with code.when(code.builder.icmp_signed("<", code.sum(t, 1), code.slot("T"))):
                if self.variant.recurrent:
                    self.feed_back(t, k)
                for p, (_, current) in enumerate(self.variant.pathways):
                    result = self.product_of(self.returned, p, 0)
                    self.multiply_gradients(t, code.array(f"back{p}"), result, current)
        with code.loop(0, self.rows) as r:
            before = self.row_before(k, r)
            self.retreat_row(t, k, r, before)
            if self.variant.recurrent:
                wanted = code.builder.icmp_signed("!=", code.slot("weight_gradient"), I64(0))
                with code.when(wanted):
                    self.add_weight_gradient(t, r, before[0])

    def feed_back(self, t: Value, k: Value) -> None:
        """What the step after ``t`` says about the spikes of step ``t``, for all rows."""
        code = self.code

        def everything() -> None:
            self.multiply_gradients(t, code.array("packed"), self.product)

        if not self.graph.gates:
            everything()
            return
        counts = code.variable(I64(0))
        with code.loop(0, self.rows) as r:
            listed = self.list_open(t, k, r)
            code.builder.store(code.builder.trunc(listed, I32), self.listed(r))
            code.builder.store(code.sum(code.read(counts), listed), counts)
        all_of_them = code.product(self.rows, code.slot("N"))
        tenths = code.product(code.read(counts), 10), code.product(all_of_them, OPEN_TENTHS)
        few = code.builder.icmp_signed("<", *tenths)
        with code.builder.if_else(few) as (then, otherwise):
            with then, code.loop(0, self.rows) as r:
                self.feed_back_listed(t, r)
            with otherwise:
                everything()

    def multiply_gradients(self, t: Value, packed: Value, result: Value, current: int = 0) -> None:
        """Gradients of a current of step ``t + 1``, all rows, times a packed weight."""
        code, slot = self.code, f"g{current_input(current)}"
        recurrence.multiply(
            code, self.sequence(slot, code.sum(t, 1), I64(0)), code.slot(f"{slot}_b"),
            self.rows, code.slot("N"), packed, code.slot("panels"), result,
            code.slot("product_row"),
        )  # fmt: skip

    def list_open(self, t: Value, k: Value, r: Value) -> Value:
        """List where a gate of row ``r`` is open; returns how many."""
        code, graph, before = self.code, self.graph, self.row_before(k, r)
        winners = self.winners_of(k, r)

        def active(i: Value, mask: Value | None) -> Value:
            inputs = self.inputs(t, r, i, mask, before, self.total(k, r), winners)
            values = graph.evaluate(graph.gates, inputs, self.table)
            opened = [
                value
                if graph.nodes[gate].boolean
                else code.builder.fcmp_unordered("!=", value, code.constant(0.0))
                for gate, value in zip(graph.gates, values, strict=True)
            ]
            return functools.reduce(code.builder.or_, opened)

        return recurrence.list_places(
            code, self.width, code.at(self.listed(r), 1, kind=I32), active
        )

    def listed(self, r: Value) -> Value:
        """The list of row ``r``: how many, then the places."""
        code = self.code
        row = code.product(r, code.sum(code.slot("N"), 1))
        return code.at(self.indices, code.sum(code.slot("N"), row), kind=I32)

    def feed_back_listed(self, t: Value, r: Value) -> None:
        """The product of row ``r`` at the listed places; what stands elsewhere meets a zero."""
        code = self.code
        result = code.at(self.product, code.product(r, code.slot("product_row")))
        count = code.builder.zext(code.load_one(self.listed(r), I32), I64)
        recurrence.multiply_listed(
            code, self.sequence("gx", code.sum(t, 1), r), code.array("weight"),
            code.slot("weight_row"), code.at(self.listed(r), 1, kind=I32), count, result,
            self.width,
        )  # fmt: skip

    def retreat_row(self, t: Value, k: Value, r: Value, before: list[Value]) -> None:
        code, graph = self.code, self.graph
        carried = [self.carried(r, f) for f in range(self.states)]
        winners = self.winners_of(k, r)

        def one(i: Value, mask: Value | None) -> None:
            inputs = self.inputs(t, r, i, mask, before, self.total(k, r), winners)
            inputs |= {f"gs{f}": code.load(code.at(row, i)) for f, row in enumerate(carried)}
            inputs["go"] = code.load(code.at(self.sequence("go", t, r), i), mask)
            self.foresee("go", code.sum(t, -AHEAD), r, i)
            if self.variant.recurrent:
                row = code.at(self.product, code.product(r, code.slot("product_row")))
                fed_back = code.load(code.at(row, i))
                inputs["gs0"] = code.builder.fadd(inputs["gs0"], fed_back)
            for p, (f, _) in enumerate(self.variant.pathways):
                returned = code.load(code.at(self.product_of(self.returned, p, r), i))
                inputs[f"gs{f}"] = code.builder.fadd(inputs[f"gs{f}"], returned)
            for f in self.variant.traces:
                given = code.load(code.at(self.sequence(f"gt{f}", t, r), i), mask)
                inputs[f"gs{f}"] = code.builder.fadd(inputs[f"gs{f}"], given)
            count = len(self.trained)
            wanted = [graph.backward[place] for place in self.trained]
            wanted += graph.backward[graph.coefficients :]
            results = graph.evaluate(wanted, inputs, self.table)
            for place, value in zip(self.trained, results, strict=False):
                address = code.at(self.sums, code.product(place, code.slot("padded")), i)
                # Not in the padding: the sum of a shared one goes over the whole row.
                code.store(code.builder.fadd(code.load(address), value), address, mask)
            results = results[count:]
            for row, value in zip(carried, results, strict=False):
                code.store(value, code.at(row, i))
            for current, value in enumerate(results[self.states :]):
                target = code.at(self.sequence(f"g{current_input(current)}", t, r), i)
                code.store(value, target, mask, stream=self.variant.stream)

        code.across(self.width, one)

    def add_weight_gradient(self, t: Value, r: Value, spikes: Value) -> None:
        code = self.code
        count = recurrence.list_spikes(code, spikes, self.width, self.indices)
        size = code.product(self.task, code.slot("N"), code.slot("weight_row"))
        recurrence.add_outer(
            code, spikes, self.indices, count, self.sequence("gx", t, r),
            code.at(code.array("weight_gradient"), size), code.slot("weight_row"), self.width,
        )  # fmt: skip

    def finish_task(self) -> None:
        """Gradients of the initial state, and this task's part of the coefficients'."""
        code = self.code
        for f in range(self.states):
            wanted = code.builder.icmp_signed("!=", code.slot(f"first{f}"), I64(0))
            with code.when(wanted), code.loop(0, self.rows) as r:
                target = self.stacked(f"first{f}", 0, r)
                code.copy_row(self.carried(r, f), target, self.width, masked_source=False)
        row_block = code.builder.sdiv(self.task, code.slot("column_blocks"))
        for place in self.trained:
            source = code.at(self.sums, code.product(place, code.slot("padded")))
            if self.variant.shared[place]:
                self.add_up(source, code.at(code.array(f"gc{place}"), self.task))
            else:
                start = code.product(row_block, code.slot("N"))
                target = code.at(code.array(f"gc{place}"), start, self.first)
                code.copy_row(source, target, self.width, masked_source=False)

    def add_up(self, row: Value, target: Value) -> None:
        """Write the sum of a row of scratch memory, of which what is padded is zero."""
        code = self.code
        total = code.variable(ir.Constant(code.vector, None))
        with code.loop(0, code.slot("padded"), code.lanes) as i:
            part = code.load(code.at(row, i))
            code.builder.store(code.builder.fadd(code.read(total), part), total)
        code.builder.store(code.total(code.read(total)), target)
