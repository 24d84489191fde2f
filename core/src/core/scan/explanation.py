"""Which kernels run each layer of a network, and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from core.scan.case import Case
from core.scan.dispatch import BACKENDS, Backend
from core.tap import Onlooker, layer_names, shown_to


@dataclass(frozen=True)
class Explained:
    """One scan of a network with the products before and the dropout behind it.

    Attributes:
        name: Of the neuron's module in the network; empty where it is not part of it. Of the layer,
            where that has products and no neurons.
        neuron: Its class, or the layer's.
        shape: ``[T, B, N]``.
        recurrent: Its spikes, or other fields of its state, come back.
        backend: What ran it; empty without neurons.
        reasons: Why none that comes before it in :data:`core.scan.BACKENDS` did, by name.
        products: Of input and weights, and why; none, where the layer does not use
            :func:`core.projection.project`.
        dropout: What drops values out in training, and why; empty, where nothing does.
    """

    name: str
    neuron: str
    shape: tuple[int, ...]
    recurrent: bool = False
    backend: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    dropout: str = ""

    def __str__(self) -> str:
        kind = f"recurrent {self.neuron}" if self.recurrent else self.neuron
        why = "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())
        parts = [f"{self.name or '(no module)'}: {kind} {list(self.shape)}"]
        parts[0] += f" on {self.backend}" if self.backend else ""
        parts[0] += f" ({why})" if why else ""
        parts += dict.fromkeys(self.products)
        parts += [f"dropout on {self.dropout}"] if self.dropout else []
        return ", ".join(parts)


class _Notes(Onlooker):
    """Looks on while the network runs; what belongs to one layer stands in one line."""

    def __init__(self, model: nn.Module) -> None:
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.layers = layer_names(model)
        self.kinds = {path: type(module).__name__ for path, module in model.named_modules()}
        #: Of every line its layer, and whether its neurons are still to come.
        self.found: list[tuple[str | None, bool, Explained]] = []

    def projected(self, x: Tensor, weight: Tensor, product: str) -> None:
        layer, shape = self.layers.get(id(weight)), (*x.shape[:-1], len(weight))
        if not self._open(layer):
            name = layer or ""
            self.found.append((layer, True, Explained(name, self.kinds.get(name, name), shape)))
        line = self.found[-1][2]
        self.found[-1] = (layer, True, replace(line, products=(*line.products, product)))

    def scanned(self, case: Case, given: Any, output_TBN: Tensor, backend: str) -> None:
        layer = self.layers.get(id(case.neuron))
        products = self.found.pop()[2].products if self._open(layer) else ()
        before = BACKENDS[: [known.name for known in BACKENDS].index(backend)]
        line = Explained(
            self.paths.get(id(case.neuron), ""),
            type(case.neuron).__name__,
            tuple(case.current_TBN.shape),
            case.recurrent_weight is not None or bool(case.pathways),
            backend,
            {faster.name: _reason(faster, case) for faster in before},
            products,
        )
        self.found.append((layer, False, line))

    def dropped(self, module: nn.Module, kernel: str) -> None:
        if self.found and self.found[-1][0] == self.layers[id(module)]:
            self.found[-1] = (*self.found[-1][:2], replace(self.found[-1][2], dropout=kernel))

    def _open(self, layer: str | None) -> bool:
        """Whether the last line waits for more of a layer; a weight made on the way has none."""
        return bool(self.found) and self.found[-1][1] and self.found[-1][0] in (layer, None)


def _reason(backend: Backend, case: Case) -> str:
    refusal = backend.refuses(case)
    if refusal is not None:
        return refusal
    return backend.doubt(case) or "another was asked for"


@torch.no_grad()
def explain(model: nn.Module, *inputs: Any) -> list[Explained]:
    """Run a network once and say of every layer in it which kernels ran it, and why.

    Printed one by one they are a line per layer. Gradients change no choice.

    Args:
        model: Anything that calls :func:`core.scan.scan`; run in evaluation mode, and left in the
            mode that it has.
        inputs: What it is called with.
    """
    notes, training = _Notes(model), [(m, m.training) for m in model.modules()]
    try:
        with shown_to(notes):
            model.eval()(*inputs)
    finally:
        for module, mode in training:
            module.training = mode
    return [line for _, _, line in notes.found]
