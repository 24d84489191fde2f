"""A scan beside the eager loop and the vendor's recurrent layers, and its geometries."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.bench.first_minutes.contract import compared, outputs_of
from core.bench.first_minutes.device import device
from core.bench.first_minutes.rounds import times
from core.scan import reference
from core.scan.contract import Run
from core.scan.gpu import backend, geometry

#: ``T, B, N`` of speech, S-MNIST, ECG, narrow and wide layers.
SHAPES = ((100, 128, 512), (784, 256, 256), (1300, 16, 36), (250, 128, 128), (100, 128, 1024))
#: Of a layer with ``N`` inputs; the vendor's have no choice but to include their product.
CONTESTANTS = ("fused", "fused layer", "LSTM", "RNN", "eager")


def items(rehearse: bool) -> list[dict[str, Any]]:
    """Contestants of every shape; the eager loop, which takes longest, last."""
    found = [
        {"what": what, "steps": shape[0], "batch": shape[1], "size": shape[2]}
        | {"recurrent": recurrent}
        for recurrent in (True, False)
        for shape in (((8, 2, 16),) if rehearse else SHAPES)
        for what in (CONTESTANTS if recurrent else ("fused", "eager"))
    ]
    return sorted(found, key=lambda item: item["what"] == "eager")


def timed(what: str, steps: int, batch: int, size: int, recurrent: bool) -> dict[str, Any]:
    """Seconds of AdLIF, or of a layer of the vendor's in IEEE float32.

    ``fused`` and ``eager`` are the scan alone; a ``fused layer`` multiplies its input with a weight
    ``[N, N]`` first, as the vendor's do.
    """
    shape = (steps, batch, size)
    gradient = torch.randn(shape, device=device())
    if what in ("LSTM", "RNN"):
        torch.backends.cudnn.allow_tf32 = False  # the vendor's default, of another precision
        layer = getattr(nn, what)(size, size).to(device())
        x = torch.randn(shape, device=device(), requires_grad=True)
        return times(lambda: layer(x)[0], [x, *layer.parameters()], gradient)
    run = Run("AdLIF", shape, recurrent=recurrent, device=device())
    if what != "eager" and (reason := backend.not_taken(run.case)):
        return {"why": reason}
    module = reference if what == "eager" else backend
    if what != "fused layer":
        return times(lambda: outputs_of(run, module)[0], leaves(run), gradient)
    x, run.current = run.current, torch.empty(0)
    weight = torch.eye(size, device=device()).requires_grad_()  # the current stays what it is

    def forward() -> Tensor:
        run.current = x @ weight.t()
        return outputs_of(run, backend)[0]

    return times(forward, [x, weight, *leaves(run)[1:]], gradient)


def leaves(run: Run) -> list[Tensor]:
    """What gets gradients in training, the current first; states start as they do."""
    weight = [] if run.weight is None else [run.weight]
    for field in run.state:
        field.requires_grad_(False)
    return [run.current, *weight, *run.neuron.parameters()]


def tile_items(rehearse: bool) -> list[dict[str, Any]]:
    """Every geometry that a recurrent layer may have, the widest layers first."""
    found = []
    for size in (16,) if rehearse else (512, 1024, 256, 128):
        for batch in (2,) if rehearse else (128, 16, 256):
            count = len(geometry.candidates(True, batch, size, torch.float32))
            found += [{"size": size, "batch": batch, "place": i} for i in range(count)]
    return [
        {"steps": 4 if rehearse else 100, "recurrent": True, **item}
        for item in sorted(found, key=lambda item: item["place"])
    ]


def tile(steps: int, recurrent: bool, size: int, batch: int, place: int) -> dict[str, Any]:
    """Seconds of one geometry, and how it differs from the reference in a long scan.

    Gradients to rounding grow apart over many steps: their difference says little alone.
    """
    run = Run("AdLIF", (steps, batch, size), recurrent=recurrent, device=device())
    cut = geometry.candidates(recurrent, batch, size, torch.float32)[place]
    with geometry.forced(cut):
        differs = compared(run)
        gradient = torch.randn_like(run.current)
        found = times(lambda: outputs_of(run, backend)[0], leaves(run), gradient)
    kept = {key: differs[key] for key in ("unequal_outputs", "gradient_difference")}
    return {"geometry": str(cut), **kept, **found}
