"""The first largest value of a row, as PyTorch's ``argmax`` finds it."""

from __future__ import annotations

import math
from collections.abc import Callable

from llvmlite import ir

from core.scan.cpu.code import I32, I64, Code, Value


def first_largest(code: Code, width: Value, value: Callable[[Value, Value | None], Value]) -> Value:
    """The 32-bit place of the first largest of ``value(i, mask)`` over a row of ``width``.

    NaN is larger than any number, and the two zeros are equal. Lanes outside the mask, where
    ``value`` may give anything, never win: they are as small as can be and come last.
    """
    b = code.builder
    least = code.constant(-math.inf)
    best, where = code.variable(least), code.variable(code.places(I64(0)))

    def one(i: Value, mask: Value | None) -> None:
        found, known = value(i, mask), code.read(best)
        if mask is not None:
            found = b.select(mask, found, least)
        better = _larger(code, found, known)
        b.store(b.select(better, found, known), best)
        b.store(b.select(better, code.places(i), code.read(where)), where)

    code.across(width, one)
    lane_best, lanes = code.read(best), code.lanes
    top = lane_best
    while lanes > 1:
        lanes //= 2
        other = code.exchanged(top, lanes)
        top = b.select(_larger(code, other, top), other, top)
    # The largest is in every lane, and all are read: where one is, LLVM 22 compares a wrong one.
    both_nan = b.and_(_is_nan(code, top), _is_nan(code, lane_best))
    same = b.or_(b.fcmp_ordered("==", top, lane_best), both_nan)
    none = ir.Constant(where.allocated_type, [2**31 - 1] * code.lanes)
    kind = ir.FunctionType(I32, [where.allocated_type])
    first = code.declare(f"llvm.vector.reduce.smin.v{code.lanes}i32", kind)
    return b.call(first, [b.select(same, code.read(where), none)])


def _larger(code: Code, a: Value, b: Value) -> Value:
    """``a > b``, or NaN where ``b`` is a number."""
    more = code.builder.fcmp_unordered(">", a, b)
    return code.builder.and_(more, code.builder.fcmp_ordered("ord", b, b))


def _is_nan(code: Code, value: Value) -> Value:
    return code.builder.fcmp_unordered("uno", value, value)
