"""The networks of the paper; their layers, and networks that do not spike, are in core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from core.layers import Network
from core.neurons.initial import Initial
from core.spoken.networks import (
    ANN,
    NON_SPIKING,
    NORMALIZATIONS,
    SPIKING,
    BatchFirst,
    batch_first,
    shape_arguments,
    spiking_stack,
)

if TYPE_CHECKING:
    from sparch.config import Config

__all__ = ["ANN", "SNN", "SPIKING", "build"]


class SNN(BatchFirst):
    """A spiking network of the paper: hidden layers of one kind and a softmax-sum readout.

    Args:
        input_shape: See :class:`core.spoken.networks.BatchFirst`.
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
        super().__init__(input_shape)
        if neuron_type not in SPIKING:
            raise ValueError(f"neuron_type is one of {', '.join(SPIKING)}, not {neuron_type!r}")
        self.snn = spiking_stack(
            SPIKING[neuron_type],
            self.features,
            layer_sizes,
            given={"threshold": threshold},
            readout=use_readout_layer,
            initial=initial,
            bidirectional=bidirectional,
            dropout=dropout,
            normalization=NORMALIZATIONS.get(normalization, "none"),
            bias=use_bias,
            backend=backend,
        )

    @property
    def layers(self) -> Network:
        """All layers, the readout among them."""
        return self.snn

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
        output = self.run(self.time_first(x_BTI))
        return batch_first(output.y), output.firing_rates


def build(config: Config, inputs: int, classes: int) -> SNN | ANN:
    """The network that ``config`` describes, with parameters from PyTorch's generator."""
    shared = shape_arguments(config, inputs, classes)
    if config.model_type in NON_SPIKING:
        return ANN(ann_type=config.model_type, **shared)
    return SNN(
        neuron_type=config.model_type,
        **shared,
        initial="zero" if config.init_state == "zeros" else "uniform",
        backend=config.backend,
    )
