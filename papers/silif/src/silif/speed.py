"""How long a training step of S4D and SS4D takes, beside the recursion that they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.bench.limits import COPIED_BYTES, copy_bandwidth, product_rate
from core.bench.table import duration
from core.bench.timing import Contestant, interleaved
from core.layers import Network
from silif.s4d import S4DKernel
from silif.sdn import StepByStep
from silif.ssm import SSMType, build_ssm, parameter_groups

CPU = torch.device("cpu")
PREDICTOR_FLOP = 2 * (8 * 8 + 8 * 8 + 8)
"""Of SS4D, per value."""


@dataclass(frozen=True)
class Shape:
    """The recipe on Speech Commands; smaller ones for tests."""

    steps: int = 98
    batch: int = 32
    inputs: int = 40
    channels: int = 128
    layers: int = 6
    classes: int = 35
    states: int = 64

    def __str__(self) -> str:
        width = f"{self.inputs}-{self.layers}x{self.channels}-{self.classes}"
        return f"T={self.steps} B={self.batch} {width}, N={self.states}"


class Recursion(S4DKernel):
    """The same response, step by step: ``h_t = exp(dt A) h_{t-1} + (exp(dt A) - 1) / A x_t``."""

    def respond(self, x_BHT: Tensor) -> Tensor:
        """``y_t = 2 Re C h_t``."""
        A_HN = torch.complex(-torch.exp(self.log_A_real), self.A_imag)
        decay_HN = torch.exp(torch.exp(self.log_dt)[:, None] * A_HN)
        C_HN = torch.view_as_complex(self.C).view(A_HN.shape)
        C_HN = C_HN * (decay_HN - 1.0) / A_HN
        h_BHN = torch.zeros(*x_BHT.shape[:2], A_HN.shape[1], dtype=A_HN.dtype)
        y = []
        for x_BH in x_BHT.unbind(-1):
            h_BHN = decay_HN * h_BHN + x_BH[..., None]
            y.append(2.0 * (C_HN * h_BHN).sum(-1).real)
        return torch.stack(y, -1)


def build(model: SSMType, shape: Shape, *, recursive: bool = False, sdn: bool = True) -> Network:
    """The network, with the same weights in every call.

    Args:
        model: S4D or SS4D.
        shape: Its sizes.
        recursive: Compute responses by :class:`Recursion`.
        sdn: Predict the membranes of SS4D; else its neurons run step by step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = [shape.channels] * shape.layers
        network = build_ssm(
            model, shape.inputs, hidden, shape.classes, dropout=0.1, state_size=shape.states
        )
        layers: Any = network[: shape.layers]
        for layer in layers:
            inside = layer.model
            if recursive:
                leading = inside.kernel.C.shape[:-3]
                slow = Recursion(shape.channels, shape.states, dt_max=0.5, leading=tuple(leading))
                slow.load_state_dict(inside.kernel.state_dict())
                inside.kernel = slow
            if not sdn:
                inside.neuron = StepByStep(shape.channels, through_time=True)
    return network


def limit_seconds(model: SSMType, shape: Shape, moving: float, products: float) -> float:
    """What must be moved and multiplied at least, at these rates per second.

    In arrays ``[T, B, H]`` of a block, forward and backward: norm 2 and 3, convolution 2 and 3,
    GELU 2 and 3 (SS4D: predictor 2, neuron 3 and 3), product 3 and 6, GLU 3 and 5, dropout 2 and
    2, the path around 3 and 1. Operations: the products, and four transforms of twice the length.
    """
    values = shape.steps * shape.batch * shape.channels
    arrays = 40 if model == "S4D" else 43
    length = 2 * shape.steps
    transforms = 4 * 2.5 * length * math.log2(length) * shape.batch * shape.channels
    flop = 3 * 2 * values * 2 * shape.channels + transforms
    if model == "SS4D":
        flop += PREDICTOR_FLOP * values
    encoder = 2 * 2 * values * shape.inputs
    return shape.layers * (4 * arrays * values / moving + flop / products) + encoder / products


def measure(model: SSMType, shape: Shape, repeats: int) -> dict[str, Any]:
    """Seconds of each way to compute a step, and the limit."""
    ways = {"ours": build(model, shape), "recursion": build(model, shape, recursive=True)}
    if model == "SS4D":
        ways["own neurons"] = build(model, shape, sdn=False)
    x_TBI = torch.randn(shape.steps, shape.batch, shape.inputs)
    target_B = torch.randint(shape.classes, (shape.batch,))
    contestants = {name: _contestant(net, x_TBI, target_B) for name, net in ways.items()}
    times = interleaved(contestants, repeats, CPU)
    tiny = shape != Shape()
    moving = copy_bandwidth(CPU, COPIED_BYTES // 64 if tiny else COPIED_BYTES)
    products = product_rate(shape.steps * shape.batch, shape.channels, CPU)
    limit = limit_seconds(model, shape, moving, products)
    return {"model": model, "shape": str(shape), **times, "limit": limit}


def table(rows: list[dict[str, Any]], machine: str) -> str:
    """Markdown, in words that stand by themselves."""
    lines = [
        "| model | shape | step | limit | step / limit | recursion | speed-up | neurons by steps |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        ours = row["ours"]
        cells = [
            *(row["model"], row["shape"], duration(ours), duration(row["limit"])),
            f"{ours / row['limit']:.1f}",
            *(duration(row["recursion"]), f"{row['recursion'] / ours:.1f}"),
            duration(row.get("own neurons")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return machine + "\n\n" + "\n".join(lines)


def _contestant(network: Network, x_TBI: Tensor, target_B: Tensor) -> Contestant:
    optimizer = torch.optim.AdamW(parameter_groups(network, 0.005))

    def run() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x_TBI).y, target_B).backward()
        optimizer.step()

    return Contestant(run)
