"""Filters inside of the kernel of :mod:`bsnn.kernel`, one vector of neurons at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

from llvmlite import ir

from bsnn.lowpass import MOST_GAP
from core.scan.cpu.code import I64, Code, Value

State: TypeAlias = list[Value]
"""Variables: real and imaginary parts of the filter's two modes."""


class Modal:
    """The low-pass in modes.

    Args:
        code: Of the kernel.
        constants: Where :meth:`bsnn.lowpass.Modes.flat` stands.
    """

    def __init__(self, code: Code, constants: Value) -> None:
        self.code, self.constants = code, constants
        self.double = ir.VectorType(ir.DoubleType(), code.lanes)
        after = 4 * (MOST_GAP + 1)
        self.start, self.end, self.out, self.through = after, after + 4, after + 24, after + 28

    def _constant(self, *place: Value | int) -> Value:
        address = self.code.at(self.constants, *place, kind=ir.DoubleType())
        return self.code.splat(self.code.load_one(address, ir.DoubleType()), self.double)

    def _multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        builder = self.code.builder
        return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

    def started(self, x: Value) -> State:
        """The state ``a`` after a constant ``x``."""
        b = self.code.builder
        return [self.code.variable(b.fmul(self._constant(self.start, n), x)) for n in range(4)]

    def ended(self, state: State, x: Value) -> State:
        """The state ``b`` at the end, where ``a`` is ``state`` and the input ``x``."""
        known = [*(self.code.read(part) for part in state), x]
        ended = []
        for n in range(4):
            total = ir.Constant(self.double, None)
            for i, value in enumerate(known):
                total = self._multiply_add(self._constant(self.end + 5 * n + i), value, total)
            ended.append(self.code.variable(total))
        return ended

    def power(self, k: Value) -> list[Value]:
        """``p^k`` of both modes."""
        return [self._constant(self.code.product(k, 4), n) for n in range(4)]

    def multiply(self, state: State, power: list[Value]) -> None:
        """``a := p^k a``."""
        b, code = self.code.builder, self.code
        for n in (0, 2):
            re, im = (code.read(part) for part in state[n : n + 2])
            p, q = power[n : n + 2]
            less = b.fmul(q, im, flags=("contract",))
            b.store(b.fsub(b.fmul(p, re, flags=("contract",)), less, flags=("contract",)), state[n])
            b.store(self._multiply_add(p, im, b.fmul(q, re)), state[n + 1])

    def add(self, state: State, power: list[Value], x: Value) -> None:
        """``a := a + p^k x``."""
        for part, p in zip(state, power, strict=True):
            self.code.builder.store(self._multiply_add(p, x, self.code.read(part)), part)

    def direct(self, x: Value) -> Value:
        """What an input gives at once."""
        return self.code.builder.fmul(self._constant(self.through), x)

    def output(self, state: State, known: Value) -> Value:
        """What a state gives, added to what is ``known``."""
        for n, part in enumerate(state):
            known = self._multiply_add(self._constant(self.out, n), self.code.read(part), known)
        return known


class Median:
    """The median of five steps, by minima and maxima of neighbours that overlap."""

    def __init__(self, code: Code, current: Callable[[Value], Value], count: Value) -> None:
        """``current(k)`` is where the vector of step ``k`` stands; beyond both ends are zeros."""
        self.code, self.current, self.count = code, current, count
        self.beyond = ir.Constant(code.vector, None)
        self.window = [code.variable(self.beyond) for _ in range(3)]
        self.low, self.high = ([code.variable(self.beyond) for _ in range(4)] for _ in range(2))
        for t in range(2):
            self._shift(self._ahead(I64(t)))

    def at(self, t: Value) -> Value:
        """Of the steps ``t - 2`` to ``t + 2``; asked for in their order."""
        read = self.code.read
        self._shift(self._ahead(self.code.sum(t, 2)))
        a = self._larger(read(self.low[0]), read(self.low[3]))
        b = self._smaller(read(self.high[0]), read(self.high[3]))
        middle = self._smaller(read(self.window[0]), self._larger(a, b))
        return self._larger(self._smaller(a, b), middle)

    def _shift(self, x: Value) -> None:
        """Take one more step, and with it the pair of the last two."""
        before = self.code.read(self.window[2])
        news = (x, self._smaller(before, x), self._larger(before, x))
        for places, new in zip((self.window, self.low, self.high), news, strict=True):
            for older, newer in itertools.pairwise(places):
                self.code.builder.store(self.code.read(newer), older)
            self.code.builder.store(new, places[-1])

    def _smaller(self, x: Value, y: Value) -> Value:
        b = self.code.builder
        return b.select(b.fcmp_ordered("<", x, y), x, y)

    def _larger(self, x: Value, y: Value) -> Value:
        b = self.code.builder
        return b.select(b.fcmp_ordered(">", x, y), x, y)

    def _ahead(self, t: Value) -> Value:
        """The current of a step, also after the last."""
        code = self.code
        place = code.variable(self.beyond)
        with code.when(code.builder.icmp_signed("<", t, self.count)):
            code.builder.store(code.load(self.current(t)), place)
        return code.read(place)
