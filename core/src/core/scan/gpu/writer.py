"""Source text of a Triton kernel, one line at a time, and the operations of a step graph in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Table = dict[str, Callable[..., Any]]


class Writer:
    """Lines of Python under construction."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0

    def text(self) -> str:
        """Everything written."""
        return "\n".join(self._lines) + "\n"

    def line(self, text: str) -> None:
        """One line at the present indentation."""
        self._lines.append("    " * self._depth + text)

    def value(self, expression: str) -> str:
        """A new variable that holds ``expression``."""
        name = f"v{self._names}"
        self._names += 1
        self.line(f"{name} = {expression}")
        return name

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """``head:`` and an indented block."""
        self.line(f"{head}:")
        self._depth += 1
        yield
        self._depth -= 1


def operations(writer: Writer, *, tile: str, double: bool) -> Table:
    """What every operation of :data:`core.scan.graph.OPERATIONS` is in Triton, but ``fmod``.

    Its remainder is not exact on a device: ``a - trunc(a / b) b`` with a rounded quotient.

    Quotients and square roots are asked to be rounded as in the eager loop (single precision is
    approximate otherwise), and the launch forbids to contract a product and a sum; with that,
    spikes are equal to the bit. Only elementary functions in single precision are the processor's
    approximations.

    Args:
        writer: Where each operation becomes a line.
        tile: The shape of the values, as text.
        double: Double precision.
    """
    real = "tl.float64" if double else "tl.float32"

    def plain(form: str) -> Callable[..., str]:
        return lambda *values: writer.value(form.format(*values))

    def constant(value: float) -> str:
        if math.isfinite(value):
            number = repr(abs(value))
        else:
            number = 'float("nan")' if math.isnan(value) else 'float("inf")'
        full = f"tl.full({tile}, {number}, {real})"
        # Triton has no negative zero of its own: neither as a constant nor by its unary minus.
        return writer.value(f"{full} * -1.0" if math.copysign(1.0, value) < 0 else full)

    return {
        "const": constant,
        "add": plain("{} + {}"),
        "sub": plain("{} - {}"),
        "mul": plain("{} * {}"),
        "div": plain("{} / {}" if double else "tl.div_rn({}, {})"),
        "neg": plain("{} * -1.0"),
        "abs": plain("tl.abs({})"),
        "sqrt": plain("tl.sqrt({})" if double else "tl.sqrt_rn({})"),
        "exp": plain("tl.exp({})"),
        "log": plain("tl.log({})"),
        "sin": plain("tl.sin({})"),
        "cos": plain("tl.cos({})"),
        "erf": plain("tl.erf({})"),
        "floor": plain("tl.floor({})"),
        "maximum": plain("tl.where({0} != {0}, {0}, tl.where({0} > {1}, {0}, {1}))"),
        "minimum": plain("tl.where({0} != {0}, {0}, tl.where({0} < {1}, {0}, {1}))"),
        "gt": plain("{} > {}"),
        "ge": plain("{} >= {}"),
        "lt": plain("{} < {}"),
        "le": plain("{} <= {}"),
        "eq": plain("{} == {}"),
        "ne": plain("{} != {}"),
        "and": plain("{} & {}"),
        "or": plain("{} | {}"),
        "not": plain("~{}"),
        "to_float": plain(f"{{}}.to({real})"),
        "where": plain("tl.where({}, {}, {})"),
    }
