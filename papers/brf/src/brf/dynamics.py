"""What single neurons do, from their equations alone: the paper's Figures 1 to 3.

Three neurons of the same frequency are given the same pulses, once at the period of their
oscillation, so that one adds to the other, and once between two periods, where they cancel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from core.neurons import BRF, HRF, RF
from core.neurons.resonate import Resonator
from core.plots import figure
from core.records.pictures import Drawn
from core.scan import scan

OMEGA = 10.0
"""Of all neurons, rad/s."""
B_OFFSET = 1.0
"""Of all neurons, 1/s."""
DT = 0.01
STEPS = 500
PULSES = 6
RISE = 0.7
"""Of ``u`` by one pulse; the threshold at rest is 1."""
FREQUENCIES = (10.0, 20.0, 40.0)
"""Of the neurons whose response is drawn, rad/s."""
KINDS = ("RF", "BRF", "BHRF")


def neuron_dynamics(path: Path) -> Drawn:
    """Membrane and threshold over time, the membrane's plane, and the response to frequencies."""
    period = 2 * np.pi / OMEGA / DT
    inputs = {"in phase": pulses(period), "out of phase": pulses(1.5 * period)}
    with figure(path, width=10.0, height=7.6) as fig:
        grid = fig.subplots(3, 3, width_ratios=[1.6, 1.6, 1.0])
        for kind, row in zip(KINDS, grid, strict=True):
            neuron = one_neuron(kind)
            for axes, (phase, current_T) in zip(row[:2], inputs.items(), strict=True):
                u, threshold, spikes, v = membrane(neuron, current_T)
                _over_time(axes, current_T, u, threshold, spikes)
                axes.set_title(f"{kind}, pulses {phase}: {int(spikes.sum())} spikes")
                if phase == "in phase" and kind != "BHRF":
                    _plane(row[2], u, v, spikes)
        _response(grid[2, 2])
        grid[0, 1].legend(loc="upper right", fontsize=8, ncols=2)
        grid[0, 2].set_title("plane of the membrane, in phase")
        grid[2, 2].set_title("response of RF")
        for axes in grid[2, :2]:
            axes.set_xlabel("time (s)")
    return Drawn(
        path,
        f"Dynamics of single neurons of {OMEGA:g} rad/s (damping offset {B_OFFSET:g}/s) under six "
        "pulses at their own period and at one and a half of it: real part u, threshold, spikes; "
        "at the right the plane of the membrane under pulses in phase, and the mean amplitude of "
        "RF neurons under spikes of a frequency. RF goes on firing while it oscillates; in BRF "
        "a spike raises threshold and damping",
    )


def one_neuron(kind: str) -> Resonator:
    """One of :data:`KINDS`."""
    neuron = {"RF": RF, "BRF": BRF, "BHRF": HRF}[kind]
    return neuron(1, omega=OMEGA, b_offset=B_OFFSET, dt=DT)


def pulses(every: float) -> Tensor:
    """``[T]``: :data:`PULSES` pulses, one ``every`` so many steps."""
    current_T = torch.zeros(STEPS)
    current_T[(10 + torch.arange(PULSES) * every).round().long()] = RISE / DT
    return current_T


def membrane(neuron: Resonator, current_T: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``u``, its threshold, spikes and ``v`` of one neuron, each ``[T]``."""
    fields = ("u", "v", "q") if "q" in neuron.State._fields else ("u", "v")
    with torch.no_grad():
        spikes, _, traces = scan(neuron, current_T[:, None, None], record=fields)
    found = {name: trace[:, 0, 0] for name, trace in traces.items()}
    q = found.get("q", torch.zeros(STEPS))
    # a spike is judged by the refractory variable of the step before
    threshold = 1.0 + torch.cat([torch.zeros(1), q[:-1]])
    return found["u"], threshold, spikes[:, 0, 0], found["v"]


def response(omega: float, frequencies_F: np.ndarray, *, seconds: float = 20.0) -> np.ndarray:
    """Mean ``|u|`` of an RF neuron under unit spikes of every frequency (rad/s), ``[F]``."""
    dt = 0.001
    neuron = RF(1, omega=omega, b_offset=B_OFFSET, dt=dt)
    time_T = np.arange(round(seconds / dt)) * dt
    turns_TF = time_T[:, None] * frequencies_F / (2 * np.pi)
    starts_TF = np.diff(np.floor(turns_TF), axis=0, prepend=-1.0) > 0
    current_TFN = torch.from_numpy(starts_TF).float()[..., None] / dt
    with torch.no_grad():
        _, _, traces = scan(neuron, current_TFN, record=("u",))
    amplitude: np.ndarray = traces["u"][..., 0].abs().mean(0).numpy()
    return amplitude


def _over_time(axes: Axes, current_T: Tensor, u: Tensor, threshold: Tensor, spikes: Tensor) -> None:
    time = np.arange(STEPS) * DT
    axes.plot(time, u, color="C1", label="u")
    axes.plot(time, threshold, color="#444444", linestyle="--", linewidth=1.0, label="threshold")
    bottom, top = -1.15 * max(1.4, -float(u.min())), 1.15 * max(1.8, float(u.max()))
    axes.plot(time[spikes > 0], np.full(int(spikes.sum()), top), "|", color="C0", label="spikes")
    axes.plot(
        time[current_T > 0],
        np.full(int((current_T > 0).sum()), bottom),
        "^",
        color="#777777",
        markersize=5,
        label="pulses",
    )
    axes.set(xlim=(0, STEPS * DT), ylim=(bottom * 1.1, top * 1.08))


def _plane(axes: Axes, u: Tensor, v: Tensor, spikes: Tensor) -> None:
    axes.plot(u, v, color="C1", linewidth=1.0)
    fired = spikes > 0
    axes.plot(u[fired], v[fired], ".", color="C0", markersize=4)
    axes.axvline(1.0, color="#444444", linestyle="--", linewidth=1.0)
    axes.set(xlabel="u", ylabel="v")
    axes.set_aspect("equal", adjustable="datalim")


def _response(axes: Axes) -> None:
    frequencies_F = np.geomspace(1.0, 100.0, 150)
    for index, omega in enumerate(FREQUENCIES):
        amplitude_F = response(omega, frequencies_F)
        axes.plot(frequencies_F, amplitude_F, color=f"C{index}", label=f"ω = {omega:g}")
    axes.set(xscale="log", yscale="log", xlabel="input (rad/s)", ylabel="mean |u|")
    axes.legend(fontsize=8)
