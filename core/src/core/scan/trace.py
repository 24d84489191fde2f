"""A step graph from a neuron: its step runs once, and every operation is noted."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from core.neurons.base import Neuron
from core.scan.graph import StepGraph, Unfusable
from core.scan.rules import Builder


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
        self.builder = Builder(dtype)
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


class _Kind:
    """A neuron as the key of a cache: equal for neurons whose step computes the same.

    That is decided by class and plain attributes (``dt``, ``surrogate``, ...); sizes and tensors
    do not matter, as a step reads tensors from its coefficients alone.
    """

    def __init__(self, neuron: Neuron) -> None:
        self.neuron = neuron
        own = {k: v for k, v in vars(neuron).items() if not k.startswith("_") and k != "size"}
        self._key: tuple[Any, ...] = (type(neuron), tuple(sorted(own.items())))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and self._key == other._key


@lru_cache(maxsize=256)
def _traced(kind: _Kind, dtype: torch.dtype, masked: bool) -> StepGraph | str:
    try:
        return trace(kind.neuron, dtype, masked=masked)
    except Unfusable as error:
        return str(error)


def graph_of(neuron: Neuron, dtype: torch.dtype, *, masked: bool) -> StepGraph:
    """:func:`trace`, once per kind of neuron.

    Raises:
        Unfusable: As ``trace``; also where an attribute of the neuron cannot be compared.
    """
    try:
        result = _traced(_Kind(neuron), dtype, masked)
    except TypeError as error:
        raise Unfusable(f"an attribute of the neuron cannot be a key ({error})") from error
    if isinstance(result, str):
        raise Unfusable(result)
    return result
