"""The networks of the paper; modules stand where the authors' state dicts have them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from core.layers import NetworkOutput
from core.neurons import PLIF, LogNormalTau
from plif.config import Config
from plif.layers import FrozenDropout, SequenceBatchNorm, SpikePool, Voting, over_time
from plif.sets import ImageTask

Shape = tuple[int, ...]
VOTERS = 10
"""Output neurons per class."""


@dataclass(frozen=True)
class Style:
    """What is the same everywhere in a network."""

    neuron: Callable[[Shape], PLIF]
    max_pool: bool
    statistics: Literal["step", "sequence"]
    dropout: float
    backend: str = "auto"

    def pool(self) -> nn.Module:
        """Halves a map."""
        return SpikePool() if self.max_pool else nn.AvgPool2d(2, 2)

    def convolution(self, inputs: int, channels: int) -> nn.Conv2d:
        """3 x 3, without bias."""
        return nn.Conv2d(inputs, channels, 3, padding=1, bias=False)

    def norm(self, channels: int) -> SequenceBatchNorm:
        """After a convolution that runs over time."""
        return SequenceBatchNorm(channels, self.statistics)


class SpikingNet(nn.Module):
    """``conv``, ``fc`` and ``boost``, the voting layer."""

    conv: nn.Sequential
    fc: nn.Sequential
    backend: str

    def __init__(self) -> None:
        super().__init__()
        self.boost = Voting()

    def current(self, x_TBCHW: Tensor) -> Tensor:
        """What the first layer of ``conv`` gets at every step."""
        return x_TBCHW

    def forward(self, x_TBCHW: Tensor) -> NetworkOutput:
        """Votes ``[B, C]``, summed over time: from 0 to ``T``, in steps of 0.1.

        While training, spikes are not handed out, which would keep them in memory.
        """
        spikes_TBN: list[Tensor] | None = None if self.training else []
        x = over_time(self.conv, self.current(x_TBCHW), self.backend, spikes_TBN)
        x = over_time(self.fc, x, self.backend, spikes_TBN)
        # votes are linear, so that one for all steps is enough
        kept = tuple(spikes_TBN or ())
        return NetworkOutput(self.boost(x.sum(0)), kept, kept, ())


class EventNet(SpikingNet):
    """N-MNIST, CIFAR10-DVS and DVS128 Gesture: ``layers`` blocks of convolution and pooling.

    Args:
        shape: ``(C, H, W)`` of a frame.
        channels: Of every convolution.
        layers: Blocks.
        hidden: Neurons of the first fully connected layer; None for a quarter of its inputs.
        classes: To vote for.
        style: See there.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: int,
        layers: int,
        hidden: int | None,
        classes: int,
        style: Style,
    ) -> None:
        super().__init__()
        self.backend = style.backend
        inputs, height, width = shape
        conv: list[nn.Module] = []
        for _ in range(layers):
            conv += [style.convolution(inputs, channels), style.norm(channels)]
            conv += [style.neuron((channels, height, width)), style.pool()]
            inputs, height, width = channels, height // 2, width // 2
        self.conv = nn.Sequential(*conv)
        features = channels * height * width
        hidden = hidden or max(1, features // 4)
        self.fc = nn.Sequential(*classifier(features, hidden, classes, style))


class StaticNet(SpikingNet):
    """An image shown ``steps`` times: convolution and batch norm once, the rest over time.

    Args:
        shape: ``(C, H, W)`` of an image.
        channels: Of the first convolution.
        steps: ``T``.
        style: See there.
    """

    def __init__(self, shape: Shape, channels: int, steps: int, style: Style) -> None:
        super().__init__()
        self.backend, self.steps = style.backend, steps
        self.static_conv = nn.Sequential(
            style.convolution(shape[0], channels), nn.BatchNorm2d(channels)
        )

    def current(self, x_TBCHW: Tensor) -> Tensor:
        """One image as a current that does not change; its copies take no memory."""
        current: Tensor = self.static_conv(x_TBCHW[0])
        return current.expand(self.steps, *current.shape)


class MnistNet(StaticNet):
    """MNIST and Fashion-MNIST: arguments as of :class:`EventNet` and :class:`StaticNet`."""

    def __init__(
        self, shape: Shape, *, channels: int, hidden: int, classes: int, steps: int, style: Style
    ) -> None:
        super().__init__(shape, channels, steps, style)
        _, height, width = shape
        self.conv = nn.Sequential(
            *(style.neuron((channels, height, width)), style.pool()),
            *(style.convolution(channels, channels), style.norm(channels)),
            *(style.neuron((channels, height // 2, width // 2)), style.pool()),
        )
        features = channels * (height // 4) * (width // 4)
        self.fc = nn.Sequential(*classifier(features, hidden, classes, style))


class Cifar10Net(StaticNet):
    """CIFAR-10: two groups of three convolutions, and no dropout before the last layer."""

    def __init__(
        self, shape: Shape, *, channels: int, hidden: int, classes: int, steps: int, style: Style
    ) -> None:
        super().__init__(shape, channels, steps, style)
        _, height, width = shape

        def group(convolutions: int) -> Iterator[nn.Module]:
            for _ in range(convolutions):
                yield style.convolution(channels, channels)
                yield style.norm(channels)
                yield style.neuron((channels, height, width))
            yield style.pool()

        conv = [style.neuron((channels, height, width)), *group(2)]
        height, width = height // 2, width // 2
        self.conv = nn.Sequential(*conv, *group(3))
        features = channels * (height // 2) * (width // 2)
        self.fc = nn.Sequential(*classifier(features, hidden, classes, style, second_dropout=False))


def classifier(
    features: int, hidden: int, classes: int, style: Style, *, second_dropout: bool = True
) -> Sequence[nn.Module]:
    """Two layers without bias; ten neurons vote for a class."""
    outputs = VOTERS * classes
    return [
        *(nn.Flatten(), FrozenDropout(style.dropout)),
        *(nn.Linear(features, hidden, bias=False), style.neuron((hidden,))),
        *((FrozenDropout(style.dropout),) if second_dropout else ()),
        *(nn.Linear(hidden, outputs, bias=False), style.neuron((outputs,))),
    ]


def style_of(config: Config) -> Style:
    """What the settings say about all layers."""
    tau: float | LogNormalTau = config.init_tau
    if config.tau_per_neuron:
        shifted = config.tau_init == "shifted_lognormal"
        tau = LogNormalTau(config.init_tau, config.tau_std_dev, shifted=shifted)
    train: Literal["layer", "neuron", "nothing"] = "nothing"
    if config.use_plif:
        train = "neuron" if config.tau_per_neuron else "layer"

    def neuron(shape: Shape) -> PLIF:
        return PLIF(
            shape,
            tau=tau,
            train=train,
            detach_reset=config.detach_reset,
            train_alpha=config.alpha_learnable,
        )

    return Style(neuron, config.use_max_pool, config.batch_norm, config.dropout, config.backend)


def build(config: Config, task: ImageTask) -> SpikingNet:
    """The network of a data set.

    Raises:
        ValueError: The settings do not fit its size, or a time constant came out at 1 or below.
    """
    style, (_, height, width) = style_of(config), task.shape
    if config.is_static:
        kind = MnistNet if config.dataset_name != "CIFAR10" else Cifar10Net
        return kind(
            task.shape,
            channels=config.network_channels,
            hidden=config.hidden or 2048,
            classes=task.classes,
            steps=config.T,
            style=style,
        )
    layers = config.network_layers
    if (most := int(math.log2(min(height, width)))) < layers:
        raise ValueError(
            f"number_layer is {layers}, but a sensor of {width} x {height} can be halved "
            f"{most} times"
        )
    return EventNet(
        task.shape,
        channels=config.network_channels,
        layers=layers,
        hidden=config.hidden,
        classes=task.classes,
        style=style,
    )
