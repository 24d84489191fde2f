"""A neuron's step and its derivative as one element-wise graph, from which kernels are made.

:func:`trace` runs ``step`` and the derivative that autograd gives it once, on placeholders, and
keeps what was computed as a list of scalar operations. Printers (:mod:`core.scan.cpu`,
:mod:`core.scan.gpu`) turn the list into kernels; they need to know the operations of
:data:`OPERATIONS` and nothing about any neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from core.neurons.base import Neuron

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


class Unfusable(Exception):
    """A step that is no element-wise graph of known operations; the message says why."""


@dataclass(frozen=True)
class Node:
    """One value: an input (``op="input"``), a constant (``"const"``) or an operation on others.

    Attributes:
        op: See :data:`OPERATIONS`.
        args: Indices of other nodes; the name of an input; the value of a constant.
        boolean: Whether it is a truth value.
    """

    op: str
    args: tuple[Any, ...]
    boolean: bool


@dataclass(frozen=True)
class StepGraph:
    """One step of a neuron and its derivative, for one element.

    Inputs are named ``c0 ...`` (coefficients), ``s0 ...`` (state before the step), ``x`` (total
    current), ``m`` (spike mask, where there is one), ``gs0 ...`` and ``go`` (gradients of the
    state after the step and of the output).

    Attributes:
        nodes: In an order in which they can be computed.
        coefficients: How many.
        states: How many fields the state has.
        masked: Whether there is a spike mask.
        forward: Nodes of the state after the step, then of the output.
        backward: Nodes of the gradients of coefficients, state and current, in this order.
    """

    nodes: tuple[Node, ...]
    coefficients: int
    states: int
    masked: bool
    forward: tuple[int, ...]
    backward: tuple[int, ...]

    def needed(self, outputs: Iterable[int]) -> list[int]:
        """The nodes that ``outputs`` depend on, themselves included, in order of computation."""
        wanted: set[int] = set()
        stack = list(outputs)
        while stack:
            index = stack.pop()
            if index not in wanted:
                wanted.add(index)
                node = self.nodes[index]
                if node.op not in ("input", "const"):
                    stack += node.args
        return sorted(wanted)

    def evaluate(
        self, outputs: Iterable[int], inputs: dict[str, Any], table: dict[str, Any]
    ) -> Any:
        """Compute ``outputs`` with ``table[op](*values)``; ``table["const"]`` makes constants."""
        values: dict[int, Any] = {}
        outputs = list(outputs)
        for index in self.needed(outputs):
            node = self.nodes[index]
            if node.op == "input":
                values[index] = inputs[node.args[0]]
            elif node.op == "const":
                values[index] = table["const"](node.args[0])
            else:
                values[index] = table[node.op](*[values[arg] for arg in node.args])
        return [values[index] for index in outputs]


def trace(neuron: Neuron, dtype: torch.dtype, *, masked: bool = False) -> StepGraph:
    """The graph of one step of ``neuron``.

    Raises:
        Unfusable: The step looks across the layer, holds values that are no coefficients, decides
            by values in Python, or uses an operation that is not element-wise.
    """
    if neuron.across_layer:
        raise Unfusable("its step looks at the whole layer (across_layer)")
    if neuron.State._fields[:1] != ("spike",) and neuron.spiking:
        raise Unfusable("the first field of its state is not the spike")
    kind = type(neuron.coefficients())
    if not hasattr(kind, "_fields"):
        raise Unfusable("its coefficients are not a NamedTuple of tensors")
    count, states = len(kind._fields), len(neuron.State._fields)
    names = [f"c{i}" for i in range(count)] + [f"s{i}" for i in range(states)] + ["x"]
    leaves = len(names)
    names += ["m"] * masked + [f"gs{i}" for i in range(states)] + ["go"]
    with torch.inference_mode(False), torch.enable_grad():
        inputs = [
            torch.zeros(2, dtype=dtype, requires_grad=place < leaves) for place in range(len(names))
        ]
        recorder = _Recorder(dict(zip(names, inputs, strict=True)), dtype)
        try:
            with recorder:
                state, output = neuron.step(
                    kind(*inputs[:count]),
                    neuron.State(*inputs[count : leaves - 1]),
                    inputs[leaves - 1],
                )
                if masked:
                    output = output * inputs[leaves]
                    state = state._replace(spike=output)
                forward = [*state, output]
                backward = _derivative(forward, inputs[:leaves], inputs[leaves + masked :])
        except Unfusable:
            raise
        except Exception as error:  # whatever the step does with the placeholders
            reason = [*str(error).strip().splitlines(), ""][0]
            message = f"its step cannot be traced ({type(error).__name__}: {reason})"
            raise Unfusable(message) from error
    if any(result.shape != inputs[0].shape or result.dtype != dtype for result in forward):
        raise Unfusable("its step changes shape or precision")
    zero = recorder.builder.constant(0.0)
    return StepGraph(
        tuple(recorder.builder.nodes),
        count,
        states,
        masked,
        tuple(recorder.node(result) for result in forward),
        tuple(zero if result is None else recorder.node(result) for result in backward),
    )


def _derivative(
    results: list[Tensor], inputs: list[Tensor], gradients: list[Tensor]
) -> tuple[Tensor | None, ...]:
    pairs = [(r, g) for r, g in zip(results, gradients, strict=True) if r.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    outputs, passed = zip(*pairs, strict=True)
    return torch.autograd.grad(outputs, inputs, passed, allow_unused=True)


class _Recorder(TorchDispatchMode):
    """Notes every operation on tensors that runs, those of autograd's backward pass included."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # By default PyTorch imports its compiler (seconds) to keep it away from such a class.
        return False

    def __init__(self, inputs: dict[str, Tensor], dtype: torch.dtype) -> None:
        super().__init__()
        self.builder = _Builder(dtype)
        # Tensors are held: their identity must not be given to another one.
        self._known = {
            id(tensor): (tensor, self.builder.add("input", name)) for name, tensor in inputs.items()
        }

    def node(self, tensor: Tensor) -> int:
        """The node that computed a tensor."""
        if id(tensor) not in self._known:
            raise Unfusable("its step reads a tensor that is not among its coefficients")
        return self._known[id(tensor)][1]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        arguments = [self.node(arg) if isinstance(arg, Tensor) else arg for arg in args]
        node = self.builder.convert(str(func), arguments, args, kwargs)
        self._known[id(result)] = (result, node)
        return result


