"""The tasks: those of the family, with the bins that the settings ask for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from core.paper import Task
from core.spoken import task as spoken
from silif.config import Config


def binning(config: Config) -> spoken.Binning:
    """How events become steps: ``nb_steps`` edges from 0 to ``max_time`` s."""
    return spoken.Binning(config.nb_steps, config.max_time, config.spatial_bin)


def shape_of(config: Config) -> tuple[int, int]:
    """Inputs and classes, without data."""
    return spoken.shape_of(config.dataset_name, binning(config))


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> Task:
    """The task of ``config``, whatever the weights of the network.

    Raises:
        UserError: Data missing or damaged.
    """
    return spoken.load_task(config, binning(config))
