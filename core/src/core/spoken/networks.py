"""Networks of the speech-command family, with the constructors that their users know.

Batch comes first in and out of a call, as in the authors' codes; training uses ``run``, where time
comes first and nothing is copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from core.layers import (
    GRULayer,
    LiGRULayer,
    MLPLayer,
    Network,
    NetworkOutput,
    Normalization,
    PooledReadout,
    RNNLayer,
    SoftmaxSumReadout,
    SpikingLayer,
)
from core.layers.gated import GatedLayer
from core.neurons import AdLIF, BoundedLIF, Neuron
from core.neurons.initial import Initial
from core.spoken.settings import SpokenSettings

NON_SPIKING: dict[str, type[GatedLayer]] = {
    "MLP": MLPLayer,
    "RNN": RNNLayer,
    "LiGRU": LiGRULayer,
    "GRU": GRULayer,
}
#: Any other word means none.
NORMALIZATIONS: dict[str, Normalization] = {"batchnorm": "batchnorm", "layernorm": "layernorm"}


class BatchFirst(nn.Module):
    """A network that takes and gives batch first; a subclass stacks its layers as :attr:`layers`.

    Args:
        input_shape: (batch, time or None, features) or (batch, time or None, features, channels);
            batch and time are not enforced. With channels, inputs of a call are 4-D and flattened.

    Raises:
        ValueError: ``input_shape`` is neither.
    """

    is_snn: ClassVar[bool]

    def __init__(self, input_shape: Sequence[int | None]) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.features = _features(self.input_shape)

    @property
    def layers(self) -> Network:
        """All layers, the readout among them."""
        raise NotImplementedError

    def run(
        self,
        x_TBI: Tensor,
        state: Sequence[Any] | None = None,
        generator: torch.Generator | None = None,
        record: Sequence[str] | None = None,
    ) -> NetworkOutput:
        """Everything the network gives for input ``[T, B, I]``; see :class:`core.layers.Network`.

        Args:
            x_TBI: Input.
            state: State of every layer before the first step; None for the network's own.
            generator: Where random initial states are drawn from, on the CPU; None for PyTorch's
                global generator.
            record: Fields of states to keep of every step.
        """
        output: NetworkOutput = self.layers(x_TBI, state, generator, record)
        return output

    def time_first(self, x: Tensor) -> Tensor:
        """``[T, B, I]`` from the users' ``[B, T, F]`` or ``[B, T, F, channels]``.

        Raises:
            NotImplementedError: ``input_shape`` has four entries, the input not.
            ValueError: Other shapes that do not fit.
        """
        if len(self.input_shape) == 4 and x.dim() != 4:
            raise NotImplementedError(
                f"a network for inputs (batch, time, features, channels) got {x.dim()} dimensions"
            )
        if x.dim() != len(self.input_shape) or x.shape[2:].numel() != self.features:
            raise ValueError(
                f"input has shape {tuple(x.shape)}, the network takes {self.input_shape}"
            )
        return x.flatten(2).transpose(0, 1)


class ANN(BatchFirst):
    """A network that does not spike: hidden layers of one kind and a readout.

    Args:
        input_shape: See :class:`BatchFirst`.
        layer_sizes: Neurons of every layer, the readout's last.
        ann_type: MLP, RNN, LiGRU or GRU.
        dropout: Chance with which an output of a hidden layer is dropped in training.
        normalization: batchnorm or layernorm; any other word means none.
        use_bias: Add a bias to every input current.
        bidirectional: Hidden layers see the sequence in both directions.
        use_readout_layer: Otherwise the last layer is a hidden one and its output the network's.

    Raises:
        ValueError: Unknown type, a bidirectional MLP, or shapes that make no network.
    """

    is_snn = False

    def __init__(
        self,
        input_shape: Sequence[int | None],
        layer_sizes: Sequence[int],
        ann_type: str = "MLP",
        dropout: float = 0.0,
        normalization: str = "batchnorm",
        use_bias: bool = False,
        bidirectional: bool = False,
        use_readout_layer: bool = True,
    ) -> None:
        super().__init__(input_shape)
        if ann_type not in NON_SPIKING:
            raise ValueError(f"ann_type is one of {', '.join(NON_SPIKING)}, not {ann_type!r}")
        if ann_type == "MLP" and bidirectional:
            raise ValueError("an MLP has no direction in time: bidirectional needs another type")
        norm = NORMALIZATIONS.get(normalization, "none")
        self.ann = stack(
            self.features,
            layer_sizes,
            partial(
                NON_SPIKING[ann_type],
                normalization=norm,
                bias=use_bias,
                bidirectional=bidirectional,
                dropout=dropout,
            ),
            partial(PooledReadout, normalization=norm, bias=use_bias)
            if use_readout_layer
            else None,
        )

    @property
    def layers(self) -> Network:
        """All layers, the readout among them."""
        return self.ann

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, None]:
        """``y`` ``[B, C]`` (``[B, T, N]`` without a readout), and None for what does not spike."""
        return batch_first(self.run(self.time_first(x_BTI)).y), None


class Kind(NamedTuple):
    """A spiking layer: its neuron, what it stands in, and its recurrence.

    Attributes:
        neuron: Makes neurons.
        layer: What they stand in.
        recurrent: Their spikes come back to them.
        options: What the neuron is asked for, beside its number.
    """

    neuron: Callable[..., Neuron]
    layer: type[SpikingLayer] = SpikingLayer
    recurrent: bool = False
    options: tuple[str, ...] = ("threshold",)


SPIKING: dict[str, Kind] = {
    "LIF": Kind(BoundedLIF),
    "adLIF": Kind(AdLIF),
    "RLIF": Kind(BoundedLIF, recurrent=True),
    "RadLIF": Kind(AdLIF, recurrent=True),
}
"""Those of the first code of the family."""


def spiking_stack(
    kind: Kind,
    inputs: int,
    sizes: Sequence[int],
    *,
    given: Mapping[str, Any],
    readout: bool,
    initial: Initial,
    bidirectional: bool,
    dropout: float,
    **shared: Any,
) -> Network:
    """Spiking layers of one kind and a softmax-sum readout.

    Args:
        kind: Of the hidden layers; its neurons take their ``options`` from ``given``.
        inputs: See :func:`stack`, as for the next.
        sizes: See there.
        given: Arguments for neurons.
        readout: Otherwise the last layer is a hidden one and its spikes are the output.
        initial: How the states of all neurons start.
        bidirectional: Of hidden layers, see :class:`core.layers.shell.Shell`, as for the next.
        dropout: See there.
        shared: ``normalization``, ``bias`` and ``backend`` of all layers.
    """
    options = {key: given[key] for key in kind.options if key in given}
    hidden = partial(
        kind.layer,
        neuron=partial(kind.neuron, initial=initial, **options),
        recurrent=kind.recurrent,
        bidirectional=bidirectional,
        dropout=dropout,
        **shared,
    )
    last = partial(SoftmaxSumReadout, initial=initial, **shared) if readout else None
    return stack(inputs, sizes, hidden, last)


def stack(
    inputs: int,
    sizes: Sequence[int],
    hidden: Callable[[int, int], Any],
    readout: Callable[[int, int], nn.Module] | None,
) -> Network:
    """Hidden layers of one kind and a readout.

    Args:
        inputs: ``I`` of the first layer.
        sizes: Neurons of every layer, the readout's last.
        hidden: Inputs and neurons to a layer that says its ``outputs``.
        readout: Inputs and classes to a readout; None where the last layer is a hidden one.

    Raises:
        ValueError: There is no layer.
    """
    if not sizes:
        raise ValueError("layer_sizes is empty: a network has at least one layer")
    layers = []
    for size in sizes if readout is None else sizes[:-1]:
        layers.append(hidden(inputs, size))
        inputs = layers[-1].outputs
    return Network(layers, None if readout is None else readout(inputs, sizes[-1]))


def batch_first(y: Tensor) -> Tensor:
    """Scores as they are, a sequence ``[T, B, N]`` as ``[B, T, N]``."""
    return y.transpose(0, 1) if y.dim() == 3 else y


def shape_arguments(config: SpokenSettings, inputs: int, classes: int) -> dict[str, Any]:
    """The arguments that the settings give to the constructor of every kind of network."""
    return {
        "input_shape": (config.batch_size, None, inputs),
        "layer_sizes": [config.nb_hiddens] * (config.nb_layers - 1) + [classes],
        "dropout": config.pdrop,
        "normalization": config.normalization,
        "use_bias": config.use_bias,
        "bidirectional": config.bidirectional,
    }


def _features(input_shape: tuple[int | None, ...]) -> int:
    if len(input_shape) not in (3, 4):
        raise ValueError(
            f"input_shape {input_shape} is neither (batch, time, features) nor "
            "(batch, time, features, channels)"
        )
    sizes = [size for size in input_shape[2:] if size is not None]
    if len(sizes) < len(input_shape) - 2:
        raise ValueError(f"input_shape {input_shape} leaves the number of features open")
    return math.prod(sizes)
