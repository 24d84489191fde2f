"""Products with an input that is mostly zero, such as spikes: ``x W^T``, and the gradient of ``W``.

Every row of the input is searched for what is not zero; the forward product then adds rows of
``W^T`` in registers, as the gather of a recurrent layer does. For the gradient of the weight, the
rows of a block are sorted by input (a counting sort), so that an input's sums stay in registers
while it adds the gradients of all rows in which it was not zero.
"""

from __future__ import annotations

import ctypes

import torch
from llvmlite import ir
from torch import Tensor

from core.buffers import empty
from core.once import once
from core.scan.cpu import recurrence, tasks, workers
from core.scan.cpu.code import I32, I64, Code, Value
from core.scan.cpu.machine import Function, denormals, function, this_machine

FORWARD = (
    *tasks.SLOTS,
    *("rows", "block", "inner", "width", "x", "weight", "weight_row", "bias", "result"),
    "indices",
)
BACKWARD = (
    *tasks.SLOTS,
    *("rows", "block", "inner", "width", "x", "gradient", "sums", "sums_row"),
    *("lists", "starts", "order", "values"),
)
#: Rows of the forward product in a task.
FORWARD_ROWS = 64
#: Rows that the backward product sorts at once: their gradients stay in cache.
SORTED_ROWS = 128
#: Tasks of the backward product; each has its own sums, and results do not depend on threads.
BACKWARD_TASKS = 8


