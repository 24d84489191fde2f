"""A whole training step: a network of the speech baseline, forward, backward and Adam."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.bench import peers
from core.bench.growth import through_origin
from core.bench.limits import COPIED_BYTES, copy_bandwidth, product_rate
from core.bench.loops import index_time
from core.bench.memory import answer, peak_of, row_peak_mb
from core.bench.row import Options
from core.bench.timing import Contestant, interleaved, seconds
from core.bench.workloads import NEURONS, Step
from core.layers import Network, SoftmaxSumReadout, SpikingLayer
from core.layers.dropout import Dropout
from core.neurons import Neuron
from core.scan import Case, choose

#: Seconds of a warm-up that are no reason to stop: gigabytes that are touched for the first time
#: take longer than all that is done with them.
PATIENCE = 60.0


#: Samples that are looked at to set the spike rate of a network, and how often.
SAMPLES, ROUNDS = 16, 20
#: Shift of a normalised current within which every neuron is silent or saturated.
WIDEST = 50.0


def build(step: Step, backend: str) -> Network:
    """The network of a row, the same weights in every call, at the spike rate of the row."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        *widths, classes = step.sizes
        make: Callable[..., Neuron] = NEURONS[step.neuron]
        hidden = [
            SpikingLayer(
                before,
                size,
                partial(make, initial="uniform"),
                recurrent=step.recurrent,
                normalization="batchnorm",
                dropout=step.dropout,
                backend=backend,
            )
            for before, size in itertools.pairwise(widths)
        ]
        readout = SoftmaxSumReadout(
            *(widths[-1], classes),
            normalization="batchnorm",
            initial="uniform",
            backend=backend,
        )
        network = Network(hidden, readout)
    _set_rates(network, step)
    return network


@torch.no_grad()
def _set_rates(network: Network, step: Step) -> None:
    """Shift the batch norm of every hidden layer, one after the other, by bisection."""
    x_TBI, _ = _inputs(replace(step, batch=min(step.batch, SAMPLES)), torch.device("cpu"))
    *hidden, _ = network
    for layer in hidden:
        assert isinstance(layer, SpikingLayer)
        before = {name: value.clone() for name, value in layer.norm.named_buffers()}
        low, high = -WIDEST, WIDEST
        for _ in range(ROUNDS):
            middle = 0.5 * (low + high)
            layer.norm.get_parameter("bias").fill_(middle)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(2)
                spikes_TBH = layer(x_TBI).output_TBH
            # those that dropout took away were spikes, too
            rate = float((spikes_TBH != 0).float().mean()) / (1.0 - step.dropout)
            low, high = (middle, high) if rate < step.spike_rate else (low, middle)
        for name, value in before.items():
            layer.norm.get_buffer(name).copy_(value)
        x_TBI = spikes_TBH


def public_forward(network: Network, x_BTI: Tensor) -> Tensor:
    """Scores ``[B, C]`` with the loop of many public repositories: batch first, ``x[:, t]``."""
    *hidden, readout = network
    assert isinstance(readout, SoftmaxSumReadout)
    for layer in hidden:
        assert isinstance(layer, SpikingLayer)
        assert isinstance(layer.drop, Dropout)
        current_BTH = _normalized(layer.W, layer.norm, x_BTI)
        weight = layer.recurrent_weight()
        spikes_BTH = index_time(layer.neuron, current_BTH, weight, batch_first=True)
        x_BTI = nn.functional.dropout(spikes_BTH, layer.drop.p, network.training)
    current_BTC = _normalized(readout.W, readout.norm, x_BTI)
    potential_BTC = index_time(readout.neuron, current_BTC, None, batch_first=True)
    return torch.softmax(potential_BTC, -1).sum(1)


def _normalized(linear: nn.Linear, norm: nn.Module, x_BTI: Tensor) -> Tensor:
    product = nn.functional.linear(x_BTI, linear.weight)
    normalized: Tensor = norm(product.flatten(0, 1))
    return normalized.view(product.shape)


def flop(step: Step) -> int:
    """Operations of the dense products.

    Per layer forward and the weight's gradient; the input's gradient but for the first layer; the
    backward through recurrent weights. What gathers by spikes is not counted.
    """
    rows = 2 * step.steps * step.batch
    pairs = list(itertools.pairwise(step.sizes))
    total = sum(rows * a * b * (2 if place == 0 else 3) for place, (a, b) in enumerate(pairs))
    if step.recurrent:
        total += sum(rows * size**2 for size in step.sizes[1:-1])
    return total


def bytes_moved(step: Step) -> int:
    """Bytes that must move when each operation reads its inputs and writes its results once.

    In arrays of a hidden layer's ``[T, B, H]``: product 1 (written), norm 2, scan 2, dropout 2,
    read by the next layer 1; backward dropout 2, scan 3, norm 3, the product's two gradients 2
    (read), the gradient that the next layer writes 1. The input is read twice.
    """
    rows = 4 * step.steps * step.batch
    return rows * (2 * step.sizes[0] + 19 * sum(step.sizes[1:-1]))


