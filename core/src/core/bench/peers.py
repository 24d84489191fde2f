"""Other libraries on the same input: the neuron of each that comes nearest, forward and backward.

A library takes part where it is installed. Those of PyTorch only have leaky integrate-and-fire
neurons without adaptation for a given current, so that is what they run in every feed-forward row;
it is less work than ours in the adaptive ones. JAX runs our own equations, see
:mod:`core.bench.jax_peer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from core.bench import jax_peer
from core.bench.timing import Contestant
from core.bench.workloads import Inputs, Workload

NOT_INSTALLED = "not installed"
NO_EQUAL = "no neuron with the same recurrence and equation"
NOT_ON_GPU = "takes part on the CPU only"
#: Least share of equal outputs at which a peer computes the same network.
AGREEMENT = 0.99

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Peer:
    """A library's nearest neuron.

    Attributes:
        name: In the table.
        package: That has to be installed.
        build: ``N`` and device -> a forward from current ``[T, B, N]`` to spikes, and its
            trainable tensors.
    """

    name: str
    package: str
    build: Callable[[int, torch.device], tuple[Forward, list[Tensor]]]


def _snntorch(size: int, device: torch.device) -> tuple[Forward, list[Tensor]]:
    snntorch = import_module("snntorch")
    cell = snntorch.Leaky(beta=torch.full((size,), 0.9), learn_beta=True).to(device)

    def forward(current_TBN: Tensor) -> Tensor:
        potential, spikes = cell.init_leaky(), []
        for current in current_TBN.unbind(0):
            spike, potential = cell(current, potential)
            spikes.append(spike)
        return torch.stack(spikes)

    return forward, list(cell.parameters())


def _norse_sequence(size: int, device: torch.device) -> tuple[Forward, list[Tensor]]:
    layer = import_module("norse.torch").LIF().to(device)
    return lambda current_TBN: layer(current_TBN)[0], []


def _norse_box(size: int, device: torch.device) -> tuple[Forward, list[Tensor]]:
    cell = import_module("norse.torch").LIFBoxCell().to(device)

    def forward(current_TBN: Tensor) -> Tensor:
        state, spikes = None, []
        for current in current_TBN.unbind(0):
            spike, state = cell(current, state)
            spikes.append(spike)
        return torch.stack(spikes)

    return forward, []


def _spikingjelly(size: int, device: torch.device, *, node: str) -> tuple[Forward, list[Tensor]]:
    jelly = import_module("spikingjelly.activation_based")
    kind = getattr(import_module("spikingjelly.activation_based.neuron"), node)
    layer = kind(step_mode="m").to(device)
    reset = import_module(f"{jelly.__name__}.functional").reset_net

    def forward(current_TBN: Tensor) -> Tensor:
        reset(layer)
        spikes: Tensor = layer(current_TBN)
        return spikes

    return forward, list(layer.parameters())


PEERS = (
    Peer("snntorch Leaky", "snntorch", _snntorch),
    Peer("norse LIF", "norse", _norse_sequence),
    Peer("norse LIFBoxCell", "norse", _norse_box),
    Peer("spikingjelly LIFNode", "spikingjelly", partial(_spikingjelly, node="LIFNode")),
    Peer(
        "spikingjelly ParametricLIFNode",
        "spikingjelly",
        partial(_spikingjelly, node="ParametricLIFNode"),
    ),
)
JAX = "jax scan"
PACKAGES = ("snntorch", "norse", "spikingjelly", "jax")


def installed(package: str) -> bool:
    """Whether a package can be imported here."""
    return find_spec(package) is not None


def versions() -> dict[str, str]:
    """PyTorch's version and those of the peers that are installed."""
    found: dict[str, str] = {"torch": str(torch.__version__)}
    for package in PACKAGES:
        if installed(package):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "unknown"
    return found


def torch_contestant(peer: Peer, inputs: Inputs) -> Contestant:
    """Forward and backward of a peer that is written in PyTorch."""
    current = inputs.current_TBH.detach().clone().requires_grad_()
    forward, parameters = peer.build(inputs.neuron.size, current.device)

    def reset() -> None:
        for tensor in (current, *parameters):
            tensor.grad = None

    return Contestant(lambda: forward(current).backward(inputs.gradient_TBH), reset)


@dataclass(frozen=True)
class Field:
    """The peers of one row.

    Attributes:
        contestants: Those that run.
        absent: Name -> why it does not.
        jax_agreement: Share of outputs on which JAX and we agree, None where it did not run.
    """

    contestants: dict[str, Contestant]
    absent: dict[str, str]
    jax_agreement: float | None


def field(workload: Workload, inputs: Inputs, ours_TBH: Tensor) -> Field:
    """The peers that can run a row, each tried once.

    Args:
        workload: The row.
        inputs: Its inputs.
        ours_TBH: Our output, which JAX has to match.
    """
    contestants: dict[str, Contestant] = {}
    absent: dict[str, str] = {}
    agreement = None
    for name, package, build in _candidates(workload, inputs):
        if not installed(package):
            absent[name] = NOT_INSTALLED
        elif isinstance(build, str):
            absent[name] = build
        else:
            try:
                contestant = build()
                contestant.run()
            except Exception as error:  # whatever fails inside a peer is news about the peer
                absent[name] = f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
                continue
            if isinstance(contestant, jax_peer.JaxContestant):
                agreement = float((contestant.output() == ours_TBH.detach().cpu()).float().mean())
                if agreement < AGREEMENT:
                    absent[name] = f"computes other spikes: {agreement:.2%} of its outputs agree"
                    continue
            contestants[name] = contestant
    return Field(contestants, absent, agreement)


def _candidates(workload: Workload, inputs: Inputs) -> Iterator[tuple[str, str, Any]]:
    """Name, package, and how to build it or why not."""
    for peer in PEERS:
        reason = NO_EQUAL if workload.recurrent else partial(torch_contestant, peer, inputs)
        yield peer.name, peer.package, reason
    on_cpu = inputs.current_TBH.device.type == "cpu"
    run = partial(jax_peer.JaxContestant, workload.neuron, inputs)
    yield JAX, "jax", run if on_cpu else NOT_ON_GPU
