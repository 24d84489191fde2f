"""The code of the kernel: a task, its lists, the currents of a block and their sums."""

from __future__ import annotations

from functools import partial

from llvmlite import ir

from bsnn.kernel_filters import Median, Modal, State
from core.scan.cpu import recurrence, tasks
from core.scan.cpu.code import I32, I64, Code, Value

SUMS = 5
"""Of a pair: x, y, x x, y y, x y."""
SOURCE = ("x", "t", "b", "width", "first", "lag")
_SLOTS = (
    *tasks.SLOTS,
    *("T", "B", "M", "together", "blocks", "padding", "most", "row", "table", "sums"),
    *("modes", "grid", "gaps", "weights"),
    *("starts", "rows", "values", "entries", "live", "times", "ends", "currents", "forward"),
)
AHEAD = 4
"""Steps that rows are fetched before they are searched."""
DOUBLE = ir.DoubleType()


def names(sources: int) -> tuple[str, ...]:
    """Slots of a kernel."""
    return (*_SLOTS, *(f"{name}{n}" for n in range(sources) for name in SOURCE))


class Writer:
    """Writes the kernel.

    Lists of a sample, in scratch memory: ``rows`` of the table and ``values`` of what is not zero,
    those of step ``t`` from ``starts[t]`` on; ``entries``, the steps whose currents are computed:
    within two of one that has any (the medians of all others are zero), and ``padding`` at both
    ends, from which currents are continued; for the low-pass, ``times`` of what is not zero and its
    place in ``currents``, ``live``, and how many there are up to each place of the grid, ``ends``.
    ``currents`` has the entries between those continued before and after.
    """

    def __init__(self, code: Code, sources: int) -> None:
        self.code, self.sources = code, sources
        self.double = ir.VectorType(DOUBLE, code.lanes)

    def write(self) -> None:
        """All of it."""
        code = self.code
        with tasks.each_task(code) as (task, seat):
            T, M, padding = code.slot("T"), code.slot("M"), code.slot("padding")
            pair = 2 * code.lanes
            continued = code.sum(T, padding, padding)
            own = partial(self._own, seat)
            self.entries, self.ends = own("entries", T, I32), own("ends", M, I32)
            self.live, self.times = own("live", continued, I32), own("times", continued, I32)
            self.currents = own("currents", code.product(continued, pair))
            self.forward = own("forward", code.product(M, pair), DOUBLE)
            first = code.product(task, code.slot("together"))
            samples = code.smaller(code.slot("together"), code.builder.sub(code.slot("B"), first))
            self._list(seat, first, samples)
            with code.loop(0, samples) as n:
                self._take_lists(code.sum(code.product(seat, code.slot("together")), n))
                self._choose()
                with code.loop(0, code.slot("blocks")) as block:
                    sample = code.sum(first, n)
                    place = code.sum(code.product(sample, code.slot("blocks")), block)
                    offset = code.product(place, 3 * SUMS * code.lanes)
                    self.sums = code.at(code.array("sums"), offset, kind=DOUBLE)
                    self._add_up(code.product(block, code.lanes))
                    self._continue()
                    self._medians()
                    self._lowpass()

    def _own(self, seat: Value, slot: str, size: Value, kind: ir.Type | None = None) -> Value:
        """The part of this thread."""
        return self.code.at(self.code.array(slot), self.code.product(seat, size), kind=kind)

    def _number(self, array: Value, i: Value | int) -> Value:
        """An entry of a list."""
        code = self.code
        return code.builder.sext(code.load_one(code.at(array, i, kind=I32), I32), I64)

    def _note(self, array: Value, i: Value, number: Value) -> None:
        code = self.code
        code.builder.store(code.builder.trunc(number, I32), code.at(array, i, kind=I32))

    # --- lists ------------------------------------------------------------------------------

    def _take_lists(self, place: Value) -> None:
        """Go on with the lists of one of the samples that every thread has room for."""
        code = self.code
        own = partial(self._own, place)
        self.starts = own("starts", code.sum(code.slot("T"), 1), I32)
        self.rows = own("rows", code.slot("most"), I32)
        self.values = own("values", code.slot("most"))

    def _list(self, seat: Value, first: Value, samples: Value) -> None:
        """Rows of the table and values of what is not zero, step by step, sample by sample.

        In the order in which they lie in memory: what takes time is reading them.
        """
        code = self.code
        b, places = code.builder, code.product(seat, code.slot("together"))
        with code.loop(0, samples) as n:
            self._take_lists(code.sum(places, n))
            self._note(self.starts, I64(0), I64(0))
        with code.loop(0, code.slot("T")) as t, code.loop(0, samples) as n:
            self._take_lists(code.sum(places, n))
            known = code.variable(self._number(self.starts, t))
            for source in range(self.sources):
                then = b.sub(t, code.slot(f"lag{source}"))
                with code.when(b.icmp_signed(">=", then, I64(0))):
                    self._list_row(source, then, code.sum(first, n), known)
            self._note(self.starts, code.sum(t, 1), code.read(known))

    def _list_row(self, source: int, t: Value, sample: Value, known: Value) -> None:
        code = self.code
        row = code.at(
            code.array(f"x{source}"),
            code.product(t, code.slot(f"t{source}")),
            code.product(sample, code.slot(f"b{source}")),
        )
        ahead = code.at(row, code.product(code.slot(f"t{source}"), AHEAD))
        with code.when(self._any(row, ahead, code.slot(f"width{source}"))):
            self._list_places(source, row, known)

    def _any(self, row: Value, ahead: Value, width: Value) -> Value:
        """Whether a row has anything to list: most have not."""
        code = self.code
        b, whole = code.builder, ir.VectorType(I32, code.lanes)
        bits = code.variable(ir.Constant(whole, None))

        def one(i: Value, mask: Value | None) -> None:
            code.prefetch(code.at(ahead, i))
            found = b.bitcast(code.load(code.at(row, i), mask), whole)
            b.store(b.or_(code.read(bits), found), bits)

        code.across(width, one)
        some = b.icmp_signed("!=", code.read(bits), ir.Constant(whole, None))
        kind = ir.IntType(code.lanes)
        return b.icmp_signed("!=", b.bitcast(some, kind), kind(0))

    def _list_places(self, source: int, row: Value, known: Value) -> None:
        code = self.code
        b, start = code.builder, code.read(known)
        places = code.at(self.rows, start, kind=I32)

        def active(i: Value, mask: Value | None) -> Value:
            return b.fcmp_unordered("!=", code.load(code.at(row, i), mask), code.constant(0.0))

        count = recurrence.list_places(code, code.slot(f"width{source}"), places, active)
        with code.loop(0, count) as k:
            j = self._number(places, k)
            b.store(code.load_one(code.at(row, j)), code.at(self.values, start, k))
            self._note(places, k, code.sum(j, code.slot(f"first{source}")))
        b.store(code.sum(start, count), known)

    def _choose(self) -> None:
        """Entries, and what of them the low-pass reads up to each place of the grid."""
        code = self.code
        b, T, padding = code.builder, code.slot("T"), code.slot("padding")
        self.count, live = code.variable(I64(0)), code.variable(I64(0))
        with code.loop(0, padding) as i:
            self._enliven(live, i, b.sub(i, padding))
        last = b.sub(code.slot("M"), I64(1))
        upto = code.variable(I64(0))
        with code.loop(0, last) as m:
            stop = code.sum(self._number(code.array("grid"), m), 1)
            with code.loop(code.read(upto), stop) as t:
                self._choose_step(t, live)
            b.store(stop, upto)
            self._note(self.ends, m, code.read(live))
        with code.loop(0, padding) as i:
            self._enliven(live, code.sum(padding, code.read(self.count), i), code.sum(T, i))
        self._note(self.ends, last, code.read(live))

    def _choose_step(self, t: Value, live: Value) -> None:
        code = self.code
        b, T, padding = code.builder, code.slot("T"), code.slot("padding")
        before = b.sub(t, I64(2))
        before = b.select(b.icmp_signed("<", before, I64(0)), I64(0), before)
        around = [self._number(self.starts, i) for i in (before, code.smaller(code.sum(t, 3), T))]
        own = [self._number(self.starts, code.sum(t, i)) for i in range(2)]
        edge = b.or_(
            b.icmp_signed("<=", t, padding),
            b.icmp_signed(">=", code.sum(t, padding, 1), T),
        )
        with code.when(b.or_(edge, b.icmp_signed("<", *around))):
            k = code.read(self.count)
            self._note(self.entries, k, t)
            with code.when(b.icmp_signed("<", *own)):
                self._enliven(live, code.sum(padding, k), t)
            b.store(code.sum(k, 1), self.count)

    def _enliven(self, live: Value, place: Value, time: Value) -> None:
        j = self.code.read(live)
        self._note(self.live, j, place)
        self._note(self.times, j, time)
        self.code.builder.store(self.code.sum(j, 1), live)

    # --- currents ---------------------------------------------------------------------------

    def _add_up(self, column: Value) -> None:
        """Write the currents of all entries of a block, and their sums."""
        code = self.code
        b, padding = code.builder, code.slot("padding")
        zero = ir.Constant(code.vector, None)
        sums = self._zeros()
        with code.loop(0, code.read(self.count)) as k:
            t = self._number(self.entries, k)
            start, stop = (self._number(self.starts, code.sum(t, i)) for i in range(2))
            totals = [code.variable(zero) for _ in range(2)]
            with code.loop(start, stop) as n:
                row = code.product(self._number(self.rows, n), code.slot("row"))
                value = code.splat(code.load_one(code.at(self.values, n)))
                weights = code.at(code.array("table"), code.sum(row, column))
                half = code.product(code.slot("blocks"), code.lanes)
                for sign, total in enumerate(totals):
                    weight = code.load(code.at(weights, half if sign else 0))
                    b.store(code.multiply_add(value, weight, code.read(total)), total)
            for sign, total in enumerate(totals):
                code.store(code.read(total), self.current(code.sum(padding, k), sign))
            with code.when(b.icmp_signed("<", start, stop)):
                self._sum(sums, [b.fpext(code.read(total), self.double) for total in totals])
        self._write_sums(2, sums)

    def current(self, place: Value, sign: int) -> Value:
        """Where the excitatory (0) or inhibitory (1) current stands."""
        code = self.code
        return code.at(self.currents, code.product(place, 2 * code.lanes), sign * code.lanes)

    def _continue(self) -> None:
        """Continue the currents at both ends by odd reflection."""
        code = self.code
        b, padding = code.builder, code.slot("padding")
        end = b.sub(code.sum(padding, code.read(self.count)), I64(1))  # of the last entry
        with code.loop(0, padding) as i:
            beyond = code.sum(i, 1)
            for edge, step in ((padding, b.neg(beyond)), (end, beyond)):
                for sign in range(2):
                    at_edge = code.load(self.current(edge, sign))
                    mirror = code.load(self.current(b.sub(edge, step), sign))
                    odd = b.fsub(b.fadd(at_edge, at_edge), mirror)
                    code.store(odd, self.current(code.sum(edge, step), sign))

    def _medians(self) -> None:
        """Sums of the medians. Around each run of entries are two zeros, as in time."""
        code = self.code
        count, sums = code.read(self.count), self._zeros()
        medians = [Median(code, partial(self._entry, sign=sign), count) for sign in range(2)]
        with code.loop(0, count) as k:
            self._sum(sums, [code.builder.fpext(m.at(k), self.double) for m in medians])
        self._write_sums(0, sums)

    def _entry(self, k: Value, sign: int) -> Value:
        return self.current(self.code.sum(self.code.slot("padding"), k), sign)

    # --- low-pass ---------------------------------------------------------------------------

    def _lowpass(self) -> None:
        """Forwards and backwards over the grid, and the sums of the output."""
        code = self.code
        b, M = code.builder, code.slot("M")
        modal = Modal(code, code.array("modes"))
        past = [modal.started(self._load(I64(0), sign)) for sign in range(2)]
        known = code.variable(I64(0))
        with code.loop(0, M) as m:
            stop = self._number(self.ends, m)
            now = self._jump(modal, past, m, m, code.read(known), stop)
            b.store(stop, known)
            for sign, (state, x) in enumerate(zip(past, now, strict=True)):
                b.store(modal.output(state, modal.direct(x)), self._forward_at(m, sign), align=8)
        last = self._number(self.live, b.sub(self._number(self.ends, b.sub(M, I64(1))), I64(1)))
        future = [modal.ended(state, self._load(last, sign)) for sign, state in enumerate(past)]
        sums = self._zeros()
        with code.loop(1, M) as k:
            after = b.sub(M, k)
            m = b.sub(after, I64(1))
            start, stop = self._number(self.ends, m), self._number(self.ends, after)
            self._jump(modal, future, m, after, start, stop)
            pair = [
                modal.output(state, b.load(self._forward_at(m, sign), typ=self.double, align=8))
                for sign, state in enumerate(future)
            ]
            weight = code.load_one(code.at(code.array("weights"), m, kind=DOUBLE), DOUBLE)
            self._sum(sums, pair, code.splat(weight, self.double))
        self._write_sums(1, sums)

    def _jump(
        self, modal: Modal, states: list[State], at: Value, gap: Value, first: Value, stop: Value
    ) -> list[Value]:
        """Take states to a place of the grid, by the gap of a place; what comes in just there."""
        code = self.code
        b = code.builder
        power = modal.power(self._number(code.array("gaps"), gap))
        for state in states:
            modal.multiply(state, power)
        here = self._number(code.array("grid"), at)
        now = [code.variable(ir.Constant(self.double, None)) for _ in range(2)]
        with code.loop(first, stop) as j:
            away = b.sub(here, self._number(self.times, j))
            away = b.select(b.icmp_signed("<", away, I64(0)), b.neg(away), away)
            power = modal.power(away)
            place = self._number(self.live, j)
            pair = [self._load(place, sign) for sign in range(2)]
            for state, x in zip(states, pair, strict=True):
                modal.add(state, power, x)
            with code.when(b.icmp_signed("==", away, I64(0))):
                for known, x in zip(now, pair, strict=True):
                    b.store(x, known)
        return [code.read(x) for x in now]

    def _load(self, place: Value, sign: int) -> Value:
        code = self.code
        return code.builder.fpext(code.load(self.current(place, sign)), self.double)

    def _forward_at(self, m: Value, sign: int) -> Value:
        offset = self.code.product(m, 2 * self.code.lanes)
        return self.code.at(self.forward, offset, sign * self.code.lanes, kind=DOUBLE)

    # --- sums -------------------------------------------------------------------------------

    def _zeros(self) -> list[Value]:
        return [self.code.variable(ir.Constant(self.double, None)) for _ in range(SUMS)]

    def _sum(self, totals: list[Value], pair: list[Value], weight: Value | None = None) -> None:
        b, read, (x, y) = self.code.builder, self.code.read, pair
        weighed = pair if weight is None else [b.fmul(z, weight) for z in pair]
        for total, part in zip(totals, weighed, strict=False):
            b.store(b.fadd(read(total), part), total)
        products = ((weighed[0], x), (weighed[1], y), (weighed[0], y))
        for total, (p, q) in zip(totals[2:], products, strict=True):
            product = b.fmul(p, q, flags=("contract",))
            b.store(b.fadd(read(total), product, flags=("contract",)), total)

    def _write_sums(self, kind: int, totals: list[Value]) -> None:
        code = self.code
        for n, total in enumerate(totals):
            place = code.at(self.sums, (kind * SUMS + n) * code.lanes, kind=DOUBLE)
            code.builder.store(code.read(total), place, align=8)
