"""PyTorch operations as nodes of a step graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from core.scan.graph import COMPARISONS, LOGIC, WINNER, Node, Unfusable

#: The place of a row's largest value: for :func:`_scatter` alone, no kernel computes it as such.
PLACE = "argmax"


#: How a step says what a kernel takes.
ROW = "core.neurons.winner is what a kernel knows of a row"


class Builder:
    """Collects nodes; equal ones are one node."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.nodes: list[Node] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def add(self, op: str, *args: Any) -> int:
        """The node ``op(*args)``; truth values in arithmetic count as 0 and 1."""
        if op not in ("input", "const", "to_float"):
            args = tuple(self._fit(op, place, arg) for place, arg in enumerate(args))
        if op not in ("input", "const") and any(self.nodes[arg].op == PLACE for arg in args):
            raise Unfusable("its step computes with the place of a largest value; " + ROW)
        key = (op, *args)
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(Node(op, args, op in (*COMPARISONS, *LOGIC, WINNER)))
        return self._known[key]

    def constant(self, value: float) -> int:
        """A number."""
        value = float(value)
        # 0.0 and -0.0 are equal, and not the same; NaN is not even equal to itself.
        return self.add("const", math.nan if math.isnan(value) else value, str(value))

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
_KEYWORDS = {"alpha", "min", "max", "dtype", "rounding_mode"}
_KEYWORDS |= {"layout", "device", "pin_memory", "non_blocking", "memory_format"}

Rule = Callable[[Builder, list[Any], dict[str, Any]], Any]


def _plain(op: str, arity: int) -> Rule:
    return lambda b, args, _: b.add(op, *args[:arity])


def _scaled(op: str) -> Rule:
    """``a + alpha b`` and ``a - alpha b``."""

    def rule(b: Builder, args: list[Any], keywords: dict[str, Any]) -> int:
        alpha = keywords.get("alpha", 1)
        second = args[1] if alpha == 1 else b.add("mul", args[1], b.constant(alpha))
        return b.add(op, args[0], second)

    return rule


