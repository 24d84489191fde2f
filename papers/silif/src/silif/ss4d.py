"""SS4D: S4D whose channels spike (Shen et al., SpikingSSMs, arXiv 2408.14909)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from silif.s4d import DropoutNd, S4DKernel, mixture
from silif.sdn import SS4DNeuron, make_neuron


class SS4D(nn.Module):
    r"""The convolution, a neuron per channel, and a mixture of the spikes.

        y = (K * x + D x) / exp(ln_vth);  s = neuron(y)
        output = GLU(W dropout(s) + bias)              (W from H to 2 H channels)

    Args:
        channels: ``H``.
        state_size: See :class:`silif.s4d.S4DKernel`, as for the next.
        dt_max: See there.
        dropout: Of :class:`silif.s4d.DropoutNd`.
        neuron: The authors' experiments use ``sdn`` alone.

    Raises:
        UserError: See :class:`silif.sdn.SDN`.
    """

    def __init__(
        self,
        channels: int,
        *,
        state_size: int,
        dt_max: float,
        dropout: float,
        neuron: SS4DNeuron = "sdn",
    ) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.randn(1, channels))
        self.ln_vth = nn.Parameter(torch.zeros(channels, 1))
        self.kernel = S4DKernel(channels, state_size, dt_max=dt_max, leading=(1,))
        self.neuron = make_neuron(neuron, channels)
        self.dropout = DropoutNd(dropout)
        self.output_linear = mixture(channels)

    def forward(self, x_BHT: Tensor) -> tuple[Tensor, Tensor]:
        """The output and the spikes, ``[B, H, T]`` both."""
        y_BHT = self.kernel.respond(x_BHT) + self.D[0, :, None] * x_BHT
        spikes_BHT = self.neuron(y_BHT / torch.exp(self.ln_vth))
        output_BHT: Tensor = self.output_linear(self.dropout(spikes_BHT))
        return output_BHT, spikes_BHT
