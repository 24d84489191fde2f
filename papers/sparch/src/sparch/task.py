"""The tasks of the paper: those of the family, its binning the default."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from core.paper import Task
from core.spoken import task as spoken
from sparch.config import Config

BINNING = spoken.Binning()
"""99 bins of 1.4 / 99 s and all 700 channels."""
SHAPES = {name: spoken.shape_of(name, BINNING) for name in spoken.CLASSES}
"""Inputs and classes of every data set."""


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> Task:
    """The task of ``config``, whatever the weights of the network.

    Raises:
        UserError: Data missing or damaged.
    """
    return spoken.load_task(config, BINNING)
