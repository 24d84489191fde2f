"""The operations of a step graph on vectors of neurons."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from core.scan.cpu.code import Code, Value

Table = dict[str, Callable[..., Any]]


def operations(code: Code) -> Table:
    """What every operation of :data:`core.scan.graph.OPERATIONS` is in LLVM.

    None of them allows LLVM to reorder or contract floating-point operations: sums, products,
    quotients and square roots are rounded as in the eager loop, so that spikes are equal to the
    bit. Only ``exp`` is ours (within two units in the last place).
    """
    b = code.builder
    zero, one = code.constant(0.0), code.constant(1.0)

    def larger(x: Value, y: Value) -> Value:
        return _unless_nan(code, x, b.select(b.fcmp_ordered(">", x, y), x, y))

    def smaller(x: Value, y: Value) -> Value:
        return _unless_nan(code, x, b.select(b.fcmp_ordered("<", x, y), x, y))

    return {
        "const": code.constant,
        "add": b.fadd,
        "sub": b.fsub,
        "mul": b.fmul,
        "div": b.fdiv,
        "neg": b.fneg,
        "abs": lambda x: code.intrinsic("llvm.fabs", x),
        "sqrt": lambda x: code.intrinsic("llvm.sqrt", x),
        "floor": lambda x: code.intrinsic("llvm.floor", x),
        "exp": lambda x: exponential(code, x),
        "maximum": larger,
        "minimum": smaller,
        "gt": lambda x, y: b.fcmp_ordered(">", x, y),
        "ge": lambda x, y: b.fcmp_ordered(">=", x, y),
        "lt": lambda x, y: b.fcmp_ordered("<", x, y),
        "le": lambda x, y: b.fcmp_ordered("<=", x, y),
        "eq": lambda x, y: b.fcmp_ordered("==", x, y),
        "ne": lambda x, y: b.fcmp_unordered("!=", x, y),
        "and": b.and_,
        "or": b.or_,
        "not": b.not_,
        "to_float": lambda x: b.select(x, one, zero),
        "where": b.select,
    }


def _unless_nan(code: Code, x: Value, result: Value) -> Value:
    return code.builder.select(code.builder.fcmp_unordered("uno", x, x), x, result)


def exponential(code: Code, x: Value) -> Value:
    r"""``exp(x) = 2^k exp(r)``, ``k = round(x / ln 2)``, ``|r| <= ln(2) / 2``.

    ``exp(r)`` is its Taylor polynomial, of degree 7 in single and 13 in double precision (its
    error is below half a unit in the last place). A call of the C library per lane would cost
    more than the whole step of a neuron.
    """
    b, single = code.builder, code.real_bytes == 4
    highest, degree = (88.72283935546875, 7) if single else (709.782712893384, 13)
    lowest = -87.33654 if single else -708.3964
    # ln 2 in two parts: k times the first is exact.
    high, low = 0.693359375, -2.12194440054690583e-4
    if not single:
        high, low = 0.693145751953125, 1.42860682030941723212e-6
    clipped = b.select(b.fcmp_ordered(">", x, code.constant(highest)), code.constant(highest), x)
    clipped = b.select(
        b.fcmp_ordered("<", clipped, code.constant(lowest)), code.constant(lowest), clipped
    )
    k = code.intrinsic("llvm.rint", b.fmul(clipped, code.constant(1.0 / math.log(2.0))))
    r = code.multiply_add(k, code.constant(-high), clipped)
    r = code.multiply_add(k, code.constant(-low), r)
    power = code.constant(1.0 / math.factorial(degree))
    for order in range(degree - 1, -1, -1):
        power = code.multiply_add(power, r, code.constant(1.0 / math.factorial(order)))
    bits = ir.VectorType(ir.IntType(8 * code.real_bytes), code.lanes)
    # One bit of the exponent is kept back, as 2^128 itself is no number.
    whole = b.fptosi(b.fsub(k, code.constant(1.0)), bits)
    bias, shift = (127, 23) if single else (1023, 52)
    exponent = b.add(whole, ir.Constant(bits, [bias] * code.lanes))
    scale = b.bitcast(b.shl(exponent, ir.Constant(bits, [shift] * code.lanes)), code.vector)
    result = b.fmul(b.fmul(power, scale), code.constant(2.0))
    result = b.select(b.fcmp_ordered("<", x, code.constant(lowest)), code.constant(0.0), result)
    infinity = code.constant(math.inf)
    result = b.select(b.fcmp_ordered(">", x, code.constant(highest)), infinity, result)
    return b.select(b.fcmp_unordered("uno", x, x), x, result)
