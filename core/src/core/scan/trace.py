"""A step graph from a neuron: its step runs once, and every operation is noted.

:mod:`core.scan.kinds` decides when; here is how.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from core.neurons.base import Neuron
from core.scan.currents import current_input, names_of_currents, together
from core.scan.graph import StepGraph, Unfusable
from core.scan.rules import Builder


class Impure(Unfusable):
    """A step that is no function: it draws, writes or keeps something."""


def trace(
    neuron: Neuron,
    dtype: torch.dtype,
    *,
    masked: bool = False,
    coefficients: Any = None,
    size: int = 2,
) -> StepGraph:
    """The graph of one step of ``neuron``.

    It has a derivative where gradients are enabled: the step sees what an eager one would see.

    Args:
        neuron: Whose step.
        dtype: Precision of its tensors.
        masked: With a spike mask.
        coefficients: The neuron's, where they are known (they may be drawn at random).
        size: Of the placeholders; no graph depends on it.

    Raises:
        Unfusable: The step holds values that are no coefficients, decides by values in Python or
            by shapes, keeps tensors, uses an operation that is neither element-wise nor
            :func:`core.neurons.winner`, or uses that without ``across_layer``.
    """
    if neuron.State._fields[:1] != ("spike",) and neuron.spiking:
        raise Unfusable("the first field of its state is not the spike")
    kind = type(neuron.coefficients() if coefficients is None else coefficients)
    if not hasattr(kind, "_fields"):
        raise Unfusable("its coefficients are not a NamedTuple of tensors")
    gradients = torch.is_grad_enabled()
    # Anomaly detection would add its own operations to the derivative.
    anomaly = torch.autograd.set_detect_anomaly(False)
    try:
        with torch.inference_mode(False), torch.set_grad_enabled(gradients), anomaly:
            graph, tensors = _run(neuron, kind, dtype, masked, size)
    except Unfusable:
        raise
    except Exception as error:  # whatever the step does with the placeholders
        reason = [*str(error).strip().splitlines(), ""][0]
        message = f"its step cannot be traced ({type(error).__name__}: {reason})"
        raise Unfusable(message) from error
    if any(tensor() is not None for tensor in tensors):
        raise Impure("its step keeps tensors somewhere")
    if graph.all_winners and not neuron.across_layer:
        raise Unfusable("its step looks at the whole layer: say so with across_layer = True")
    if any(_reads_gradients(graph, index) for index in graph.all_winners):
        raise Unfusable("the derivative of its step looks at the whole layer")
    return graph


def _reads_gradients(graph: StepGraph, winner: int) -> bool:
    nodes = [graph.nodes[index] for index in graph.needed(graph.nodes[winner].args)]
    return any(node.op == "input" and node.args[0].startswith("g") for node in nodes)


def _run(
    neuron: Neuron, kind: Any, dtype: torch.dtype, masked: bool, size: int
) -> tuple[StepGraph, list[ref[Tensor]]]:
    """The graph, and the tensors that nobody but this call should hold."""
    count, states = len(kind._fields), len(neuron.State._fields)
    currents = len(names_of_currents(neuron))
    names = [f"c{i}" for i in range(count)] + [f"s{i}" for i in range(states)]
    names += [current_input(i) for i in range(currents)]
    leaves = len(names)
    names += ["m"] * masked + [f"gs{i}" for i in range(states)] + ["go"]
    inputs = [
        torch.zeros(size, dtype=dtype, device="cpu", requires_grad=place < leaves)
        for place in range(len(names))
    ]
    recorder = _Recorder(dict(zip(names, inputs, strict=True)), dtype)
    coefficients = kind(*inputs[:count])
    before = neuron.State(*inputs[count : count + states])
    current = together(neuron, inputs[count + states : leaves])
    with recorder:
        with _Values():
            state, output = neuron.step(coefficients, before, current)
        if masked:
            output = output * inputs[leaves]
            state = state._replace(spike=output)
        forward = [*state, output]
        backward = _derivative(forward, inputs[:leaves], inputs[leaves + masked :])
    if any(result.shape != inputs[0].shape or result.dtype != dtype for result in forward):
        raise Unfusable("its step changes shape or precision")
    zero = recorder.builder.constant(0.0)
    graph = StepGraph(
        tuple(recorder.builder.nodes),
        count,
        states,
        masked,
        tuple(recorder.node(result) for result in forward),
        tuple(zero if result is None else recorder.node(result) for result in backward),
        currents,
    )
    return graph, recorder.tensors()


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

    def tensors(self) -> list[ref[Tensor]]:
        """All that occurred."""
        return [ref(tensor) for tensor, _ in self._known.values()]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        arguments = [self.node(arg) if isinstance(arg, Tensor) else arg for arg in args]
        # Before it runs: what is refused must not have drawn random numbers.
        node = self.builder.convert(str(func), arguments, args, kwargs)
        result = func(*args, **kwargs)
        self._known[id(result)] = (result, node)
        return result


class _Values(TorchFunctionMode):
    """Lets a step read nothing of a tensor but its precision: placeholders have another shape."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not isinstance(result, Tensor | torch.dtype):
            attribute = func.__self__ if func.__name__ == "__get__" else func
            raise Unfusable(f"its step reads {attribute.__name__} of a tensor")
        return result
