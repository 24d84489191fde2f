r"""Hidden layers without spikes: MLP, RNN, LiGRU and GRU, the baseline's counterparts.

With ``P``, ``Pz``, ``Pr`` the normalised input currents through ``W``, ``Wz``, ``Wr``, each with
its own norm, ``sigma`` the logistic function and ``y_0 = 0``:

    MLP    y_t = sigma(P_t)
    RNN    y_t = sigma(P_t + V y_{t-1})
    LiGRU  z_t = sigma(Pz_t + Vz y_{t-1});  c_t = relu(P_t + V y_{t-1})
           y_t = z_t y_{t-1} + (1 - z_t) c_t
    GRU    z_t as above;  r_t = sigma(Pr_t + Vr y_{t-1});  c_t = tanh(P_t + V (r_t y_{t-1}))
           y_t = z_t y_{t-1} + (1 - z_t) c_t

The recurrent matrices start orthogonal, have no bias and keep their diagonal. LiGRU: Ravanelli et
al., IEEE TETCI 2018; GRU: Cho et al., EMNLP 2014; both as in the code of Bittar and Garner (2022).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from core.layers.normalization import Normalization
from core.layers.sequence import LayerOutput
from core.layers.shell import Shell


class GatedLayer(Shell):
    """Projections ``W{gate}``, norms ``norm{gate}`` and recurrent matrices ``V{gate}``.

    Args:
        inputs: ``I``.
        size: ``N``.
        normalization: See :class:`core.layers.shell.Shell`, as for the next four.
        bias: See there.
        bidirectional: See there.
        dropout: See there.
        batch_first: See there.
    """

    GATES: ClassVar[tuple[str, ...]] = ("",)
    recurrent: ClassVar[bool] = True

    def __init__(
        self,
        inputs: int,
        size: int,
        *,
        normalization: Normalization = "none",
        bias: bool = False,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
    ) -> None:
        super().__init__(
            inputs,
            size,
            normalization=normalization,
            bias=bias,
            bidirectional=bidirectional,
            dropout=dropout,
            batch_first=batch_first,
        )
        # The order of the draws: W and V gate by gate, then all V again.
        for gate in self.GATES:
            self.add_module(f"W{gate}", self.projection())
            if self.recurrent:
                self.add_module(f"V{gate}", self.recurrence())
        for gate in self.GATES:
            if self.recurrent:
                nn.init.orthogonal_(self.get_parameter(f"V{gate}.weight"))
            self.add_module(f"norm{gate}", self.norm_of_current())

    def over_time(
        self, x_TBI: Tensor, state: Tensor | None, generator: torch.Generator | None
    ) -> LayerOutput:
        """Output and the last ``y_T``; a state is ``y_0``, ``[B, N]``, zero where None is given.

        In a bidirectional layer it is ``[2 B, N]``. Nothing here starts at random.
        """
        currents = [self.current(x_TBI, *self._gate(gate)) for gate in self.GATES]
        if state is None:
            state = x_TBI.new_zeros(currents[0].shape[1:])
        output_TBN, state = self.run(currents, state)
        return LayerOutput(self.drop(self.joined(output_TBN)), None, state)

    def _gate(self, gate: str) -> tuple[Any, nn.Module]:
        return self.get_submodule(f"W{gate}"), self.get_submodule(f"norm{gate}")

    def run(self, currents_TBN: list[Tensor], state_BN: Tensor) -> tuple[Tensor, Tensor]:
        """All outputs and the last one.

        Args:
            currents_TBN: Normalised input current of every gate of :attr:`GATES`.
            state_BN: ``y_0``.
        """
        # Not x[t]: the backward of an index fills the whole sequence with zeros at every step.
        outputs = []
        for current in zip(*[c.unbind(0) for c in currents_TBN], strict=True):
            state_BN = self.step(current, state_BN)
            outputs.append(state_BN)
        return torch.stack(outputs), state_BN

    def step(self, current: tuple[Tensor, ...], y_BN: Tensor) -> Tensor:
        """``y_t`` from the currents of the gates and ``y_{t-1}``."""
        raise NotImplementedError


class MLPLayer(GatedLayer):
    """``y_t = sigma(P_t)``; steps do not know each other."""

    recurrent = False

    def run(self, currents_TBN: list[Tensor], state_BN: Tensor) -> tuple[Tensor, Tensor]:
        """All steps at once."""
        output_TBN = torch.sigmoid(currents_TBN[0])
        return output_TBN, output_TBN[-1]


class RNNLayer(GatedLayer):
    """``y_t = sigma(P_t + V y_{t-1})``."""

    V: nn.Linear

    def step(self, current: tuple[Tensor, ...], y_BN: Tensor) -> Tensor:
        """The equation of the class."""
        return torch.sigmoid(torch.addmm(current[0], y_BN, self.V.weight.t()))


class LiGRULayer(GatedLayer):
    """Light GRU: an update gate and a rectified candidate."""

    GATES = ("", "z")
    V: nn.Linear
    Vz: nn.Linear

    def step(self, current: tuple[Tensor, ...], y_BN: Tensor) -> Tensor:
        """The equations of the module."""
        z = torch.sigmoid(torch.addmm(current[1], y_BN, self.Vz.weight.t()))
        candidate = torch.relu(torch.addmm(current[0], y_BN, self.V.weight.t()))
        return torch.lerp(candidate, y_BN, z)


class GRULayer(GatedLayer):
    """Update gate, reset gate and a tanh candidate."""

    GATES = ("", "z", "r")
    V: nn.Linear
    Vz: nn.Linear
    Vr: nn.Linear

    def step(self, current: tuple[Tensor, ...], y_BN: Tensor) -> Tensor:
        """The equations of the module."""
        z = torch.sigmoid(torch.addmm(current[1], y_BN, self.Vz.weight.t()))
        r = torch.sigmoid(torch.addmm(current[2], y_BN, self.Vr.weight.t()))
        candidate = torch.tanh(torch.addmm(current[0], r * y_BN, self.V.weight.t()))
        return torch.lerp(candidate, y_BN, z)
