"""What an operator runs, as text, which exported programs carry to other machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import UserError
from core.once import once
from core.outside.text import from_json, to_json
from core.scan.currents import current_input
from core.scan.graph import OPERATIONS, WINNER, Node, StepGraph
from core.scan.rules import PLACE


@dataclass(frozen=True)
class Plan:
    """A scan apart from its tensors.

    Attributes:
        name: Of the neuron, for messages.
        graph: Its step.
        traced: Fields of the state whose traces are wanted, by number.
        pathways: Fields of the state that come back through a weight of their own, and the currents
            that they come to; by number.
    """

    name: str
    graph: StepGraph
    traced: tuple[int, ...]
    pathways: tuple[tuple[int, int], ...]


def written(plan: Plan) -> str:
    """JSON that :func:`read` takes; equal plans have equal texts."""
    graph = plan.graph
    # Of a constant its digits alone: JSON has no infinity.
    nodes = [
        [node.op, node.args[1:] if node.op == "const" else node.args, node.boolean]
        for node in graph.nodes
    ]
    counts = [graph.coefficients, graph.states, graph.currents, graph.masked]
    step = [nodes, *counts, graph.forward, graph.backward]
    return to_json([plan.name, step, plan.traced, plan.pathways])


@once
def read(text: str) -> Plan:
    """The plan of a text.

    Raises:
        UserError: It is none, such as that of a damaged or edited program.
    """
    try:
        name, step, traced, pathways = from_json(text, "the step of a neuron")
        nodes, coefficients, states, currents, masked, forward, backward = step
        graph = StepGraph(
            tuple(Node(op, _arguments(op, args), boolean) for op, args, boolean in nodes),
            *(coefficients, states, masked, tuple(forward), tuple(backward), currents),
        )
        ends = tuple([(field, current) for field, current in pathways])
        plan = Plan(str(name), graph, tuple(traced), ends)
        right = _sound(graph) and all(_before(f, states) for f in traced)
        right = right and all(_before(f, states) and _before(c, currents) for f, c in ends)
    except (UserError, ValueError, TypeError, IndexError):
        right = False
    if not right:
        raise UserError("this text is no step of a neuron: export the program again")
    return plan


def _arguments(op: str, given: list[Any]) -> tuple[Any, ...]:
    return (float(given[0]), given[0]) if op == "const" else tuple(given)


def _sound(graph: StepGraph) -> bool:
    """Whether kernels can be made of it: they read the memory that a graph names."""
    coefficients, states = graph.coefficients, graph.states
    if not all(_count(each) for each in (coefficients, states, graph.currents)):
        return False
    if graph.currents == 0:
        return False
    inputs = {f"c{i}" for i in range(coefficients)} | {f"s{i}" for i in range(states)}
    inputs |= {f"gs{i}" for i in range(states)} | {"go"} | ({"m"} if graph.masked else set())
    inputs |= {current_input(i) for i in range(graph.currents)}
    gradients = coefficients + states + graph.currents
    counts = len(graph.forward) == states + 1, len(graph.backward) == gradients
    ends = (*graph.forward, *graph.backward)
    return (
        all(counts)
        and all(_before(end, len(graph.nodes)) for end in ends)
        and all(_is_node(node, place, inputs) for place, node in enumerate(graph.nodes))
    )


def _is_node(node: Node, place: int, inputs: set[str]) -> bool:
    if node.op == "input":
        return len(node.args) == 1 and node.args[0] in inputs
    if node.op == "const":
        return isinstance(node.args[1], str)
    known = node.op in OPERATIONS or node.op in (WINNER, PLACE)
    return known and all(_before(argument, place) for argument in node.args)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 10


def _before(value: Any, place: int) -> bool:
    return type(value) is int and 0 <= value < place
