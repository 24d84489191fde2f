"""Filters inside of the kernel of :mod:`bsnn.kernel`, one vector of neurons at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from llvmlite import ir

from core.scan.cpu.code import I64, Code, Value


class Lowpass:
    """Two second-order sections in a row.

    y = x + z1;  z1 = 2 x - a1 y + z2;  z2 = x - a2 y
    """

    def __init__(self, code: Code, numbers: Value, first: Value) -> None:
        """Starts in the state after a constant ``first``.

        ``numbers`` is where gain, ``a1`` and ``a2`` of both sections, and their states after a
        constant 1 stand, in double precision.
        """
        self.code, b, double = code, code.builder, ir.DoubleType()
        gain, *rest = (
            code.splat(code.load_one(code.at(numbers, n, kind=double), double), first.type)
            for n in range(9)
        )
        self.gain, self.factors = gain, (rest[:2], rest[2:4])
        self.states = [
            [self.code.variable(b.fmul(start, first)) for start in pair]
            for pair in (rest[4:6], rest[6:8])
        ]

    def step(self, x: Value) -> Value:
        """The filtered value."""
        b, read = self.code.builder, self.code.read
        x = b.fmul(x, self.gain)
        for (a1, a2), (z1, z2) in zip(self.factors, self.states, strict=True):
            y = b.fadd(x, read(z1))
            ahead = b.fadd(b.fadd(x, x), read(z2))
            b.store(self._less(ahead, a1, y), z1)
            b.store(self._less(x, a2, y), z2)
            x = y
        return x

    def _less(self, x: Value, a: Value, y: Value) -> Value:
        b = self.code.builder
        return b.fsub(x, b.fmul(a, y, flags=("contract",)), flags=("contract",))


class Median:
    """The median of five steps, by minima and maxima of neighbours that overlap."""

    def __init__(self, code: Code, current: Callable[[Value], Value], beyond: Value) -> None:
        """``current(t)`` is where the vector of step ``t`` stands; ``beyond`` both ends is this."""
        self.code, self.current, self.beyond = code, current, beyond
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
        with code.when(code.builder.icmp_signed("<", t, code.slot("T"))):
            code.builder.store(code.load(self.current(t)), place)
        return code.read(place)
