"""Settings of the paper's experiments; imports nothing heavy, so that ``--help`` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config_ranges import number
from core.settings import Settings

PAPER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Config(Settings):
    """Settings of a run; the files in ``configs/`` hold the paper's recipes."""

    hidden: int = number(64, least=1, most=16384)
    """Number of hidden neurons."""
    lr: float = number(0.01, above=0, most=1e4)
    """Learning rate of the first epoch; it falls linearly to lr / epochs in the last."""
    batch_size: int = number(32, least=1, most=10**6)
    """Sequences per training step."""
    epochs: int = number(10, least=0, most=10**6)
    """Training epochs."""
    clip_norm: float | None = number(None, above=0, most=1e6)
    """Largest global gradient norm; none for no clipping."""
    val_fraction: float = number(0.1, above=0, below=1)
    """Part of the training data held out to select the epoch."""
    data: Literal["embedded"] = "embedded"
    """The digits that come with scikit-learn; drop this line once the task has its own data."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return "digits"

    @property
    def model(self) -> str:
        """Name of the hidden neurons."""
        return "lif"


CONFIGS: dict[str, type[Config]] = {"digits": Config}
"""By the name of the task."""
