"""Networks of balanced neurons at the length of their task, on ``auto`` beside ``reference``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.bench.memory import answer, fresh_peak_mb, peak_of
from core.bench.row import REFERENCE
from core.bench.table import duration
from core.bench.timing import Contestant, interleaved
from core.layers import SoftmaxSumReadout
from core.neurons import BalancedLIF
from core.neurons.balanced import Firing
from core.projection import project
from core.records.grid import grid
from core.records.readme import update_between_markers
from core.scan import Case, choose, scan
from core.training.devices import choose_device, here

BLOCK = "balanced networks"
REPEAT = 4
"""Steps per step of the data."""
DECAY = 1.0 / (2000.0 * REPEAT)
"""``1 - alpha``, nearly."""
INPUT_RATE, INPUT_SCALE = 0.0063, 200.0


class Size(NamedTuple):
    """``T``, ``B``, inputs, hidden neurons, classes."""

    steps: int
    batch: int
    inputs: int
    hidden: int
    classes: int


SIZE = Size(9000, 30, 40, 100, 2)


@dataclass(frozen=True)
class Experiment:
    """How a network starts, and what of it is trained besides the weight of its readout.

    Attributes:
        firing: Of its neurons.
        balance: Recurrent weights and thresholds from the input weights, no reset where they are
            fixed; else orthogonal ones and 1.
        slow: With a fixed slow current.
        weights: Input and recurrent weights are trained.
        decays: Those of the hidden neurons and of the readout are trained.
    """

    firing: Firing
    balance: bool
    slow: bool
    weights: bool
    decays: bool

    @property
    def trained(self) -> str:
        """For the table."""
        return ", ".join(["W, V"] * self.weights + ["decays"] * self.decays + ["readout"])


EXPERIMENTS = {
    "multi-spike": Experiment("multi", False, False, True, True),
    "single-spike": Experiment("single_published", False, False, True, True),
    "LSM": Experiment("single_published", True, False, False, False),
    "slow currents": Experiment("single_published", True, True, False, True),
    "all trained": Experiment("single_published", True, False, True, True),
}
"""The five of the paper's first experiments."""


class BalancedNetwork(nn.Module):
    """``W x_t``, recurrent balanced neurons from rest, a softmax-sum readout."""

    def __init__(self, experiment: Experiment, size: Size) -> None:
        super().__init__()
        torch.manual_seed(0)
        bound, shape = DECAY / 0.001, (size.hidden, size.inputs)
        W = (torch.rand(shape) < 0.7) * bound * (2.0 * torch.rand(shape) - 1.0)
        gram = W @ W.t()
        V = nn.init.orthogonal_(torch.empty(size.hidden, size.hidden))
        slow = 0.2 * V.clone().fill_diagonal_(0.0)
        if experiment.balance:
            V = -(0.3 if experiment.slow else 1.0) * gram / DECAY
        self.slow = slow if experiment.slow else None
        self.W = nn.Parameter(W, requires_grad=experiment.weights)
        self.V = nn.Parameter(V, requires_grad=experiment.weights)
        self.neuron = BalancedLIF(
            size.hidden,
            alpha=torch.full((size.hidden,), 1.0 - DECAY) if experiment.balance else None,
            train_alpha=experiment.decays,
            threshold=0.5 * gram.diag() if experiment.balance else 1.0,
            repeat=REPEAT,
            reset="spike" if experiment.weights else "none",
            firing=experiment.firing,
        )
        self.readout = SoftmaxSumReadout(size.hidden, size.classes)
        for parameter in self.readout.neuron.parameters():
            parameter.requires_grad_(experiment.decays)

    def case(self, x_TBI: Tensor) -> Case:
        """What its hidden layer runs."""
        V = self.V.clone().fill_diagonal_(0.0) if self.V.requires_grad else self.V
        pathways = {} if self.slow is None else {"trace": self.slow.t()}
        return Case(self.neuron, project(x_TBI, self.W, None), V.t(), None, pathways)

    def spikes(self, x_TBI: Tensor, backend: str) -> Tensor:
        """``[T, B, H]``."""
        case = self.case(x_TBI)
        return scan(
            case.neuron,
            case.current_TBN,
            recurrent_weight=case.recurrent_weight,
            pathways=case.pathways,
            backend=backend,
            spend_current=True,
        )[0]

    def run(self, x_TBI: Tensor, target_B: Tensor, backend: str) -> None:
        """Forward and backward."""
        self.readout.backend = backend
        scores_BC = self.readout(self.spikes(x_TBI, backend)).y_BC
        nn.functional.cross_entropy(scores_BC, target_B).backward()


