"""Two taps of a sequence, as many steps away as each neuron says, as one kernel.

``result[t, b, n] = near[n] x[t - k[n], b, n] + far[n] x[t - k[n] - 1, b, n]``; backwards in time,
the same with ``+``. What lies outside of the sequence is zero.
"""

from __future__ import annotations

import ctypes

import torch
from llvmlite import ir
from torch import Tensor

from core.buffers import empty
from core.once import once
from core.scan.cpu import tasks, workers
from core.scan.cpu.code import I1, I32, I64, POINTER, Code, Value
from core.scan.cpu.machine import Function, denormals, function, this_machine

SLOTS = (
    *tasks.SLOTS,
    *("steps", "batch", "width", "x", "result", "near", "far", "whole", "row", "backward"),
)


def taps(x_TBN: Tensor, whole_N: Tensor, near_N: Tensor, far_N: Tensor, *, back: bool) -> Tensor:
    """Both taps of every neuron.

    Args:
        x_TBN: Contiguous, on the CPU, float32 or float64.
        whole_N: Steps, int64, at least 0.
        near_N: Weight of the tap ``whole`` steps away.
        far_N: Of the tap one step further.
        back: Look forwards in time, which is the gradient of looking back.
    """
    (steps, batch, width), dtype = x_TBN.shape, x_TBN.dtype
    lanes = this_machine().vector_bytes // dtype.itemsize
    padded = -(-width // lanes) * lanes

    def row(values: Tensor, kind: torch.dtype) -> Tensor:
        filled = torch.zeros(padded, dtype=kind)
        filled[:width] = values
        return filled

    rows = [row(near_N, dtype), row(far_N, dtype), row(whole_N, torch.int64)]
    result = empty((steps, batch, width), dtype)
    counters = (ctypes.c_int64 * 2)(0, 0)
    values = {
        **{"counters": ctypes.addressof(counters), "tasks": steps, "control": denormals()},
        **{"steps": steps, "batch": batch, "width": width, "backward": int(back)},
        **{"x": x_TBN.data_ptr(), "result": result.data_ptr(), "row": batch * width},
        **dict(zip(("near", "far", "whole"), (r.data_ptr() for r in rows), strict=True)),
    }
    slots = (ctypes.c_int64 * len(SLOTS))(*[values[name] for name in SLOTS])
    workers.run(_kernel(dtype), slots, max(1, min(torch.get_num_threads(), steps)))
    return result


@once
def _kernel(dtype: torch.dtype) -> Function:
    real = ir.DoubleType() if dtype == torch.float64 else ir.FloatType()
    code = Code("delay", SLOTS, real, this_machine())
    b, integers = code.builder, ir.VectorType(I64, code.lanes)
    with tasks.each_task(code) as (step, _):
        forwards = b.icmp_signed("!=", code.slot("backward"), I64(0))
        # how many steps there are on the side to which it looks
        room = b.select(forwards, b.sub(b.sub(code.slot("steps"), I64(1)), step), step)
        stride = b.select(forwards, code.slot("row"), b.neg(code.slot("row")))
        with code.loop(0, code.slot("batch")) as sample:
            start = code.sum(
                code.product(step, code.slot("row")), code.product(sample, code.slot("width"))
            )

            def one(i: Value, mask: Value | None, start: Value = start) -> None:
                place = code.at(code.array("whole"), i, kind=I64)
                whole = b.load(place, typ=integers, align=8)
                here = b.add(
                    code.splat(code.sum(start, i), integers),
                    ir.Constant(integers, list(range(code.lanes))),
                )
                total = None
                for weight, further in (("near", 0), ("far", 1)):
                    steps = b.add(whole, ir.Constant(integers, [further] * code.lanes))
                    inside = b.icmp_signed("<=", steps, code.splat(room, integers))
                    if mask is not None:
                        inside = b.and_(inside, mask)
                    there = b.add(here, b.mul(steps, code.splat(stride, integers)))
                    value = _gathered(code, there, inside)
                    product = b.fmul(value, code.load(code.at(code.array(weight), i)))
                    total = product if total is None else b.fadd(total, product)
                code.store(total, code.at(code.array("result"), start, i), mask)

            code.across(code.slot("width"), one)
    what = f"CPU kernel of delays ({'float64' if dtype == torch.float64 else 'float32'})"
    return function("delay", code.finish(), what)


def _gathered(code: Code, places: Value, mask: Value) -> Value:
    """The elements of ``x`` at these places, zero outside of the mask."""
    b = code.builder
    integers, pointers = places.type, ir.VectorType(POINTER, code.lanes)
    size = ir.Constant(integers, [code.real_bytes] * code.lanes)
    base = code.splat(code.slot("x"), integers)
    addresses = b.inttoptr(b.add(base, b.mul(places, size)), pointers)
    name = f"llvm.masked.gather.v{code.lanes}f{8 * code.real_bytes}.v{code.lanes}p0"
    bits = ir.VectorType(I1, code.lanes)
    kind = ir.FunctionType(code.vector, [pointers, I32, bits, code.vector])
    zero = ir.Constant(code.vector, None)
    gather = code.declare(name, kind)
    return b.call(gather, [addresses, I32(code.real_bytes), mask, zero])
