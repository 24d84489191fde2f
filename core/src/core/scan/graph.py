"""A neuron's step and its derivative as one graph on the values of a neuron, made into kernels.

:func:`core.scan.trace.trace` runs ``step`` and the derivative that autograd gives it once, on
placeholders, and keeps what was computed as a list of scalar operations. Printers
(:mod:`core.scan.cpu`, :mod:`core.scan.gpu`) turn the list into kernels; they need to know the
operations of :data:`OPERATIONS` and nothing about any neuron.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

#: Operations of a graph: name -> what it computes, on Python numbers. Those of COMPARISONS and
#: LOGIC give truth values; ``to_float`` turns one into 0 or 1.
OPERATIONS: dict[str, str] = {
    "add": "a + b",
    "sub": "a - b",
    "mul": "a b",
    "div": "a / b",
    "neg": "-a",
    "abs": "absolute value",
    "sqrt": "square root",
    "exp": "exponential function",
    "log": "natural logarithm",
    "sin": "sine",
    "cos": "cosine",
    "erf": "error function",
    "fmod": "a - trunc(a / b) b",
    "floor": "largest integer not above a",
    "maximum": "the larger, NaN if either is",
    "minimum": "the smaller, NaN if either is",
    "gt": "a > b",
    "ge": "a >= b",
    "lt": "a < b",
    "le": "a <= b",
    "eq": "a = b",
    "ne": "a != b",
    "and": "both",
    "or": "either",
    "not": "not a",
    "to_float": "1 if a else 0",
    "where": "b if a else c",
}
COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne")
LOGIC = ("and", "or", "not")
#: The one operation that looks along the row: whether ``a`` is its first largest value, where NaN
#: is larger than any number. A kernel finds the place first, so :meth:`StepGraph.evaluate` takes
#: the truth value as an input, under the name that :func:`winner_input` gives.
WINNER = "winner"


class Unfusable(Exception):
    """A step that is no element-wise graph of known operations; the message says why."""


def winner_input(node: int) -> str:
    """What a node with the operation :data:`WINNER` is called among the inputs."""
    return f"w{node}"


@dataclass(frozen=True)
class Node:
    """One value: an input (``op="input"``), a constant (``"const"``) or an operation on others.

    Attributes:
        op: See :data:`OPERATIONS` and :data:`WINNER`.
        args: Indices of other nodes; the name of an input; the value of a constant, and as
            text.
        boolean: Whether it is a truth value.
    """

    op: str
    args: tuple[Any, ...]
    boolean: bool


#: The gradient of the spike after a step, as a node.
GRADIENT = ("input", ("gs0",))


@dataclass(frozen=True)
class StepGraph:
    """One step of a neuron and its derivative, for one element.

    Inputs are named ``c0 ...`` (coefficients), ``s0 ...`` (state before the step), ``x``, ``x1
    ...`` (total currents), ``m`` (spike mask, where there is one), ``gs0 ...`` and ``go``
    (gradients of the state after the step and of the output).

    Attributes:
        nodes: In an order in which they can be computed.
        coefficients: How many.
        states: How many fields the state has.
        masked: Whether there is a spike mask.
        forward: Nodes of the state after the step, then of the output.
        backward: Nodes of the gradients of coefficients, state and currents, in this order.
        currents: How many input currents.
    """

    nodes: tuple[Node, ...]
    coefficients: int
    states: int
    masked: bool
    forward: tuple[int, ...]
    backward: tuple[int, ...]
    currents: int = 1

    @cached_property
    def _hash(self) -> int:
        return hash((self.nodes, self.forward, self.backward))

    def __hash__(self) -> int:
        # A graph is the key of its kernels, looked up at every call: hashing it anew costs more.
        return self._hash

    @cached_property
    def gates(self) -> tuple[int, ...]:
        """Nodes such that the gradient of the new spike matters only where one is not zero.

        A surrogate that is zero outside of a window is such a node: where all of them are zero,
        nobody needs to know what the spike did to later steps. They read coefficients, state and
        current alone. Empty where there are none, or where that gradient also goes another way.
        """
        users: dict[int, list[int]] = {}
        for index in self.needed(self.backward):
            if self.nodes[index].op not in ("input", "const"):
                for argument in set(self.nodes[index].args):
                    users.setdefault(argument, []).append(index)
        found: set[int] = set()
        stack = [i for i, node in enumerate(self.nodes) if (node.op, node.args) == GRADIENT]
        while stack:
            gradient = stack.pop()
            if gradient in self.backward:
                return ()
            for user in users.get(gradient, []):
                node = self.nodes[user]
                others = [argument for argument in node.args if argument != gradient]
                if node.op not in ("add", "sub", "neg", "mul", "div", "where"):
                    return ()
                if node.op == "where" and self._is_zero(node.args[2]):
                    found.add(node.args[0])
                elif node.op == "mul" and others and self._vanishes(others[0]):
                    found.add(others[0])
                elif node.op == "where" or (node.op == "div" and node.args[0] != gradient):
                    return ()
                else:
                    stack.append(user)
        return tuple(sorted(found))

    def _vanishes(self, index: int) -> bool:
        """Whether a node is zero on some range of what it depends on, not only at a point."""
        node = self.nodes[index]
        if node.op == "mul":
            return any(self._vanishes(argument) for argument in node.args)
        if node.op == "maximum":
            return any(self._is_zero(argument) for argument in node.args)
        return node.op == "to_float"

    def _is_zero(self, index: int) -> bool:
        return (self.nodes[index].op, self.nodes[index].args[0]) == ("const", 0.0)

    @cached_property
    def binary(self) -> bool:
        """Whether the output is 0 or 1, whatever goes in."""
        return self._binary(self.forward[-1])

    def _binary(self, index: int) -> bool:
        node = self.nodes[index]
        if node.op == "const":
            return node.args[0] in (0.0, 1.0)
        if node.op in ("where", "mul", "maximum", "minimum"):
            return all(map(self._binary, node.args[node.op == "where" :]))
        return node.op == "to_float"

    def winners(self, outputs: Iterable[int]) -> list[int]:
        """The winners that ``outputs`` depend on, in an order in which they can be found."""
        found: set[int] = set()
        left = list(outputs)
        while left:
            nodes = self.needed(left)
            new = {index for index in nodes if self.nodes[index].op == WINNER} - found
            found |= new
            left = [self.nodes[index].args[0] for index in new]
        return sorted(found)

    @cached_property
    def read(self) -> frozenset[str]:
        """The inputs that the step or its derivative reads."""
        wanted = [*self.forward, *self.backward]
        wanted += [self.nodes[index].args[0] for index in self.all_winners]
        nodes = [self.nodes[index] for index in self.needed(wanted)]
        return frozenset(node.args[0] for node in nodes if node.op == "input")

    @cached_property
    def all_winners(self) -> tuple[int, ...]:
        """Those of the step and of its derivative."""
        return tuple(self.winners((*self.forward, *self.backward)))

    def needed(self, outputs: Iterable[int]) -> list[int]:
        """The nodes that ``outputs`` depend on, themselves included, in order of computation.

        What a winner depends on is left out: another pass over the row computes it before.
        """
        wanted: set[int] = set()
        stack = list(outputs)
        while stack:
            index = stack.pop()
            if index not in wanted:
                wanted.add(index)
                node = self.nodes[index]
                if node.op not in ("input", "const", WINNER):
                    stack += node.args
        return sorted(wanted)

    def evaluate(
        self, outputs: Iterable[int], inputs: dict[str, Any], table: dict[str, Any]
    ) -> Any:
        """Compute ``outputs`` with ``table[op](*values)``; ``table["const"]`` makes constants.

        Winners are among the inputs.
        """
        values: dict[int, Any] = {}
        outputs = list(outputs)
        for index in self.needed(outputs):
            node = self.nodes[index]
            if node.op == "input":
                values[index] = inputs[node.args[0]]
            elif node.op == WINNER:
                values[index] = inputs[winner_input(index)]
            elif node.op == "const":
                values[index] = table["const"](node.args[0])
            else:
                values[index] = table[node.op](*[values[arg] for arg in node.args])
        return [values[index] for index in outputs]


@dataclass(frozen=True)
class Variant:
    """Which kernels of a neuron.

    Attributes:
        graph: The step.
        double: Double precision.
        recurrent: With a recurrent weight.
    """

    graph: StepGraph
    double: bool
    recurrent: bool
