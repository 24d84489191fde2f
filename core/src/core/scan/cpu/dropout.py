"""Dropout as a kernel: random bits are computed where they are needed, and again backwards.

The bits of element ``i`` are a hash of ``i`` and a seed, two rounds of multiplications and shifts
("lowbias32", C. Wellons, Prospecting for hash functions, 2018), so that neither a mask nor numbers
are kept, and results depend on no thread.
"""

from __future__ import annotations

import ctypes

import torch
from llvmlite import ir
from torch import Tensor

from core.buffers import empty
from core.once import once
from core.scan.cpu import tasks, workers
from core.scan.cpu.code import I32, Code, Value
from core.scan.cpu.machine import Function, denormals, function, this_machine

SLOTS = (
    *tasks.SLOTS,
    *("size", "block", "x", "result", "scale", "first_seed", "second_seed", "threshold"),
)
#: Elements of a task.
BLOCK = 1 << 16
MOST = 1 << 32
"""Elements that have a number of their own."""


def drop(x: Tensor, p: float, seed: int) -> Tensor:
    """``x / (1 - p)`` where a hash of element and seed is at least ``p 2^32``, zero elsewhere.

    Args:
        x: Contiguous, on the CPU, float32 or float64.
        p: In ``[0, 1)``; rounded to a multiple of ``2^-32`` as a chance, exact as a factor.
        seed: 64 bits.

    Raises:
        ValueError: ``x`` has more than :data:`MOST` elements.
    """
    if x.numel() > MOST:
        raise ValueError(f"dropout of {x.numel()} elements at once; split them")
    result = empty(tuple(x.shape), x.dtype)
    count = -(-x.numel() // BLOCK)
    scale = torch.full((1,), 1.0 / (1.0 - p), dtype=x.dtype)
    counters = (ctypes.c_int64 * 2)(0, 0)
    values = {
        **{"counters": ctypes.addressof(counters), "tasks": count, "control": denormals()},
        **{"size": x.numel(), "block": BLOCK, "x": x.data_ptr(), "result": result.data_ptr()},
        **{"first_seed": seed & 0xFFFFFFFF, "second_seed": (seed >> 32) & 0xFFFFFFFF},
        **{"threshold": min(round(p * MOST), MOST - 1), "scale": scale.data_ptr()},
    }
    slots = (ctypes.c_int64 * len(SLOTS))(*[values[name] for name in SLOTS])
    workers.run(_kernel(x.dtype), slots, max(1, min(torch.get_num_threads(), count)))
    return result


@once
def _kernel(dtype: torch.dtype) -> Function:
    real = ir.DoubleType() if dtype == torch.float64 else ir.FloatType()
    code = Code("dropout", SLOTS, real, this_machine())
    scale = code.splat(code.load_one(code.array("scale")))
    with tasks.each_task(code) as (task, _):
        start = code.product(task, code.slot("block"))
        width = code.smaller(code.slot("block"), code.builder.sub(code.slot("size"), start))
        x, result = (code.at(code.array(slot), start) for slot in ("x", "result"))

        def one(i: Value, mask: Value | None) -> None:
            kept = _kept(code, code.sum(start, i))
            scaled = code.builder.fmul(code.load(code.at(x, i), mask), scale)
            value = code.builder.select(kept, scaled, code.constant(0.0))
            code.store(value, code.at(result, i), mask)

        code.across(width, one)
    what = f"CPU kernel of dropout ({'float64' if dtype == torch.float64 else 'float32'})"
    return function("dropout", code.finish(), what)


def _kept(code: Code, first: Value) -> Value:
    """Which of the elements from ``first`` on are kept."""
    b, kind = code.builder, ir.VectorType(I32, code.lanes)

    def numbers(value: int) -> Value:
        return ir.Constant(kind, [value] * code.lanes)

    def seed(name: str) -> Value:
        return code.splat(b.trunc(code.slot(name), I32), kind)

    def folded(bits: Value, shift: int) -> Value:
        return b.xor(bits, b.lshr(bits, numbers(shift)))

    def hashed(bits: Value) -> Value:
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            bits = b.mul(folded(bits, shift), numbers(factor))
        return folded(bits, 16)

    places = b.add(
        code.splat(b.trunc(first, I32), kind), ir.Constant(kind, list(range(code.lanes)))
    )
    bits = hashed(b.xor(hashed(b.xor(places, seed("first_seed"))), seed("second_seed")))
    return b.icmp_unsigned(">=", bits, seed("threshold"))
