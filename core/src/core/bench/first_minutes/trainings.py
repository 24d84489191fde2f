"""The first steps of real trainings on this device, beside the same steps on the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from core.bench.first_minutes.device import device
from core.bench.timing import synchronise
from core.layers import Layer, Network, SoftmaxSumReadout, SpikingLayer
from core.neurons import BRF, LI, AdLIF, Normal, Uniform
from core.scan.cpu.backend import missing

#: Training steps, of which the first, that compiles, has no time.
STEPS = 10
#: Scale of inputs at which about one step in a hundred of an untrained BRF spikes: without, none.
BEATS, PIXELS = 100.0, 300.0
#: Inputs of ECG and of speech; classes.
ECG, SPEECH, CLASSES = 4, 140, 10


def items(rehearse: bool) -> list[dict[str, Any]]:
    """Networks, the cheapest on the CPU first."""
    shapes = {
        "ECG BRF": (1300, 16, 36),
        "SHD RadLIF": (100, 64, 256),
        "S-MNIST BRF": (784, 32, 256),
    }
    return [
        {"name": name, "steps": steps, "batch": batch, "size": size}
        for name, (steps, batch, size) in (
            dict.fromkeys(shapes, (64, 4, 16)) if rehearse else shapes
        ).items()
    ]


def training(name: str, steps: int, batch: int, size: int) -> dict[str, Any]:
    """Ten losses of a network here and on the CPU, their relative differences, seconds a step.

    The kernels of the GPU stand against those of the CPU where LLVM makes them, else against the
    reference; a rehearsal has none of a GPU and takes both of the CPU. Single spikes flip, and Adam
    steps as far for a gradient that is rounding alone as for any other, so that differences grow:
    ``rounding`` has those of the CPU to itself with weights that begin one rounding away.

    Args:
        name: Of the network: whose inputs, layers and rate of learning.
        steps: ``T``.
        batch: ``B``.
        size: ``H`` of a hidden layer.
    """
    where, cpu = device(), torch.device("cpu")
    theirs = "reference" if where == cpu or missing() is not None else "cpu"
    ours = "auto" if where == cpu else "gpu"
    torch.manual_seed(0)
    x_TBI, targets, data = _DATA[name](steps, batch)
    found, seconds, rate = _losses(name, size, x_TBI, targets, where, ours)
    wanted, others, _ = _losses(name, size, x_TBI, targets, cpu, theirs)
    nudged, *_ = _losses(name, size, x_TBI, targets, cpu, theirs, nudge=2.0**-23)
    return {
        **{"data": data, "cpu_backend": theirs, "losses": found, "cpu_losses": wanted},
        "rate": rate,
        **{"differences": _relative(found, wanted), "rounding": _relative(nudged, wanted)},
        **{"seconds_a_step": seconds, "cpu_seconds_a_step": others},
    }


def _relative(found: list[float], wanted: list[float]) -> list[float]:
    return [abs(a - b) / abs(b) for a, b in zip(found, wanted, strict=True)]


def _losses(
    name: str,
    size: int,
    x_TBI: Tensor,
    targets: Tensor,
    where: torch.device,
    backend: str,
    nudge: float = 0.0,
) -> tuple[list[float], float, float]:
    """Losses, the median time of a step, and the firing rate in the last one."""
    torch.manual_seed(1)  # drawn on the CPU: the same weights everywhere
    network = _NETWORKS[name](x_TBI.shape[2], size, backend).to(where)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.0 + nudge)
    x_TBI, targets = x_TBI.to(where), targets.to(where)
    optimizer = torch.optim.Adam(network.parameters(), lr=_RATES[name])
    losses, seconds = [], []
    for _ in range(STEPS):
        synchronise(where)
        started = time.perf_counter()
        optimizer.zero_grad()
        output = network(x_TBI)
        y = output.y  # [B, C], or [T, B, C] with a target for every step
        loss = nn.functional.cross_entropy(y.flatten(0, -2), targets.expand(y.shape[:-1]).flatten())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        seconds.append(time.perf_counter() - started)
    return losses, statistics.median(seconds[1:]), float(output.firing_rates.detach().mean())


def _brf(
    inputs: int, size: int, backend: str, *, omega: tuple[float, float], tau: tuple[float, float]
) -> Network:
    neuron = BRF(size, omega=Uniform(*omega), b_offset=Uniform(0.1, 1.0))
    hidden = Layer(inputs, neuron, recurrent=True, backend=backend)
    return Network([hidden], Layer(size, LI(CLASSES, tau_mem=Normal(*tau)), backend=backend))


def _radlif(inputs: int, size: int, backend: str) -> Network:
    hidden = [
        SpikingLayer(
            before,
            size,
            partial(AdLIF, initial="zero"),  # devices draw other numbers
            recurrent=True,
            normalization="batchnorm",
            backend=backend,
        )
        for before in (inputs, size)
    ]
    return Network(
        hidden, SoftmaxSumReadout(size, CLASSES, normalization="batchnorm", backend=backend)
    )


def _beats(steps: int, batch: int) -> tuple[Tensor, Tensor, str]:
    """Waves of a tenth of the steps, each with spikes on its own of four channels at a time."""
    length = max(1, steps // 10)
    waves = torch.randint(CLASSES, (-(-steps // length), batch))
    targets_TB = waves.repeat_interleave(length, 0)[:steps]
    rates_CI = 0.3 * torch.rand(CLASSES, ECG)
    spikes_TBI = torch.rand(steps, batch, ECG) < rates_CI[targets_TB]
    return BEATS * spikes_TBI.float(), targets_TB, "drawn"


def _digits(steps: int, batch: int) -> tuple[Tensor, Tensor, str]:
    """Pixels one by one: handwritten digits that come with scikit-learn, else noise."""
    try:
        from core.data.digits import load_digits

        digits = load_digits("train")
        images = torch.from_numpy(digits.images[:batch]).float() / digits.max_value
        targets_B, data = torch.from_numpy(digits.labels[:batch]).long(), "digits of scikit-learn"
    except ImportError:
        images, targets_B = torch.rand(batch, 8, 8), torch.randint(CLASSES, (batch,))
        data = "drawn"
    side = isqrt(steps)
    larger = nn.functional.interpolate(images[:, None], (side, side), mode="bilinear")
    return PIXELS * larger.flatten(1).t()[..., None].contiguous(), targets_B, data


def _words(steps: int, batch: int) -> tuple[Tensor, Tensor, str]:
    """Channels that spike at a rate of their class."""
    targets_B = torch.randint(CLASSES, (batch,))
    rates_CI = 0.1 * torch.rand(CLASSES, SPEECH)
    return (torch.rand(steps, batch, SPEECH) < rates_CI[targets_B]).float(), targets_B, "drawn"


_DATA: dict[str, Callable[[int, int], tuple[Tensor, Tensor, str]]] = {
    "ECG BRF": _beats,
    "SHD RadLIF": _words,
    "S-MNIST BRF": _digits,
}
_NETWORKS: dict[str, Callable[[int, int, str], Network]] = {
    "ECG BRF": partial(_brf, omega=(3.0, 5.0), tau=(20.0, 1.0)),
    "SHD RadLIF": _radlif,
    "S-MNIST BRF": partial(_brf, omega=(15.0, 50.0), tau=(20.0, 5.0)),
}
#: Of learning, as published.
_RATES = {"ECG BRF": 0.1, "SHD RadLIF": 0.01, "S-MNIST BRF": 0.1}