def measure_step(step: Step, options: Options) -> dict[str, Any]:
    """The row of a step, with the keys of :func:`core.bench.row.measure`."""
    device, repeats = options.device, options.repeats
    contestants = {name: own_contestant(step, name, device) for name in ("auto", "reference")}
    public = options.public_loop and not step.for_growth
    if public and step.public_steps is None:
        contestants["public"] = _public(step, device)
    times = interleaved(contestants, repeats, device, patience=PATIENCE)
    del contestants
    ours, reference = times["auto"], times["reference"]
    network = build(step, "auto").to(device)
    with torch.no_grad():
        spikes = network(_inputs(step, device)[0]).spikes_TBN
    first = network[0]
    assert isinstance(first, SpikingLayer)
    case = Case(first.neuron, spikes[0], first.recurrent_weight())
    width = step.sizes[1]
    products = product_rate(step.steps * step.batch, width, device)
    moving = copy_bandwidth(device, COPIED_BYTES // 64 if step.tiny else COPIED_BYTES)
    limit = bytes_moved(step) / moving + flop(step) / products
    return {
        "workload": step.name,
        "neuron": step.neuron,
        "shape": step.shape,
        "backend": choose(case).name,
        "seconds": ours,
        "reference_seconds": reference,
        "speedup": reference / ours,
        **_public_loop(step, public, times.get("public"), device),
        **{"fastest_peer": None, "peer_seconds": None, "peer_speedup": None},
        **{"jax_agreement": None, "peers": {}},
        "limit_seconds": limit,
        "limit_ratio": ours / limit,
        **_memory(step, device),
        "spike_rate": float(torch.cat([s.flatten() for s in spikes]).mean()),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "bytes_per_second": moving,
        "flop_per_second": products,
        "versions": peers.versions(),
    }


def _public_loop(
    step: Step, asked: bool, median: float | None, device: torch.device
) -> dict[str, Any]:
    """Seconds of the public loop: the median beside the others, or of one pass at each length."""
    if step.public_steps is None or not asked:
        return {"public_loop_seconds": median, "public_loop": "measured" if asked else "not run"}
    points = [
        (steps, seconds(_public(replace(step, steps=steps), device), device))
        for steps in (*step.public_steps, step.steps)
    ]
    a, b = through_origin(points)
    return {
        "public_loop_seconds": points[-1][1],
        "public_loop": "measured",
        "public_loop_points": [list(point) for point in points],
        "public_loop_a": a,
        "public_loop_b": b,
    }


def _memory(step: Step, device: torch.device) -> dict[str, float | None]:
    if step.for_growth or step.tiny:
        return {"peak_mb": None, "reference_peak_mb": None}
    return {
        "peak_mb": step_peak_mb(step, "auto", device),
        "reference_peak_mb": step_peak_mb(step, "reference", device),
    }


def own_contestant(step: Step, backend: str, device: torch.device) -> Contestant:
    """The step with a backend of the scan."""
    network = build(step, backend).to(device)
    x_TBI, target_B = _inputs(step, device)
    return _contestant(network, lambda: network(x_TBI).y, target_B)


def _public(step: Step, device: torch.device) -> Contestant:
    network = build(step, "reference").to(device)
    x_TBI, target_B = _inputs(step, device)
    x_BTI = x_TBI.transpose(0, 1).contiguous()
    return _contestant(network, partial(public_forward, network, x_BTI), target_B)


def _contestant(network: Network, forward: Callable[[], Tensor], target_B: Tensor) -> Contestant:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)

    def run() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(forward(), target_B).backward()
        optimizer.step()

    return Contestant(run)


def _inputs(step: Step, device: torch.device) -> tuple[Tensor, Tensor]:
    """Input ``[T, B, I]`` and labels ``[B]``, the same in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        x_TBI = (torch.rand(step.steps, step.batch, step.sizes[0]) < step.input_rate).float()
        target_B = torch.randint(step.sizes[-1], (step.batch,))
    return x_TBI.to(device), target_B.to(device)


def step_peak_mb(step: Step, backend: str, device: torch.device) -> float | None:
    """Memory of a step above what network and input take, in MB; None on a GPU.

    Raises:
        RunFailed: As :func:`core.bench.memory.fresh_peak_mb`.
    """
    return None if device.type == "cuda" else row_peak_mb("core.bench.steps", step, backend)


def resident_step_peak_mb(step: Step, backend: str) -> float | None:
    """The same of this process, which has run two time steps before."""
    cpu = torch.device("cpu")
    own_contestant(replace(step, steps=2), backend, cpu).run()
    return peak_of(own_contestant(step, backend, cpu).run)


if __name__ == "__main__":
    answer(lambda request: resident_step_peak_mb(Step(**request["row"]), request["backend"]))
