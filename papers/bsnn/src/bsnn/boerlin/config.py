"""Settings of ``boerlin.py``; imports nothing heavy, so that ``--help`` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config_ranges import number


@dataclass(frozen=True)
class Sandbox:
    """The flags of the authors' script with its defaults, and ``numerics``."""

    n: int = number(400, least=1, most=16384)
    """Number of neurons."""
    j: int = number(1, least=-1, most=700)
    """Dimensions of the signal; of shd channels from 501 on, 0 for all; of cue always 40."""
    alpha: float = number(0.9999, above=0, below=1)
    """Decay per step of decoder, rates and voltages."""
    data: Literal["float", "shd", "cue"] = "float"
    """Signal: steps of constant value, or spikes of the first sample of a data set."""
    w_init: Literal[
        "boerlin-fix", "boerlin-rand", "rand", "kaiming-normal", "kaiming-uniform", "custom"
    ] = "boerlin-fix"
    """How the decoder is drawn."""
    sigma_v: float = number(1e-5, least=0, most=1e6)
    """Standard deviation of the voltages' noise, per step."""
    sigma_s: float = number(100.0, least=0, most=1e9)
    """Standard deviation of the signal's noise, per step."""
    mu: float = number(0.0, least=0, most=1e6)
    """Quadratic cost of firing rates."""
    nu: float = number(0.0, least=0, most=1e6)
    """Linear cost of firing rates."""
    v_rest: float = number(0.0, least=-1e6, most=1e6)
    """Voltage at the start (there is no other resting state)."""
    v_thresh: float = number(0.5, least=-1e6, most=1e6)
    """Has no effect: thresholds follow from the decoder."""
    input_scale: float = number(200.0, least=0, most=1e9)
    """Value of a spike of shd and cue."""
    weight_sparsity: float = number(0.3, least=0, most=1)
    """Share of zeros in the decoder that w_init rand draws."""
    repeat: int = number(100, least=1, most=100_000)
    """Steps per frame of shd and cue."""
    seed: int = number(0, least=-1, most=2**32 - 1)
    """Decides all that is drawn; -1 for another one each time, which is told."""
    track_balance: bool = False
    """Excitatory and inhibitory currents of plot_neuron, and whether they cancel."""
    auto_encoder: bool = False
    """Leave the slow currents out."""
    numerics: Literal["published", "corrected"] = "published"
    """corrected: slow currents of the theory, silence without decoder, a two-sided verdict."""
    plot_neuron: int = number(0, least=0, most=16383)
    """Neuron whose currents are drawn."""
    plot: bool = False
    """Draw the figure into save_path."""
    plot_dim: int = number(4, least=1, most=700)
    """Most dimensions of the signal that are drawn."""
    plot_input_raster: bool = False
    """Draw the inputs of shd and cue as a raster."""
    save: str = ""
    """Suffix of the figure's name; draws the figure, too."""
    save_path: Path = Path("plots")
    """Folder of the figure."""
    data_folder: Path | None = None
    """Folder of the shd files, embedded or regenerated; by default fetched once and cached."""
