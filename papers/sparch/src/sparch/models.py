"""The networks of the paper, spiking and not, with the constructors that its users know.

Batch comes first in and out of a call, as in the authors' code; training uses ``run``, where time
comes first and nothing is copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from sparch.config import Config

#: Name -> neuron, and whether the layer is recurrent.
SPIKING: dict[str, tuple[Callable[..., Neuron], bool]] = {
    "LIF": (BoundedLIF, False),
    "adLIF": (AdLIF, False),
    "RLIF": (BoundedLIF, True),
    "RadLIF": (AdLIF, True),
}
NON_SPIKING: dict[str, type[GatedLayer]] = {
    "MLP": MLPLayer,
    "RNN": RNNLayer,
    "LiGRU": LiGRULayer,
    "GRU": GRULayer,
}
#: Any other word means none.
NORMALIZATIONS: dict[str, Normalization] = {"batchnorm": "batchnorm", "layernorm": "layernorm"}


class SNN(nn.Module):
    """A spiking network of the paper: hidden layers of one kind and a softmax-sum readout.

    Args:
        input_shape: (batch, time or None, features) or (batch, time or None, features, channels);
            batch and time are not enforced. With channels, inputs of a call are 4-D and flattened.
        layer_sizes: Neurons of every layer, the readout's last.
        neuron_type: LIF, adLIF, RLIF or RadLIF.
        threshold: Where hidden neurons spike.
        dropout: Chance with which an output of a hidden layer is dropped in training.
        normalization: batchnorm or layernorm; any other word means none.
        use_bias: Add a bias to every input current.
        bidirectional: Hidden layers see the sequence in both directions.
        use_readout_layer: Otherwise the last layer is a hidden one and its spikes are the output.
        initial: ``uniform`` draws every state from ``U[0, 1)`` in every forward, in evaluation too;
            ``zero`` starts at rest.
        backend: For :func:`core.scan.scan`.

    Raises:
        ValueError: Unknown neuron type, or shapes that make no network.
    """

    is_snn = True

    def __init__(
        self,
        input_shape: Sequence[int | None],
        layer_sizes: Sequence[int],
        neuron_type: str = "LIF",
        threshold: float = 1.0,
        dropout: float = 0.0,
        normalization: str = "batchnorm",
        use_bias: bool = False,
        bidirectional: bool = False,
        use_readout_layer: bool = True,
        *,
        initial: Initial = "uniform",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if neuron_type not in SPIKING:
            raise ValueError(f"neuron_type is one of {', '.join(SPIKING)}, not {neuron_type!r}")
        neuron, recurrent = SPIKING[neuron_type]
        norm = NORMALIZATIONS.get(normalization, "none")
        self.input_shape = tuple(input_shape)
        self.snn = _stack(
            _features(input_shape),
            layer_sizes,
            lambda inputs, size: SpikingLayer(
                inputs,
                size,
                partial(neuron, threshold=threshold, initial=initial),
                recurrent=recurrent,
                normalization=norm,
                bias=use_bias,
                bidirectional=bidirectional,
                dropout=dropout,
                backend=backend,
            ),
            partial(
                SoftmaxSumReadout,
                normalization=norm,
                bias=use_bias,
                initial=initial,
                backend=backend,
            )
            if use_readout_layer
            else None,
        )

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and firing rates.

        Args:
            x_BTI: Input, ``[B, T, F, channels]`` where ``input_shape`` has four entries.

        Returns:
            ``y`` ``[B, C]``, each row of which sums to ``T`` (``[B, T, N]`` without a readout), and
            the firing rate of every hidden neuron, see
            :attr:`core.layers.NetworkOutput.firing_rates`.

        Raises:
            NotImplementedError: ``input_shape`` has four entries, the input not.
            ValueError: Other shapes that do not fit.
        """
        output = self.run(_time_first(x_BTI, self.input_shape))
        return _batch_first(output.y), output.firing_rates

    def run(
        self,
        x_TBI: Tensor,
        state: Sequence[Any] | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Everything the network gives for input ``[T, B, I]``; see :class:`core.layers.Network`.

        Args:
            x_TBI: Input.
            state: State of every layer before the first step; None for the network's own.
            generator: Where random initial states are drawn from, on the CPU; None for PyTorch's
                global generator.
        """
        output: NetworkOutput = self.snn(x_TBI, state, generator)
        return output


class ANN(nn.Module):
    """A network of the paper that does not spike: hidden layers of one kind and a readout.

    Args:
        input_shape: As of :class:`SNN`, like all arguments but one.
        layer_sizes: See there.
        ann_type: MLP, RNN, LiGRU or GRU.
        dropout: See there.
        normalization: See there.
        use_bias: See there.
        bidirectional: See there.
        use_readout_layer: See there.

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
        super().__init__()
        if ann_type not in NON_SPIKING:
            raise ValueError(f"ann_type is one of {', '.join(NON_SPIKING)}, not {ann_type!r}")
        if ann_type == "MLP" and bidirectional:
            raise ValueError("an MLP has no direction in time: bidirectional needs another type")
        layer = NON_SPIKING[ann_type]
        norm = NORMALIZATIONS.get(normalization, "none")
        self.input_shape = tuple(input_shape)
        self.ann = _stack(
            _features(input_shape),
            layer_sizes,
            partial(
                layer,
                normalization=norm,
                bias=use_bias,
                bidirectional=bidirectional,
                dropout=dropout,
            ),
            partial(PooledReadout, normalization=norm, bias=use_bias)
            if use_readout_layer
            else None,
        )

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, None]:
        """``y`` ``[B, C]`` (``[B, T, N]`` without a readout), and None; see :class:`SNN`."""
        return _batch_first(self.run(_time_first(x_BTI, self.input_shape)).y), None

    def run(
        self,
        x_TBI: Tensor,
        state: Sequence[Any] | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """As of :class:`SNN`; nothing spikes and nothing is drawn."""
        output: NetworkOutput = self.ann(x_TBI, state, generator)
        return output


def build(config: Config, inputs: int, classes: int) -> SNN | ANN:
    """The network that ``config`` describes, with parameters from PyTorch's generator."""
    input_shape = (config.batch_size, None, inputs)
    layer_sizes = [config.nb_hiddens] * (config.nb_layers - 1) + [classes]
    shared: dict[str, Any] = {
        "dropout": config.pdrop,
        "normalization": config.normalization,
        "use_bias": config.use_bias,
        "bidirectional": config.bidirectional,
    }
    if config.model_type in NON_SPIKING:
        return ANN(input_shape, layer_sizes, config.model_type, **shared)
    return SNN(
        input_shape,
        layer_sizes,
        config.model_type,
        **shared,
        initial="zero" if config.init_state == "zeros" else "uniform",
        backend=config.backend,
    )


def _stack(
    inputs: int,
    sizes: Sequence[int],
    hidden: Callable[[int, int], SpikingLayer | GatedLayer],
    readout: Callable[[int, int], nn.Module] | None,
) -> Network:
    if not sizes:
        raise ValueError("layer_sizes is empty: a network has at least one layer")
    layers = []
    for size in sizes if readout is None else sizes[:-1]:
        layers.append(hidden(inputs, size))
        inputs = layers[-1].outputs
    return Network(layers, None if readout is None else readout(inputs, sizes[-1]))


def _features(input_shape: Sequence[int | None]) -> int:
    if len(input_shape) not in (3, 4):
        raise ValueError(
            f"input_shape {tuple(input_shape)} is neither (batch, time, features) nor "
            "(batch, time, features, channels)"
        )
    sizes = [size for size in input_shape[2:] if size is not None]
    if len(sizes) < len(input_shape) - 2:
        raise ValueError(f"input_shape {tuple(input_shape)} leaves the number of features open")
    return math.prod(sizes)


def _time_first(x: Tensor, input_shape: tuple[int | None, ...]) -> Tensor:
    """``[T, B, I]`` from the users' ``[B, T, ...]``."""
    if len(input_shape) == 4 and x.dim() != 4:
        raise NotImplementedError(
            f"a network for inputs (batch, time, features, channels) got {x.dim()} dimensions"
        )
    if x.dim() != len(input_shape) or x.shape[2:].numel() != _features(input_shape):
        raise ValueError(f"input has shape {tuple(x.shape)}, the network takes {input_shape}")
    return x.flatten(2).transpose(0, 1)


def _batch_first(y: Tensor) -> Tensor:
    return y.transpose(0, 1) if y.dim() == 3 else y