def _rsub(b: Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    return _scaled("sub")(b, [args[1], args[0]], keywords)


def _clamp(b: Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    low = args[1] if len(args) > 1 else keywords.get("min")
    high = args[2] if len(args) > 2 else keywords.get("max")
    result = args[0]
    for op, bound in (("maximum", low), ("minimum", high)):
        if bound is not None:
            result = b.add(op, result, b.constant(bound) if isinstance(bound, float) else bound)
    return int(result)


def _div(b: Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    quotient = b.add("div", args[0], args[1])
    mode = keywords.get("rounding_mode")
    if mode == "floor":
        raise Unfusable("its step divides with rounding_mode='floor'")
    return _trunc(b, [quotient], {}) if mode == "trunc" else quotient


def _trunc(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    up = b.add("neg", b.add("floor", b.add("neg", args[0])))
    return b.add("where", b.add("lt", args[0], b.constant(0.0)), up, b.add("floor", args[0]))


def _remainder(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    """With the sign of the divisor; ``fmod`` has that of the dividend."""
    zero = b.constant(0.0)
    rest = b.add("fmod", args[0], args[1])
    other = b.add("ne", b.add("lt", rest, zero), b.add("lt", args[1], zero))
    wrong = b.add("and", b.add("ne", rest, zero), other)
    return b.add("where", wrong, b.add("add", rest, args[1]), rest)


#: Powers that PyTorch computes by products, quotients and roots.
_POWERS = (0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -0.5)


def _power(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    base, exponent = args
    if b.nodes[exponent].op != "const":
        return _any_power(b, base, exponent)
    value = b.nodes[exponent].args[0]
    if value not in _POWERS:
        return _any_power(b, base, exponent)
    if abs(value) == 0.5:
        result = b.add("sqrt", base)
    else:
        result = base if value else b.constant(1.0)
        for _more in range(1, int(abs(value))):
            result = b.add("mul", result, base)
    return b.add("div", b.constant(1.0), result) if value < 0 else int(result)


def _any_power(b: Builder, base: int, exponent: int) -> int:
    """``|base|^exponent = exp(exponent log |base|)``, with a sign where the exponent is whole.

    Its relative error grows with the exponent of the result: within
    ``2 (1 + |exponent log |base||)`` units in the last place.
    """
    zero, one, half = b.constant(0.0), b.constant(1.0), b.constant(0.5)
    size = b.add("abs", base)
    power = b.add("exp", b.add("mul", exponent, b.add("log", size)))
    trivial = b.add("or", b.add("eq", exponent, zero), b.add("eq", base, one))
    power = b.add("where", trivial, one, power)
    whole = b.add("eq", b.add("floor", exponent), exponent)
    halved = b.add("mul", exponent, half)
    odd = b.add("and", whole, b.add("ne", b.add("floor", halved), halved))
    of_negative = b.add("where", odd, b.add("neg", power), power)
    edge = b.add("or", b.add("eq", size, zero), b.add("eq", size, b.constant(math.inf)))
    real = b.add("or", whole, edge)
    of_negative = b.add("where", real, of_negative, b.constant(math.nan))
    # minus zero is no less than zero, its reciprocal is
    below = b.add("lt", b.add("div", one, base), zero)
    negative = b.add("or", b.add("lt", base, zero), below)
    return b.add("where", negative, of_negative, power)


def _log1p(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    """``log(u) x / (u - 1)`` with ``u = 1 + x`` as it was rounded: what that lost cancels."""
    x, one = args[0], b.constant(1.0)
    u = b.add("add", one, x)
    corrected = b.add("mul", b.add("log", u), b.add("div", x, b.add("sub", u, one)))
    as_it_is = b.add("or", b.add("eq", u, one), b.add("eq", x, b.constant(math.inf)))
    return b.add("where", as_it_is, x, corrected)


def _softplus(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    x = args[0]
    beta = args[1] if len(args) > 1 else b.constant(1.0)
    threshold = args[2] if len(args) > 2 else b.constant(20.0)
    scaled = b.add("mul", x, beta)
    soft = b.add("div", _log1p(b, [b.add("exp", scaled)], {}), beta)
    return b.add("where", b.add("gt", scaled, threshold), x, soft)


def _softplus_backward(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, x, beta, threshold = args
    scaled = b.add("mul", x, beta)
    z = b.add("exp", scaled)
    soft = b.add("div", b.add("mul", gradient, z), b.add("add", z, b.constant(1.0)))
    return b.add("where", b.add("gt", scaled, threshold), gradient, soft)


def _leaky_relu(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    x, slope = (*args, b.constant(0.01))[:2]
    return b.add("where", b.add("gt", x, b.constant(0.0)), x, b.add("mul", x, slope))


def _leaky_relu_backward(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, x, slope = args[:3]
    positive = b.add("gt", x, b.constant(0.0))
    return b.add("where", positive, gradient, b.add("mul", gradient, slope))


def _rsqrt(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    return b.add("div", b.constant(1.0), b.add("sqrt", args[0]))


def _sign(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    zero = b.constant(0.0)
    return b.add("sub", b.add("gt", args[0], zero), b.add("lt", args[0], zero))


def _to_copy(b: Builder, args: list[Any], keywords: dict[str, Any]) -> int:
    node = b.nodes[args[0]]
    target = keywords.get("dtype")
    if target not in (None, torch.bool, b.dtype):
        raise Unfusable(f"its step turns numbers into {target}")
    if target == torch.bool:
        return int(args[0]) if node.boolean else b.add("ne", args[0], b.constant(0.0))
    return b.add("to_float", args[0]) if node.boolean else int(args[0])


def _logistic(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    one = b.constant(1.0)
    return b.add("div", one, b.add("add", one, b.add("exp", b.add("neg", args[0]))))


def _tanh(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    # 1 - 2 / (1 + exp(2 x))
    one, two = b.constant(1.0), b.constant(2.0)
    double = b.add("exp", b.add("mul", two, args[0]))
    return b.add("sub", one, b.add("div", two, b.add("add", one, double)))


def _sigmoid_backward(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, y = args
    return b.add("mul", gradient, b.add("mul", b.add("sub", b.constant(1.0), y), y))


def _tanh_backward(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, y = args
    return b.add("mul", gradient, b.add("sub", b.constant(1.0), b.add("mul", y, y)))


def _threshold_backward(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    gradient, x, threshold = args
    return b.add("where", b.add("le", x, threshold), b.constant(0.0), gradient)


def _argmax(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    # Placeholders have no dimension for samples: counted from the front, it would be another one.
    if [b.nodes[arg].args[0] for arg in args[1:]] != [-1.0, 1.0]:
        raise Unfusable("its step looks for a largest value otherwise than along neurons; " + ROW)
    return b.add(PLACE, args[0])


def _scatter(b: Builder, args: list[Any], _: dict[str, Any]) -> int:
    to, dimension, place, value = args
    known = b.nodes[dimension].args[0] == -1.0 and b.nodes[place].op == PLACE
    if not known or b.nodes[value].op != "const":
        raise Unfusable("its step writes to places of the layer; " + ROW)
    return b.add("where", b.add(WINNER, b.nodes[place].args[0]), value, to)


def _first(b: Builder, args: list[Any], _: dict[str, Any]) -> Any:
    return args[0]


def _filled(value: float) -> Rule:
    return lambda b, args, _: b.constant(value)


_RULES: dict[str, Rule] = {
    **{op: _plain(op, 2) for op in ("mul", "fmod", "maximum", "minimum", *COMPARISONS)},
    **{op: _plain(op, 1) for op in ("neg", "abs", "sqrt", "floor")},
    **{op: _plain(op, 1) for op in ("exp", "log", "sin", "cos", "erf")},
    "div": _div,
    "trunc": _trunc,
    "remainder": _remainder,
    "log1p": _log1p,
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "leaky_relu": _leaky_relu,
    "leaky_relu_backward": _leaky_relu_backward,
    "rsqrt": _rsqrt,
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
    "argmax": _argmax,
    "scatter": _scatter,
    **{name: _first for name in ("detach", "alias", "clone", "view", "expand", "positive")},
    **{name: _filled(0.0) for name in ("zeros_like", "new_zeros", "zeros")},
    **{name: _filled(1.0) for name in ("ones_like", "new_ones", "ones")},
    **{name: lambda b, args, _: args[1] for name in ("full_like", "full", "fill")},
    "new_full": lambda b, args, _: args[2],
    "scalar_tensor": _first,
}
