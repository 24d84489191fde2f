"""Correlations of filtered currents in one kernel, without whole currents in memory.

A task is a sample. It lists what is not zero in inputs and spikes once; then, for every block of
neurons as wide as a vector, it adds up the currents of all steps, passes over them forwards (sums
of the raw and of the median-filtered currents, low-pass) and backwards (low-pass, its sums). What
a block needs stays in the processor's cache.

Currents are counted from their first value, which changes no correlation: a current that never
changes is exactly zero then, and an offset costs no precision. They and their medians have single,
low-pass and sums double precision. :mod:`bsnn.balance` has the definitions.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from llvmlite import ir
from torch import Tensor

from bsnn.currents import Source
from bsnn.kernel_filters import Lowpass, Median
from core.buffers import empty
from core.once import once
from core.scan.cpu import recurrence, tasks, workers
from core.scan.cpu.code import I32, I64, Code, Value
from core.scan.cpu.machine import Function, denormals, function, this_machine

SUMS = 5
"""Of a pair: x, y, x x, y y, x y."""
KINDS = 3
"""Of filters: median, low-pass, none."""
_SOURCE = ("x", "t", "b", "width", "first", "lag")
_SLOTS = (
    *tasks.SLOTS,
    *("T", "blocks", "padding", "numbers", "table", "row", "sums"),
    *("starts", "places", "values", "most", "currents", "filtered"),
)


def sums_of(
    sources: Sequence[Source], sections: np.ndarray, starts: np.ndarray, padding: int
) -> Tensor:
    """Sums over time of both currents, counted from their first value.

    Args:
        sources: What the currents are made of.
        sections: Low-pass as two second-order sections ``[2, 6]``, the gain all in the first.
        starts: Their state after a constant 1, ``[2, 2]``.
        padding: Steps by which the low-pass continues the currents at both ends, below ``T``.

    Returns:
        float64 ``[3, 5, B, N]``: of the median-filtered, the low-passed and the raw currents.
    """
    steps, batch = sources[0].x_TBI.shape[:2]
    neurons = len(sources[0].weight_2NI) // 2
    lanes = this_machine().vector_bytes // 4
    blocks = -(-neurons // lanes)
    rows = sum(source.x_TBI.shape[2] for source in sources)
    table = torch.zeros(rows, 2, blocks * lanes)
    table[..., :neurons] = torch.cat([s.weight_2NI.t().reshape(-1, 2, neurons) for s in sources])
    sums = torch.empty(batch, blocks, KINDS, SUMS, lanes, dtype=torch.float64)
    numbers = torch.from_numpy(
        np.concatenate([sections[0, :1], sections[:, 4:].ravel(), starts.ravel()])
    )
    threads = max(1, min(torch.get_num_threads(), batch))
    memory = {
        "numbers": numbers,
        "table": table,
        "sums": sums,
        "starts": torch.empty(threads, steps + 1, dtype=torch.int32),
        "places": empty((threads, steps * rows), torch.int32),
        "values": empty((threads, steps * rows), torch.float32),
        "currents": empty((threads, steps, 2, lanes), torch.float32),
        "filtered": empty((threads, steps + 2 * padding, 2, lanes), torch.float64),
    }
    counters = (ctypes.c_int64 * 2)(0, 0)
    values = {
        **{"counters": ctypes.addressof(counters), "control": denormals(), "tasks": batch},
        **{"T": steps, "blocks": blocks, "padding": padding, "most": steps * rows},
        **{name: tensor.data_ptr() for name, tensor in memory.items()},
        **_slots_of(sources),
        "row": table[0].numel(),
    }
    names = _names(len(sources))
    slots = (ctypes.c_int64 * len(names))(*[values[name] for name in names])
    workers.run(_kernel(len(sources)), slots, threads)
    return sums.permute(2, 3, 0, 1, 4).flatten(3)[..., :neurons]


def _slots_of(sources: Sequence[Source]) -> dict[str, int]:
    slots: dict[str, int] = {}
    first = 0
    for n, (x, _, lag) in enumerate(sources):
        entries = (x.data_ptr(), x.stride(0), x.stride(1), x.shape[2], first, lag)
        slots |= {f"{name}{n}": entry for name, entry in zip(_SOURCE, entries, strict=True)}
        first += x.shape[2]
    return slots


def _names(sources: int) -> tuple[str, ...]:
    return (*_SLOTS, *(f"{name}{n}" for n in range(sources) for name in _SOURCE))


@once
def _kernel(sources: int) -> Function:
    code = Code("balance", _names(sources), ir.FloatType(), this_machine())
    _Writer(code, sources).write()
    return function("balance", code.finish(), "CPU kernel of the balance of currents")


class _Writer:
    """The code of the kernel."""

    def __init__(self, code: Code, sources: int) -> None:
        self.code, self.sources = code, sources
        self.double = ir.VectorType(ir.DoubleType(), code.lanes)

    def write(self) -> None:
        code = self.code
        with tasks.each_task(code) as (sample, seat):
            T, padding = code.slot("T"), code.slot("padding")
            pair = 2 * code.lanes
            entries = code.product(seat, code.slot("most"))
            self.starts = self._at("starts", code.product(seat, code.sum(T, 1)), I32)
            self.places = self._at("places", entries, I32)
            self.values = self._at("values", entries)
            self.currents = self._at("currents", code.product(seat, T, pair))
            whole = code.sum(T, padding, padding)
            self.filtered = self._at("filtered", code.product(seat, whole, pair), ir.DoubleType())
            self._list(sample)
            with code.loop(0, code.slot("blocks")) as block:
                place = code.sum(code.product(sample, code.slot("blocks")), block)
                self.sums = self._at(
                    "sums", code.product(place, KINDS * SUMS * code.lanes), ir.DoubleType()
                )
                self.first = self._add_up(code.product(block, code.lanes))
                self._forward()
                self._backward()

    def _at(self, slot: str, offset: Value, kind: ir.Type | None = None) -> Value:
        return self.code.at(self.code.array(slot), offset, kind=kind)

    # --- lists ------------------------------------------------------------------------------

    def _list(self, sample: Value) -> None:
        """Rows of the table and values of what is not zero, step by step."""
        code = self.code
        b, known = code.builder, code.variable(I64(0))
        b.store(I32(0), self.starts)
        with code.loop(0, code.slot("T")) as t:
            for n in range(self.sources):
                then = b.sub(t, code.slot(f"lag{n}"))
                with code.when(b.icmp_signed(">=", then, I64(0))):
                    self._list_row(n, then, sample, known)
            b.store(b.trunc(code.read(known), I32), code.at(self.starts, t, 1, kind=I32))

    def _list_row(self, n: int, t: Value, sample: Value, known: Value) -> None:
        code = self.code
        b = code.builder
        row = code.at(
            code.array(f"x{n}"),
            code.product(t, code.slot(f"t{n}")),
            code.product(sample, code.slot(f"b{n}")),
        )
        start = code.read(known)
        places = code.at(self.places, start, kind=I32)

        def active(i: Value, mask: Value | None) -> Value:
            return b.fcmp_unordered("!=", code.load(code.at(row, i), mask), code.constant(0.0))

        count = recurrence.list_places(code, code.slot(f"width{n}"), places, active)
        with code.loop(0, count) as k:
            place = code.at(places, k, kind=I32)
            j = b.zext(code.load_one(place, I32), I64)
            b.store(code.load_one(code.at(row, j)), code.at(self.values, start, k))
            b.store(b.trunc(code.sum(j, code.slot(f"first{n}")), I32), place)
        b.store(code.sum(start, count), known)

    # --- currents ---------------------------------------------------------------------------

    def _add_up(self, column: Value) -> list[Value]:
        """Write the currents of a block, counted from the first ones, which are returned."""
        code = self.code
        zero = ir.Constant(code.vector, None)
        shifts = [code.variable(zero) for _ in range(2)]
        with code.loop(0, code.slot("T")) as t:
            start, stop = (
                code.builder.zext(code.load_one(code.at(self.starts, t, i, kind=I32), I32), I64)
                for i in range(2)
            )
            totals = [code.variable(zero) for _ in range(2)]
            with code.loop(start, stop) as k:
                j = code.builder.zext(code.load_one(code.at(self.places, k, kind=I32), I32), I64)
                value = code.splat(code.load_one(code.at(self.values, k)))
                weights = self._at("table", code.sum(code.product(j, code.slot("row")), column))
                half = code.product(code.slot("blocks"), code.lanes)
                for sign, total in enumerate(totals):
                    weight = code.load(code.at(weights, half if sign else 0))
                    added = code.multiply_add(value, weight, code.read(total))
                    code.builder.store(added, total)
            with code.when(code.builder.icmp_signed("==", t, I64(0))):
                for shift, total in zip(shifts, totals, strict=True):
                    code.builder.store(code.read(total), shift)
            for sign, (shift, total) in enumerate(zip(shifts, totals, strict=True)):
                shifted = code.builder.fsub(code.read(total), code.read(shift))
                code.store(shifted, self._current(t, sign))
        return [code.read(shift) for shift in shifts]

    def _current(self, t: Value, sign: int) -> Value:
        code = self.code
        return code.at(self.currents, code.product(t, 2 * code.lanes), sign * code.lanes)

    # --- filters ----------------------------------------------------------------------------

    def _forward(self) -> None:
        """Sums of raw and median-filtered currents, and the low-pass of one direction."""
        code = self.code
        b, T, padding = code.builder, code.slot("T"), code.slot("padding")
        filters = [self._lowpass(self._extension(padding, sign)) for sign in range(2)]
        with code.loop(0, padding) as k:
            self._pass(filters, k, [self._extension(b.sub(padding, k), s) for s in range(2)])
        medians = [
            Median(code, partial(self._current, sign=sign), b.fneg(first))  # zero, beyond the ends
            for sign, first in enumerate(self.first)
        ]
        totals = {kind: [self._double_zero() for _ in range(SUMS)] for kind in (0, 2)}
        with code.loop(0, T) as t:
            raw = [b.fpext(code.load(self._current(t, sign)), self.double) for sign in range(2)]
            self._add(totals[0], [b.fpext(median.at(t), self.double) for median in medians])
            self._add(totals[2], raw)
            self._pass(filters, code.sum(t, padding), raw)
        with code.loop(0, padding) as k:
            ends = [self._extension(code.sum(k, 1), sign, end=True) for sign in range(2)]
            self._pass(filters, code.sum(T, padding, k), ends)
        for kind in totals:
            self._write_sums(kind, totals[kind])

    def _backward(self) -> None:
        """The low-pass of the other direction, and its sums."""
        code = self.code
        b, padding = code.builder, code.slot("padding")
        last = b.sub(code.sum(code.slot("T"), padding, padding), I64(1))
        filters = [self._lowpass(self._load_filtered(last, sign)) for sign in range(2)]
        with code.loop(0, padding) as k:
            at = b.sub(last, k)
            for sign, section in enumerate(filters):
                section.step(self._load_filtered(at, sign))
        totals = [self._double_zero() for _ in range(SUMS)]
        with code.loop(0, code.slot("T")) as k:
            at = b.sub(last, code.sum(padding, k))
            pair = [f.step(self._load_filtered(at, sign)) for sign, f in enumerate(filters)]
            self._add(totals, pair)
        self._write_sums(1, totals)

    def _extension(self, k: Value, sign: int, *, end: bool = False) -> Value:
        """The ``k``-th value before the first step, which is 0, or after the last: odd mirror."""
        code = self.code
        b = code.builder
        if not end:
            return b.fneg(b.fpext(code.load(self._current(k, sign)), self.double))
        last = b.sub(code.slot("T"), I64(1))
        edge, inner = (
            b.fpext(code.load(self._current(at, sign)), self.double)
            for at in (last, b.sub(last, k))
        )
        return b.fsub(b.fadd(edge, edge), inner)

    def _lowpass(self, first: Value) -> Lowpass:
        return Lowpass(self.code, self.code.array("numbers"), first)

    def _pass(self, filters: list[Lowpass], at: Value, pair: list[Value]) -> None:
        for sign, (section, x) in enumerate(zip(filters, pair, strict=True)):
            self.code.builder.store(section.step(x), self._filtered_at(at, sign), align=8)

    def _filtered_at(self, at: Value, sign: int) -> Value:
        code = self.code
        offset = code.product(at, 2 * code.lanes)
        return code.at(self.filtered, offset, sign * code.lanes, kind=ir.DoubleType())

    def _load_filtered(self, at: Value, sign: int) -> Value:
        return self.code.builder.load(self._filtered_at(at, sign), typ=self.double, align=8)

    # --- sums -------------------------------------------------------------------------------

    def _double_zero(self) -> Value:
        return self.code.variable(ir.Constant(self.double, None))

    def _add(self, totals: list[Value], pair: list[Value]) -> None:
        b, (x, y) = self.code.builder, pair
        for total, part in zip(totals, (x, y), strict=False):
            b.store(b.fadd(self.code.read(total), part), total)
        for total, (p, q) in zip(totals[2:], ((x, x), (y, y), (x, y)), strict=True):
            product = b.fmul(p, q, flags=("contract",))
            b.store(b.fadd(self.code.read(total), product, flags=("contract",)), total)

    def _write_sums(self, kind: int, totals: list[Value]) -> None:
        code = self.code
        for n, total in enumerate(totals):
            offset = (kind * SUMS + n) * code.lanes
            place = code.at(self.sums, offset, kind=ir.DoubleType())
            code.builder.store(code.read(total), place, align=8)