def product(x_MI: Tensor, weight_NI: Tensor, bias_N: Tensor | None, result_MN: Tensor) -> None:
    """``result = x weight^T + bias``; all contiguous but for the weight, and of one precision."""
    (rows, inner), size = x_MI.shape, len(weight_NI)
    padded = _padded(size, x_MI.dtype)
    turned = torch.zeros(inner, padded, dtype=x_MI.dtype)
    turned[:, :size] = weight_NI.t()
    start = torch.zeros(size, dtype=x_MI.dtype) if bias_N is None else bias_N.contiguous()
    count = -(-rows // FORWARD_ROWS)
    threads = _threads(count)
    indices = torch.empty(threads, inner, dtype=torch.int32)
    _run(
        "forward",
        x_MI.dtype,
        threads,
        {
            **{"tasks": count, "rows": rows, "block": FORWARD_ROWS, "inner": inner, "width": size},
            **{"x": x_MI.data_ptr(), "weight": turned.data_ptr(), "weight_row": padded},
            **{"bias": start.data_ptr(), "result": result_MN.data_ptr()},
            "indices": indices.data_ptr(),
        },
    )


def weight_gradient(x_MI: Tensor, gradient_MN: Tensor) -> Tensor:
    """``gradient^T x``, ``[N, I]``; both contiguous."""
    (rows, inner), size, dtype = x_MI.shape, gradient_MN.shape[1], x_MI.dtype
    padded = _padded(size, dtype)
    count = min(BACKWARD_TASKS, -(-rows // SORTED_ROWS))
    block = -(-rows // count)
    sums = empty((count, inner, padded), dtype).zero_()
    threads = _threads(count)
    scratch = {
        "lists": torch.empty(threads, SORTED_ROWS, inner + 1, dtype=torch.int32),
        "starts": torch.empty(threads, inner + 1, dtype=torch.int32),
        "order": torch.empty(threads, SORTED_ROWS * inner, dtype=torch.int32),
        "values": torch.empty(threads, SORTED_ROWS * inner, dtype=dtype),
    }
    _run(
        "backward",
        dtype,
        threads,
        {
            **{"tasks": count, "rows": rows, "block": block, "inner": inner, "width": size},
            **{"x": x_MI.data_ptr(), "gradient": gradient_MN.data_ptr()},
            **{"sums": sums.data_ptr(), "sums_row": padded},
            **{name: memory.data_ptr() for name, memory in scratch.items()},
        },
    )
    return sums.sum(0)[:, :size].t()


def _padded(size: int, dtype: torch.dtype) -> int:
    lanes = this_machine().vector_bytes // dtype.itemsize
    return -(-size // lanes) * lanes


def _threads(count: int) -> int:
    return max(1, min(torch.get_num_threads(), count))


def _run(direction: str, dtype: torch.dtype, threads: int, values: dict[str, int]) -> None:
    counters = (ctypes.c_int64 * 2)(0, 0)
    values |= {"counters": ctypes.addressof(counters), "control": denormals()}
    names = FORWARD if direction == "forward" else BACKWARD
    slots = (ctypes.c_int64 * len(names))(*[values[name] for name in names])
    workers.run(_kernel(direction, dtype), slots, threads)


@once
def _kernel(direction: str, dtype: torch.dtype) -> Function:
    real = ir.DoubleType() if dtype == torch.float64 else ir.FloatType()
    forward = direction == "forward"
    code = Code(f"sparse_{direction}", FORWARD if forward else BACKWARD, real, this_machine())
    (_forward if forward else _backward)(code)
    precision = "float64" if dtype == torch.float64 else "float32"
    what = f"CPU kernel of products with sparse input ({direction}, {precision})"
    return function(f"sparse_{direction}", code.finish(), what)


def _rows(code: Code, task: Value) -> tuple[Value, Value]:
    """The first row of a task and the one after its last."""
    first = code.product(task, code.slot("block"))
    return first, code.smaller(code.sum(first, code.slot("block")), code.slot("rows"))


def _list(code: Code, row: Value, indices: Value) -> Value:
    """List where a row of the input is not zero; returns how many."""

    def active(i: Value, mask: Value | None) -> Value:
        value = code.load(code.at(row, i), mask)
        return code.builder.fcmp_unordered("!=", value, code.constant(0.0))

    return recurrence.list_places(code, code.slot("inner"), indices, active)


def _forward(code: Code) -> None:
    with tasks.each_task(code) as (task, seat):
        own = code.product(seat, code.slot("inner"))
        indices = code.at(code.array("indices"), own, kind=I32)
        first, stop = _rows(code, task)
        with code.loop(first, stop) as r:
            row = code.at(code.array("x"), code.product(r, code.slot("inner")))
            result = code.at(code.array("result"), code.product(r, code.slot("width")))
            count = _list(code, row, indices)
            recurrence.gather(
                code, code.array("bias"), row, indices, count, code.array("weight"),
                code.slot("weight_row"), result, code.slot("width"), exact=True,
            )  # fmt: skip


def _backward(code: Code) -> None:
    with tasks.each_task(code) as (task, seat):
        first, stop = _rows(code, task)
        size = code.product(task, code.slot("inner"), code.slot("sums_row"))
        sums = code.at(code.array("sums"), size)
        with code.loop(first, stop, SORTED_ROWS) as start:
            end = code.smaller(code.sum(start, SORTED_ROWS), stop)
            _Sorted(code, seat, start, code.builder.sub(end, start)).add_to(sums)


class _Sorted:
    """Some rows of the input, sorted by input: for each, in which rows it is not zero."""

    def __init__(self, code: Code, seat: Value, start: Value, rows: Value) -> None:
        self.code, self.start, self.rows = code, start, rows
        inner = code.slot("inner")
        most = code.product(seat, SORTED_ROWS, inner)
        self.stride = code.sum(inner, 1)
        lists = code.product(seat, SORTED_ROWS, self.stride)
        self.lists = code.at(code.array("lists"), lists, kind=I32)
        self.starts = code.at(code.array("starts"), code.product(seat, self.stride), kind=I32)
        self.order = code.at(code.array("order"), most, kind=I32)
        self.values = code.at(code.array("values"), most)
        self._count()
        self._sort()

    def _places(self, r: Value) -> tuple[Value, Value]:
        """The list of a row: how many, and where the places are."""
        row = self.code.at(self.lists, self.code.product(r, self.stride), kind=I32)
        return row, self.code.at(row, 1, kind=I32)

    def _input(self, r: Value) -> Value:
        code = self.code
        row = code.product(code.sum(self.start, r), code.slot("inner"))
        return code.at(code.array("x"), row)

    def _number(self, address: Value) -> Value:
        return self.code.builder.zext(self.code.load_one(address, I32), I64)

    def _set(self, address: Value, value: Value) -> None:
        self.code.builder.store(self.code.builder.trunc(value, I32), address)

    def _count(self) -> None:
        """``starts[j + 1]``: in how many rows input ``j`` is not zero; then sums of these."""
        code = self.code
        with code.loop(0, self.stride) as j:
            self._set(code.at(self.starts, j, kind=I32), I64(0))
        with code.loop(0, self.rows) as r:
            head, places = self._places(r)
            count = _list(code, self._input(r), places)
            self._set(head, count)
            with code.loop(0, count) as k:
                j = self._number(code.at(places, k, kind=I32))
                place = code.at(self.starts, j, 1, kind=I32)
                self._set(place, code.sum(self._number(place), 1))
        total = code.variable(I64(0))
        with code.loop(0, self.stride) as j:
            place = code.at(self.starts, j, kind=I32)
            code.builder.store(code.sum(code.read(total), self._number(place)), total)
            self._set(place, code.read(total))

    def _sort(self) -> None:
        """Write rows and values in the order of inputs; afterwards ``starts[j]`` is j's end."""
        code = self.code
        with code.loop(0, self.rows) as r:
            head, places = self._places(r)
            row = self._input(r)
            with code.loop(0, self._number(head)) as k:
                j = self._number(code.at(places, k, kind=I32))
                place = code.at(self.starts, j, kind=I32)
                target = self._number(place)
                self._set(code.at(self.order, target, kind=I32), r)
                code.builder.store(code.load_one(code.at(row, j)), code.at(self.values, target))
                self._set(place, code.sum(target, 1))

    def add_to(self, sums: Value) -> None:
        """``sums[j] += value gradient[r]`` for every row ``r`` in which ``j`` is not zero."""
        code, width = self.code, self.code.slot("width")

        def panel(column: Value, vectors: int, mask: Value | None) -> None:
            before = code.variable(I64(0))
            with code.loop(0, code.slot("inner")) as j:
                start, end = code.read(before), self._number(code.at(self.starts, j, kind=I32))
                code.builder.store(end, before)
                with code.when(code.builder.icmp_signed("<", start, end)):
                    target = code.at(sums, code.product(j, code.slot("sums_row")), column)
                    add(start, end, target, column, vectors, mask)

        def add(
            start: Value, end: Value, target: Value, column: Value, vectors: int,
            mask: Value | None,
        ) -> None:  # fmt: skip
            lanes = code.lanes
            totals = [code.variable(code.load(code.at(target, p * lanes))) for p in range(vectors)]
            with code.loop(start, end) as k:
                r = self._number(code.at(self.order, k, kind=I32))
                value = code.splat(code.load_one(code.at(self.values, k)))
                row = code.product(code.sum(self.start, r), width)
                gradient = code.at(code.array("gradient"), row, column)
                for p, total in enumerate(totals):
                    part = code.load(code.at(gradient, p * lanes), mask)
                    code.builder.store(code.multiply_add(value, part, code.read(total)), total)
            for p, total in enumerate(totals):
                code.store(code.read(total), code.at(target, p * lanes))

        recurrence.in_panels(code, width, panel)