class _Builder:
    """Collects nodes; equal ones are one node."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.nodes: list[Node] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def add(self, op: str, *args: Any) -> int:
        """The node ``op(*args)``; truth values in arithmetic count as 0 and 1."""
        if op not in ("input", "const", "to_float"):
            args = tuple(self._fit(op, place, arg) for place, arg in enumerate(args))
        key = (op, *args)
        if op == "const":
            key += (str(args[0]),)  # 0.0 and -0.0 are equal, and not the same
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(Node(op, args, op in COMPARISONS + LOGIC))
        return self._known[key]

    def constant(self, value: float) -> int:
        """A number."""
        return self.add("const", float(value))

    def _fit(self, op: str, place: int, arg: int) -> int:
        wants_truth = op in LOGIC or (op == "where" and place == 0)
        if self.nodes[arg].boolean and not wants_truth:
            return self.add("to_float", arg)
        if wants_truth and not self.nodes[arg].boolean:
            return self.add("ne", arg, self.constant(0.0))
        return arg

    def convert(
        self, name: str, arguments: list[Any], originals: tuple[Any, ...], keywords: dict[str, Any]
    ) -> int:
        """The node for one call of a PyTorch operation.

        Args:
            name: Such as ``aten.mul.Tensor``.
            arguments: The positional ones, with nodes in place of tensors.
            originals: The positional ones as they came.
            keywords: The others.
        """
        rule = _RULES.get(name.removeprefix("aten.").split(".")[0].rstrip("_"))
        if rule is None:
            raise Unfusable(f"its step uses {name}, which no kernel has")
        if unknown := set(keywords) - _KEYWORDS:
            raise Unfusable(f"its step uses {name} with {', '.join(sorted(unknown))}")
        pairs = zip(arguments, originals, strict=True)
        numbers = [
            self.constant(arg) if isinstance(original, bool | int | float) else arg
            for arg, original in pairs
        ]
        return int(rule(self, numbers, keywords))


#: Keywords of PyTorch operations that a rule reads, or that do not change values.
_KEYWORDS = {"alpha", "min", "max", "dtype"}
_KEYWORDS |= {"layout", "device", "pin_memory", "non_blocking", "memory_format"}

Rule = Callable[[_Builder, list[Any], dict[str, Any]], Any]


def _plain(op: str, arity: int) -> Rule:
    return lambda b, args, _: b.add(op, *args[:arity])


def _scaled(op: str) -> Rule:
    """``a + alpha b`` and ``a - alpha b``."""

    def rule(b: _Builder, args: list[Any], keywords: dict[str, Any]) -> int:
        alpha = keywords.get("alpha", 1)
        second = args[1] if alpha == 1 else b.add("mul", args[1], b.constant(alpha))
        return b.add(op, args[0], second)

    return rule


def _rsub(b: _Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    return _scaled("sub")(b, [args[1], args[0]], keywords)


def _clamp(b: _Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    low = args[1] if len(args) > 1 else keywords.get("min")
    high = args[2] if len(args) > 2 else keywords.get("max")
    result = args[0]
    for op, bound in (("maximum", low), ("minimum", high)):
        if bound is not None:
            result = b.add(op, result, b.constant(bound) if isinstance(bound, float) else bound)
    return int(result)


def _power(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    base, exponent = args[0], b.nodes[args[1]]
    if exponent.op != "const" or exponent.args[0] not in (0.0, 1.0, 2.0, 3.0):
        raise Unfusable("its step raises to a power other than 0, 1, 2 or 3")
    result = base if exponent.args[0] else b.constant(1.0)
    for _more in range(1, int(exponent.args[0])):
        result = b.add("mul", result, base)
    return int(result)


def _sign(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    zero = b.constant(0.0)
    return b.add("sub", b.add("gt", args[0], zero), b.add("lt", args[0], zero))


def _to_copy(b: _Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    node = b.nodes[args[0]]
    target = keywords.get("dtype")
    if target not in (None, torch.bool, b.dtype):
        raise Unfusable(f"its step turns numbers into {target}")
    if target == torch.bool:
        return int(args[0]) if node.boolean else b.add("ne", args[0], b.constant(0.0))
    return b.add("to_float", args[0]) if node.boolean else int(args[0])


def _logistic(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    one = b.constant(1.0)
    return b.add("div", one, b.add("add", one, b.add("exp", b.add("neg", args[0]))))


def _tanh(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    # 1 - 2 / (1 + exp(2 x))
    one, two = b.constant(1.0), b.constant(2.0)
    double = b.add("exp", b.add("mul", two, args[0]))
    return b.add("sub", one, b.add("div", two, b.add("add", one, double)))


def _sigmoid_backward(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, y = args
    return b.add("mul", gradient, b.add("mul", b.add("sub", b.constant(1.0), y), y))


def _tanh_backward(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, y = args
    return b.add("mul", gradient, b.add("sub", b.constant(1.0), b.add("mul", y, y)))


def _threshold_backward(b: _Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, x, threshold = args
    return b.add("where", b.add("le", x, threshold), b.constant(0.0), gradient)


def _first(b: _Builder, args: list[Any], _: dict[str, Any]) -> Any:
    return args[0]


def _filled(value: float) -> Rule:
    return lambda b, args, _: b.constant(value)


_RULES: dict[str, Rule] = {
    **{op: _plain(op, 2) for op in ("mul", "div", "maximum", "minimum", *COMPARISONS)},
    **{op: _plain(op, 1) for op in ("neg", "abs", "sqrt", "exp", "floor")},
    "add": _scaled("add"),
    "sub": _scaled("sub"),
    "rsub": _rsub,
    "logical_and": _plain("and", 2),
    "bitwise_and": _plain("and", 2),
    "logical_or": _plain("or", 2),
    "bitwise_or": _plain("or", 2),
    "logical_not": _plain("not", 1),
    "bitwise_not": _plain("not", 1),
    "where": _plain("where", 3),
    "masked_fill": lambda b, args, _: b.add("where", args[1], args[2], args[0]),
    "square": lambda b, args, _: b.add("mul", args[0], args[0]),
    "reciprocal": lambda b, args, _: b.add("div", b.constant(1.0), args[0]),
    "pow": _power,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda b, args, _: b.add("minimum", args[0], args[1]),
    "relu": lambda b, args, _: b.add("maximum", args[0], b.constant(0.0)),
    "sign": _sign,
    "sgn": _sign,
    "sigmoid": _logistic,
    "tanh": _tanh,
    "sigmoid_backward": _sigmoid_backward,
    "tanh_backward": _tanh_backward,
    "threshold_backward": _threshold_backward,
    "_to_copy": _to_copy,
    **{name: _first for name in ("detach", "alias", "clone", "view", "expand", "positive")},
    **{name: _filled(0.0) for name in ("zeros_like", "new_zeros", "zeros")},
    **{name: _filled(1.0) for name in ("ones_like", "new_ones", "ones")},
    **{name: lambda b, args, _: args[1] for name in ("full_like", "full", "fill")},
    "new_full": lambda b, args, _: args[2],
    "scalar_tensor": _first,
}
