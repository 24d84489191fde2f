"""The sequence models beside the spiking networks: S4D, SS4D and Mamba in the same frame.

The names of all tensors are those of the authors' state dicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.layers import LayerOutput, Network, Normalization
from core.layers.normalization import normalize
from core.layers.readout import ReadoutOutput
from core.layers.sequence import SequenceModule
from core.layers.shell import Shell
from core.projection import project
from silif.mamba import Mamba
from silif.s4d import S4D, S4DKernel
from silif.ss4d import SS4D

SSMType = Literal["S4D", "SS4D", "Mamba"]
SSM_TYPES: tuple[SSMType, ...] = ("S4D", "SS4D", "Mamba")


class StateSpaceLayer(Shell):
    r"""A state space model with its normalisation before and a path around.

        z_t = W x_t + bias                             (``z = x`` where the sizes are equal)
        y_t = z_t + dropout(model(norm(z)))_t

    Both directions of a bidirectional layer share everything; the second is turned back and stands
    as ``H`` further features. ``out_norm`` exists in the authors' layers and is not used there
    either.

    Args:
        name: Of the model, and of its tensors.
        inputs: ``I``.
        size: ``H``.
        model: Makes the model of ``size`` channels: ``[B, H, T]`` to output and spikes or None.
        normalization: See :class:`core.layers.shell.Shell`, as for the next three.
        bias: See there; of ``W``.
        bidirectional: See there.
        dropout: See there.
    """

    def __init__(
        self,
        name: SSMType,
        inputs: int,
        size: int,
        model: Callable[[int], nn.Module],
        *,
        normalization: Normalization,
        bias: bool,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__(
            inputs,
            size,
            normalization=normalization,
            bias=bias,
            bidirectional=bidirectional,
            dropout=dropout,
            batch_first=False,
        )
        self.encoder = None if inputs == size else self.projection()
        self.add_module(name, model(size))
        self.norm = self.norm_of_current()
        self.out_norm = nn.LayerNorm(size)
        self.name = name

    @property
    def model(self) -> Any:
        """The module between normalisation and dropout, under the name of its kind."""
        return self.get_submodule(self.name)

    def over_time(
        self, x_TBI: Tensor, state: None, generator: torch.Generator | None
    ) -> LayerOutput:
        """The output and, of SS4D, the spikes before dropout; it has no state between calls."""
        z_TBH = x_TBI
        if self.encoder is not None:
            z_TBH = project(x_TBI, self.encoder.weight, self.encoder.bias)
        if self.bidirectional:
            z_TBH = torch.cat([z_TBH, z_TBH.flip(0)], dim=1)
        y_BHT, spikes_BHT = self.model(normalize(self.norm, z_TBH).permute(1, 2, 0).contiguous())
        output_TBH = self.joined(z_TBH + self.drop(y_BHT.permute(2, 0, 1)))
        if spikes_BHT is None:
            return LayerOutput(output_TBH, None, None)
        return LayerOutput(output_TBH, self.joined(spikes_BHT.permute(2, 0, 1)), None)


class MeanReadout(SequenceModule):
    """``y = mean over t of (W x_t + bias)``, without normalisation.

    Args:
        inputs: ``I``.
        classes: ``C``.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__(inputs)
        self.linear = nn.Linear(inputs, classes)

    def over_time(
        self, x_TBI: Tensor, state: None, generator: torch.Generator | None
    ) -> ReadoutOutput:
        """Scores ``[B, C]``; it has no state and draws nothing."""
        return ReadoutOutput(self.linear(x_TBI.mean(0)), None)


def build_ssm(
    model_type: SSMType,
    inputs: int,
    hidden: Sequence[int],
    classes: int,
    *,
    dropout: float = 0.0,
    normalization: Normalization = "batchnorm",
    bias: bool = False,
    bidirectional: bool = False,
    state_size: int = 64,
    dt_max: float = 0.5,
) -> Network:
    """Layers of one model and a :class:`MeanReadout`.

    Args:
        model_type: Which one.
        inputs: ``I``.
        hidden: Channels of each layer.
        classes: ``C``.
        dropout: Of the outputs of each layer and, in S4D and SS4D, of the channels inside, too.
        normalization: See :func:`core.layers.normalization.make_norm`.
        bias: Of the projections into layers of another size.
        bidirectional: Layers see the sequence in both directions.
        state_size: Of S4D and SS4D, per channel; Mamba has 64.
        dt_max: Largest initial step.

    Raises:
        ValueError: No layer, or numbers that make no model.
        UserError: SS4D without the weights of its predictor, see :class:`silif.sdn.SDN`.
    """
    if not hidden:
        raise ValueError("a network has at least one hidden layer")
    shared: dict[str, Any] = {"dropout": dropout, "dt_max": dt_max}
    models: dict[SSMType, Callable[[int], nn.Module]] = {
        "S4D": lambda size: S4D(size, state_size=state_size, **shared),
        "SS4D": lambda size: SS4D(size, state_size=state_size, **shared),
        "Mamba": lambda size: Mamba(size, dt_max=dt_max),
    }
    directions = 2 if bidirectional else 1
    before = [inputs, *(directions * size for size in hidden)]
    layers = [
        StateSpaceLayer(
            model_type,
            features,
            size,
            models[model_type],
            normalization=normalization,
            bias=bias,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        for features, size in zip(before, hidden, strict=False)
    ]
    return Network(layers, MeanReadout(before[-1], classes))


def parameter_groups(model: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Groups for ``AdamW`` under ``--s4_opt``.

    All parameters but one kind get weight decay 0.01 and ``lr``; the steps and rates of the kernels
    (:attr:`silif.s4d.S4DKernel.SLOW`) no decay and ``min(0.001, lr)``.

    Args:
        model: Any network; without kernels there is one group.
        lr: Learning rate.
    """
    kernels = [module for module in model.modules() if isinstance(module, S4DKernel)]
    slow = [kernel.get_parameter(name) for kernel in kernels for name in S4DKernel.SLOW]
    known = {id(parameter) for parameter in slow}
    others = [p for p in model.parameters() if id(p) not in known and p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": others, "lr": lr, "weight_decay": 0.01}]
    if slow:
        groups.append({"params": slow, "lr": min(0.001, lr), "weight_decay": 0.0})
    return groups
