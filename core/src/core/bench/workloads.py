"""What is measured: neurons, shapes and inputs at which a few per cent of the steps spike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.errors import UserError
from core.neurons import ALIF, BRF, AdLIF, BoundedLIF, CSiLIF, Neuron, SiLIF

NEURONS: dict[str, type[Neuron]] = {
    kind.__name__: kind for kind in (ALIF, BRF, AdLIF, BoundedLIF, CSiLIF, SiLIF)
}

#: Standard deviation of the current at which about 3 % of the steps spike.
DRIVE = {"BoundedLIF": 3.3, "AdLIF": 3.0, "SiLIF": 1.5, "CSiLIF": 0.27, "BRF": 21.0, "ALIF": 0.45}

#: Share of steps that spike in a full-sized workload; gathering by spikes pays by sparseness, so
#: a time says little without it.
SPIKE_RATES = (0.01, 0.05)


@dataclass(frozen=True)
class Workload:
    """A neuron over a random sequence.

    Attributes:
        name: Of its row.
        neuron: Key of :data:`NEURONS`.
        recurrent: Whether spikes feed back through an ``[H, H]`` weight.
        steps: ``T``.
        batch: ``B``.
        size: ``H``.
        for_growth: Measured for the fit over ``T`` and ``B`` only: no peers, no memory.
        tiny: Shrunk, so that its spike rate, its times and its memory say nothing.
    """

    name: str
    neuron: str
    recurrent: bool
    steps: int
    batch: int
    size: int
    for_growth: bool = False
    tiny: bool = False

    @property
    def shape(self) -> str:
        """Shape and recurrence, for the table."""
        suffix = " recurrent" if self.recurrent else ""
        return f"T={self.steps} B={self.batch} H={self.size}{suffix}"

    def shrunk(self) -> Workload:
        """The same at a size that takes milliseconds, to see that everything runs."""
        return replace(
            self,
            steps=max(2, self.steps // 20),
            batch=max(2, self.batch // 16),
            size=min(32, self.size),
            tiny=True,
        )


def _growth(steps: int, batch: int, by: str) -> Workload:
    return Workload(f"brf-{by}", "BRF", True, steps, batch, 256, for_growth=True)


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("lif", "BoundedLIF", False, 100, 128, 512),
        Workload("adlif", "AdLIF", False, 100, 128, 512),
        Workload("adlif-long", "AdLIF", False, 300, 256, 512),
        Workload("silif", "SiLIF", False, 300, 256, 512),
        Workload("csilif", "CSiLIF", False, 300, 256, 512),
        Workload("rlif", "BoundedLIF", True, 100, 128, 512),
        Workload("radlif", "AdLIF", True, 100, 128, 512),
        Workload("brf", "BRF", True, 784, 256, 256),
        Workload("alif", "ALIF", True, 784, 256, 256),
        Workload("ecg", "BRF", True, 1300, 16, 36),
        *(_growth(steps, 128, f"T{steps}") for steps in (196, 392, 784)),
        *(_growth(392, batch, f"B{batch}") for batch in (64, 128, 256)),
    )
}


@dataclass(frozen=True)
class Step:
    """A training step of a network with batch norm, dropout and a softmax-sum readout.

    Attributes:
        name: Of its row.
        neuron: Key of :data:`NEURONS`.
        recurrent: Whether hidden layers are.
        steps: ``T``.
        batch: ``B``.
        sizes: Inputs, hidden layers, classes.
        dropout: Behind every hidden layer.
        input_rate: Share of the input that is one.
        spike_rate: Of the hidden layers, as in trained networks of this kind; products by spikes
            cost what there are of them. Batch norm is shifted until they have it.
        public_steps: Two shorter ``T`` at which the public loop, of which a pass takes minutes, is
            timed, too; None for one that takes turns with the others.
        for_growth: Measured for the fit over ``T`` only: no public loop, no memory.
        tiny: Shrunk, so that its times say nothing.
    """

    name: str
    neuron: str
    recurrent: bool
    steps: int
    batch: int
    sizes: tuple[int, ...]
    dropout: float = 0.1
    input_rate: float = 0.05
    spike_rate: float = 0.05
    public_steps: tuple[int, int] | None = None
    for_growth: bool = False
    tiny: bool = False

    @property
    def shape(self) -> str:
        """Shape, for the table."""
        widths = "-".join(map(str, self.sizes))
        return f"T={self.steps} B={self.batch} {widths}{' recurrent' if self.recurrent else ''}"

    def shrunk(self) -> Step:
        """The same at a size that takes milliseconds."""
        sizes = tuple(min(16, size) for size in self.sizes)
        steps = max(2, self.steps // 20)
        shorter = (2, 4) if self.public_steps else None
        return replace(self, steps=steps, batch=4, sizes=sizes, public_steps=shorter, tiny=True)


def _speech_commands(name: str, neuron: str, steps: int = 300) -> Step:
    """The paper's recipe on SSC at 4 ms; shorter ones for the growth."""
    rate = {"SiLIF": 0.022, "CSiLIF": 0.19}[neuron]  # as trained on SHD, papers/silif
    whole = Step(name, neuron, False, steps, 256, (140, 512, 512, 35), 0.5, 0.03, rate)
    return replace(whole, **({"public_steps": (75, 150)} if steps == 300 else {"for_growth": True}))


STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        # as trained on SHD, papers/sparch
        Step("radlif-512-step", "AdLIF", True, 100, 128, (700, 512, 512, 20), spike_rate=0.1),
        Step("lif-128-step", "BoundedLIF", False, 100, 128, (700, 128, 128, 20), spike_rate=0.026),
        _speech_commands("silif-step", "SiLIF"),
        _speech_commands("csilif-step", "CSiLIF"),
        *(_speech_commands(f"silif-step-T{steps}", "SiLIF", steps) for steps in (75, 150)),
    )
}


def select(names: Sequence[str] | None, *, tiny: bool = False) -> list[Workload | Step]:
    """The rows called ``names``, all for None; ``growth`` stands for all growth rows.

    Raises:
        UserError: A name that there is not.
    """
    growing = [name for name, workload in WORKLOADS.items() if workload.for_growth]
    rows: dict[str, Workload | Step] = {**WORKLOADS, **STEPS}
    wanted: list[str] = []
    for name in names or rows:
        if name not in rows and name != "growth":
            raise UserError(
                f"--rows: no row is called {name!r}; there are {', '.join(rows)}, "
                "and growth for all that end in a T or B"
            )
        wanted += growing if name == "growth" else [name]
    chosen = [rows[name] for name in dict.fromkeys(wanted)]
    return [workload.shrunk() if tiny else workload for workload in chosen]


@dataclass(frozen=True)
class Inputs:
    """What the contestants of one row share.

    Attributes:
        neuron: With the parameters of the row.
        current_TBH: Requires a gradient, as behind a layer that is trained.
        weight: ``[H, H]`` with gradient, or None.
        gradient_TBH: What arrives at the output from above.
    """

    neuron: Neuron
    current_TBH: Tensor
    weight: Tensor | None
    gradient_TBH: Tensor

    def leaves(self) -> Iterable[Tensor]:
        """All tensors that get a gradient."""
        recurrent = () if self.weight is None else (self.weight,)
        return (self.current_TBH, *recurrent, *self.neuron.parameters())

    def forget_gradients(self) -> None:
        """Set every gradient to None."""
        for leaf in self.leaves():
            leaf.grad = None


def inputs(workload: Workload, device: torch.device) -> Inputs:
    """The inputs of a row, the same in every process."""
    shape = (workload.steps, workload.batch, workload.size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind = NEURONS[workload.neuron]
        # At rest, where authors draw the state anew in every forward: contestants must agree.
        neuron = kind(workload.size, **({} if kind in (ALIF, BRF) else {"initial": "zero"}))
        if isinstance(neuron, AdLIF):
            with torch.no_grad():
                neuron.a.abs_()  # a negative coupling may diverge within a long sequence
        current = DRIVE[workload.neuron] * torch.randn(shape)
        weight = torch.randn(workload.size, workload.size) / workload.size**0.5
        gradient = torch.randn(shape)
    return Inputs(
        neuron.to(device),
        current.to(device).requires_grad_(),
        weight.to(device).requires_grad_() if workload.recurrent else None,
        gradient.to(device),
    )