def made(name: str, size: Size) -> tuple[BalancedNetwork, Tensor, Tensor]:
    """A network of :data:`EXPERIMENTS`, input as sparse as the cue task's, and classes."""
    network = BalancedNetwork(EXPERIMENTS[name], size)
    slow_TBI = torch.rand(-(-size.steps // REPEAT), size.batch, size.inputs) < INPUT_RATE
    x_TBI = INPUT_SCALE * slow_TBI.float().repeat_interleave(REPEAT, 0)[: size.steps]
    return network, x_TBI, torch.randint(size.classes, (size.batch,))


def balanced_networks(*, repeats: int, threads: int, readme: Path | None, size: Size = SIZE) -> str:
    """Forward and backward of the five networks on ``auto`` and ``reference``, as a table.

    Args:
        repeats: Timed passes of each, of which the median counts.
        threads: Processor threads.
        readme: File with the markers of the table, which is then written there, too.
        size: Of all of them.

    Raises:
        UserError: A file without the markers.
        RunFailed: The process that measures memory failed.
    """
    if readme is not None:
        update_between_markers(readme, BLOCK, "", write=False)
    device = choose_device("cpu", threads)
    rows = [_row(name, size, repeats, device) for name in EXPERIMENTS]
    text = grid(tuple(rows[0]), rows) + (
        f"\n\nT={size.steps} B={size.batch} {size.inputs}-{size.hidden}-{size.classes}; "
        f"{here(device)}, forward and backward, medians of {repeats}"
    )
    if hasattr(os, "getloadavg"):
        text += f", while the machine's load was {os.getloadavg()[0]:.1f}"
    if readme is not None:
        update_between_markers(readme, BLOCK, text)
    return text


def _row(name: str, size: Size, repeats: int, device: torch.device) -> dict[str, str]:
    network, x_TBI, target_B = made(name, size)
    with torch.no_grad():
        auto = choose(network.case(x_TBI)).name
        rate = float(network.spikes(x_TBI, auto).mean())
    backends = dict.fromkeys((auto, REFERENCE))
    contestants = {
        backend: Contestant(partial(network.run, x_TBI, target_B, backend), network.zero_grad)
        for backend in backends
    }
    times = interleaved(contestants, repeats, device)
    peaks = {backend: _peak_mb(name, size, backend) for backend in backends}
    return {
        "network": name,
        "trained": EXPERIMENTS[name].trained,
        "auto takes": auto,
        "auto": duration(times[auto]),
        "reference": duration(times[REFERENCE]),
        "speed-up": f"{times[REFERENCE] / times[auto]:.1f}",
        "peak MB": _count(peaks[auto]),
        "reference MB": _count(peaks[REFERENCE]),
        "steps with a spike": f"{rate:.1e}",
    }


def _count(megabytes: float | None) -> str:
    return "" if megabytes is None else f"{megabytes:.0f}"


def _peak_mb(name: str, size: Size, backend: str) -> float | None:
    request = {"name": name, "size": size, "backend": backend, "threads": torch.get_num_threads()}
    return fresh_peak_mb("core.bench.balanced", request, f"{name} ({backend})")


def _pass(name: str, size: Size, backend: str) -> Callable[[], object]:
    network, x_TBI, target_B = made(name, size)
    return lambda: network.run(x_TBI, target_B, backend)


def _asked(request: Any) -> float | None:
    name, size, backend = request["name"], Size(*request["size"]), request["backend"]
    _pass(name, size._replace(steps=REPEAT), backend)()
    return peak_of(_pass(name, size, backend))


if __name__ == "__main__":
    answer(_asked)
