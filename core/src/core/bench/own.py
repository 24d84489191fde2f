"""What the engine gives for a neuron of the reader's own: one it has never heard of, timed."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from core.bench.loops import backend_output, contestant
from core.bench.row import REFERENCE
from core.bench.table import duration
from core.bench.timing import interleaved
from core.bench.workloads import Inputs
from core.neurons import Neuron, Normal
from core.neurons.decay import keep_factor
from core.records.grid import grid
from core.records.readme import update_between_markers
from core.scan import Case, choose
from core.surrogates import double_gaussian
from core.training.devices import choose_device, here

BLOCK = "own neuron"
SIZES = ((100, 32, 64), (250, 64, 256), (500, 64, 512))
"""``T``, ``B``, ``H``."""
_DRIVE = 0.35


class SynapseState(NamedTuple):
    """Fields ``[B, H]`` of the state."""

    spike: Tensor
    synapse: Tensor
    potential: Tensor


class Coefficients(NamedTuple):
    """Decays ``[H]`` per step."""

    alpha: Tensor
    beta: Tensor


class SynapticLIF(Neuron):
    """i_t = beta i + I_t;  u_t = alpha (1 - z_{t-1}) u + (1 - alpha) i_t;  z_t = Theta(u_t - 1).

    The example of core's README, which is not among core's neurons.
    """

    State = SynapseState
    tau_mem: Tensor
    tau_syn: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.add_coefficient("tau_mem", Normal(20.0, 5.0))
        self.add_coefficient("tau_syn", Normal(5.0, 1.0))

    def coefficients(self) -> Coefficients:
        """Both decays from their time constants."""
        return Coefficients(
            keep_factor(self.tau_mem, "exponential"), keep_factor(self.tau_syn, "exponential")
        )

    def step(
        self, coefficients: Coefficients, state: SynapseState, current: Tensor
    ) -> tuple[SynapseState, Tensor]:
        """One time step."""
        alpha, beta = coefficients
        synapse = beta * state.synapse + current
        potential = alpha * (1 - state.spike) * state.potential + (1 - alpha) * synapse
        spike = double_gaussian(potential - 1.0)
        return SynapseState(spike, synapse, potential), spike


def own_neuron(*, repeats: int, threads: int, device: str, readme: Path | None) -> str:
    """Forward and backward of three sizes, ``auto`` beside ``reference``, as a Markdown table.

    Args:
        repeats: Timed passes of each, of which the median counts.
        threads: Processor threads.
        device: ``cpu`` or a GPU.
        readme: File with the markers of the table, which is then written there, too.

    Raises:
        UserError: An unknown device; a file without the markers.
    """
    if readme is not None:
        update_between_markers(readme, BLOCK, "", write=False)
    chosen = choose_device(device, threads)
    rows = [_row(size, repeats, chosen) for size in SIZES]
    text = grid(tuple(rows[0]), rows)
    text += f"\n\n{here(chosen)}, forward and backward, medians of {repeats}"
    if hasattr(os, "getloadavg"):
        text += f", while the machine's load was {os.getloadavg()[0]:.1f}"
    if readme is not None:
        update_between_markers(readme, BLOCK, text)
    return text


def _row(size: tuple[int, int, int], repeats: int, device: torch.device) -> dict[str, str]:
    steps, batch, neurons = size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        neuron = SynapticLIF(neurons).to(device)
        current = (_DRIVE * torch.randn(size) + _DRIVE / 2).to(device).requires_grad_()
        ours = Inputs(neuron, current, None, torch.randn(size).to(device))
    auto = choose(Case(neuron, current, None)).name
    rate = float(backend_output(ours, auto).detach().mean())
    times = interleaved(
        {
            name: contestant(ours, partial(backend_output, backend=name))
            for name in dict.fromkeys((auto, REFERENCE))
        },
        repeats,
        device,
    )
    return {
        "T, B, H": f"{steps}, {batch}, {neurons}",
        "auto takes": auto,
        "auto": duration(times[auto]),
        "reference": duration(times[REFERENCE]),
        "speed-up": f"{times[REFERENCE] / times[auto]:.1f}",
        "steps with a spike": f"{rate:.1%}",
    }
