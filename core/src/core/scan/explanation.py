"""Which backend runs each layer of a network, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.neurons.base import Neuron
from core.scan.case import Case
from core.scan.dispatch import BACKENDS, Backend
from core.tap import shown_to


@dataclass(frozen=True)
class Explained:
    """One scan of a network.

    Attributes:
        name: Of the neuron's module in the network; empty where it is not part of it.
        neuron: Its class.
        shape: ``[T, B, N]``.
        recurrent: Its spikes come back.
        backend: What ran it.
        reasons: Why none that comes before it in :data:`core.scan.BACKENDS` did, by name.
    """

    name: str
    neuron: str
    shape: tuple[int, ...]
    recurrent: bool
    backend: str
    reasons: dict[str, str]

    def __str__(self) -> str:
        kind = f"recurrent {self.neuron}" if self.recurrent else self.neuron
        why = "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())
        return (
            f"{self.name or '(no module)'}: {kind} {list(self.shape)} on {self.backend}"
            f"{f' ({why})' if why else ''}"
        )


class _Notes:
    """Looks on while the network runs."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.found: list[Explained] = []

    def projected(self, x: Tensor, weight: Tensor) -> None:
        pass

    def scanned(self, case: Case, given: Any, output_TBN: Tensor, backend: str) -> None:
        before = BACKENDS[: [known.name for known in BACKENDS].index(backend)]
        self.found.append(
            Explained(
                self.names.get(id(case.neuron), ""),
                type(case.neuron).__name__,
                tuple(case.current_TBN.shape),
                case.recurrent_weight is not None,
                backend,
                {faster.name: _reason(faster, case) for faster in before},
            )
        )


def _reason(backend: Backend, case: Case) -> str:
    refusal = backend.refuses(case)
    if refusal is not None:
        return refusal
    return "another was asked for" if backend.verified else "never run on such a device so far"


@torch.no_grad()
def explain(model: nn.Module, *inputs: Any) -> list[Explained]:
    """Run a network once and say of every scan in it which backend ran it, and why.

    Printed one by one they are a line per layer. Gradients change no choice.

    Args:
        model: Anything that calls :func:`core.scan.scan`; run in evaluation mode, and left in the
            mode that it has.
        inputs: What it is called with.
    """
    names = {id(m): name for name, m in model.named_modules() if isinstance(m, Neuron)}
    notes, training = _Notes(names), [(m, m.training) for m in model.modules()]
    try:
        with shown_to(notes):
            model.eval()(*inputs)
    finally:
        for module, mode in training:
            module.training = mode
    return notes.found
