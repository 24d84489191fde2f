"""The operations of a step graph on vectors of neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.scan.cpu import functions
from core.scan.cpu.code import Code, Value

Table = dict[str, Callable[..., Any]]


def operations(code: Code) -> Table:
    """What every operation of :data:`core.scan.graph.OPERATIONS` is in LLVM.

    None of them allows LLVM to reorder or contract floating-point operations: sums, products,
    quotients and square roots are rounded as in the eager loop, so that spikes are equal to the
    bit. Elementary functions are those of :mod:`core.scan.cpu.functions`, which says how exact
    they are.
    """
    b = code.builder
    zero, one = code.constant(0.0), code.constant(1.0)

    def larger(x: Value, y: Value) -> Value:
        return functions.unless_nan(code, x, b.select(b.fcmp_ordered(">", x, y), x, y))

    def smaller(x: Value, y: Value) -> Value:
        return functions.unless_nan(code, x, b.select(b.fcmp_ordered("<", x, y), x, y))

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
        "exp": lambda x: functions.exponential(code, x),
        "log": lambda x: functions.logarithm(code, x),
        "sin": lambda x: functions.sine(code, x),
        "cos": lambda x: functions.cosine(code, x),
        "erf": lambda x: functions.error_function(code, x),
        "fmod": lambda x, y: functions.remainder(code, x, y),
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
