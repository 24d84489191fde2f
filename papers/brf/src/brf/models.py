"""The networks of the paper: one recurrent spiking layer and a leaky readout."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from brf.config import Config
from core.layers import Layer
from core.neurons import ALIF, BRF, HRF, LI, RF, Neuron, Normal, Uniform


class Output(NamedTuple):
    """What a forward pass gives.

    Attributes:
        potentials_TBC: Readout potentials of every step.
        spikes_TBH: Spikes of the hidden layer.
        state: States of hidden layer and readout after the last step.
    """

    potentials_TBC: Tensor
    spikes_TBH: Tensor
    state: tuple[Any, Any]


class RecurrentSNN(nn.Module):
    """``x -> recurrent layer of spiking neurons -> LI readout``, paper section 4.

    No normalisation, no dropout, states start at zero.

    Args:
        inputs: ``I``.
        classes: ``C``.
        hidden: ``H`` neurons of any spiking kind.
        readout: ``C`` leaky integrators.
        bias: Biases in both layers: the hidden one ``U(+-1/sqrt(I + H))``, the readout's zero.
        backend: For :func:`core.scan.scan`.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Neuron,
        readout: LI,
        *,
        bias: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.hidden = Layer(inputs, hidden, recurrent=True, bias=bias, backend=backend)
        self.out = Layer(hidden.size, readout, bias=bias, zero_bias=True, backend=backend)

    def forward(self, x_TBI: Tensor, state: tuple[Any, Any] = (None, None)) -> Output:
        """Potentials of every step for input ``[T, B, I]``."""
        hidden = self.hidden(x_TBI, state[0])
        out = self.out(hidden.output_TBH, state[1])
        return Output(out.output_TBH, hidden.output_TBH, (hidden.state, out.state))


def build(config: Config, inputs: int, classes: int) -> RecurrentSNN:
    """The network that ``config`` describes, with parameters from PyTorch's generator."""
    return RecurrentSNN(
        inputs,
        hidden_neuron(config),
        LI(classes, tau_mem=Normal(*config.tau_out), decay=config.readout_decay),
        bias=config.bias,
        backend=config.backend,
    )


def hidden_neuron(config: Config) -> Neuron:
    """The hidden neurons of ``config``."""
    if config.neuron == "alif":
        return ALIF(
            config.hidden,
            tau_mem=Normal(*config.tau_mem),
            tau_adp=Normal(*config.tau_adp),
            decay=config.decay,
        )
    omega, b_offset = Uniform(*config.omega), Uniform(*config.b_offset)
    if config.neuron == "hrf":
        return HRF(config.hidden, omega=omega, b_offset=b_offset)
    kind = BRF if config.neuron == "brf" else RF
    return kind(config.hidden, omega=omega, b_offset=b_offset, decay=config.decay)
