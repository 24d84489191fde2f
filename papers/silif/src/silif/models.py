"""The networks of the paper: spiking ones here, those without spikes in core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from core.layers import Network, SpikingLayer
from core.neurons import CAdLIF, CSiLIF, SiLIF, SoftResetRF
from core.neurons.initial import Initial
from core.spoken import networks
from core.spoken.networks import (
    ANN,
    NON_SPIKING,
    NORMALIZATIONS,
    BatchFirst,
    Kind,
    batch_first,
    shape_arguments,
)
from silif import activity
from silif.ssm import SSM_TYPES, build_ssm

if TYPE_CHECKING:
    from silif.config import Config

__all__ = ["ANN", "SNN", "SPIKING", "build"]


class XavierLayer(SpikingLayer):
    """A spiking layer whose input matrix starts at ``U(+-sqrt(6 / (I + N)))``."""

    def projection(self) -> nn.Linear:
        """The matrix; the values that PyTorch draws first are drawn and overwritten."""
        linear = super().projection()
        nn.init.xavier_uniform_(linear.weight)
        return linear


#: SiLIF and ResonateFire have a threshold of 1 whatever is asked for.
SPIKING: dict[str, Kind] = {
    "SiLIF": Kind(SiLIF, XavierLayer, options=()),
    "CSiLIF": Kind(CSiLIF, options=("threshold", "dt_min", "dt_max")),
    "CadLIF": Kind(CAdLIF, XavierLayer),
    "ResonateFire": Kind(SoftResetRF, options=()),
    **networks.SPIKING,
}


class SNN(BatchFirst):
    """A spiking network of the paper: hidden layers of one kind and a softmax-sum readout.

    Args:
        input_shape: See :class:`core.spoken.networks.BatchFirst`.
        layer_sizes: Neurons of every layer, the readout's last.
        neuron_type: One of :data:`SPIKING`, or S4D, SS4D or Mamba, see :mod:`silif.ssm`.
        threshold: Where hidden neurons spike; SiLIF and ResonateFire always at 1.
        dropout: Chance with which an output of a hidden layer is dropped in training, anew in every
            step.
        normalization: batchnorm or layernorm; any other word means none.
        use_bias: Add a bias to every input current.
        bidirectional: Hidden layers see the sequence in both directions.
        use_readout_layer: Otherwise the last layer is a hidden one and its spikes are the output.
        extra_features: ``dt_min`` and ``dt_max`` of CSiLIF, ``dt_max`` and ``state_size`` of
            sequence models; what the kind does not need is ignored.
        initial: ``uniform`` draws every state from ``U[0, 1)`` in every forward, in evaluation too;
            ``zero`` starts at rest.
        backend: For :func:`core.scan.scan`.

    Raises:
        ValueError: Unknown neuron type, or numbers that make no network.
    """

    is_snn = True

    def __init__(
        self,
        input_shape: Sequence[int | None],
        layer_sizes: Sequence[int],
        neuron_type: str = "SiLIF",
        threshold: float = 1.0,
        dropout: float = 0.0,
        normalization: str = "batchnorm",
        use_bias: bool = False,
        bidirectional: bool = False,
        use_readout_layer: bool = True,
        extra_features: Mapping[str, Any] | None = None,
        *,
        initial: Initial = "uniform",
        backend: str = "auto",
    ) -> None:
        super().__init__(input_shape)
        self.layer_sizes = tuple(layer_sizes)
        norm = NORMALIZATIONS.get(normalization, "none")
        given = dict(extra_features or {})
        shared: dict[str, Any] = {"normalization": norm, "bias": use_bias}
        directions: dict[str, Any] = {"bidirectional": bidirectional, "dropout": dropout}
        if neuron_type in SSM_TYPES:
            if not use_readout_layer:
                raise ValueError(f"a network of {neuron_type} has a readout")
            options: dict[str, Any] = {
                key: given[key] for key in ("state_size", "dt_max") if key in given
            }
            self.snn = build_ssm(
                neuron_type,
                self.features,
                self.layer_sizes[:-1],
                self.layer_sizes[-1],
                **shared,
                **directions,
                **options,
            )
            return
        if neuron_type not in SPIKING:
            known = ", ".join((*SPIKING, *SSM_TYPES))
            raise ValueError(f"neuron_type is one of {known}, not {neuron_type!r}")
        self.snn = networks.spiking_stack(
            SPIKING[neuron_type],
            self.features,
            layer_sizes,
            given={**given, "threshold": threshold},
            readout=use_readout_layer,
            initial=initial,
            backend=backend,
            **shared,
            **directions,
        )

    @property
    def layers(self) -> Network:
        """All layers, the readout among them."""
        return self.snn

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor, float]:
        """Scores, firing rates and synaptic operations per sample.

        Args:
            x_BTI: Input, ``[B, T, F, channels]`` where ``input_shape`` has four entries.

        Returns:
            ``y`` ``[B, C]``, each row of which sums to ``T`` (``[B, T, N]`` without a readout), and
            what :mod:`silif.activity` says of the network.

        Raises:
            NotImplementedError: ``input_shape`` has four entries, the input not.
            ValueError: Other shapes that do not fit.
        """
        output, active = activity.run(self.snn, self.time_first(x_BTI))
        operations = activity.synaptic_operations(active, self.layer_sizes).mean()
        return batch_first(output.y), activity.firing_rates(active), float(operations)


def build(config: Config, inputs: int, classes: int) -> BatchFirst:
    """The network that ``config`` describes, with parameters from PyTorch's generator."""
    shared = shape_arguments(config, inputs, classes)
    if config.model_type in NON_SPIKING:
        return ANN(ann_type=config.model_type, **shared)
    return SNN(
        neuron_type=config.model_type,
        **shared,
        extra_features={key: getattr(config, key) for key in ("dt_min", "dt_max", "state_size")},
        initial="zero" if config.init_state == "zeros" else "uniform",
        backend=config.backend,
    )
