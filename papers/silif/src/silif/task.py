"""The tasks: those of the family, with the bins that the settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from core.paper import Task
from core.spoken import task as spoken
from silif.config import Config

_FOLDERS = {"shd": "SHD", "ssc": "SSC", "sc": "GSC", "hd": "HD"}


def binning(config: Config) -> spoken.Binning:
    """How events become steps: ``nb_steps`` edges from 0 to ``max_time`` s."""
    return spoken.Binning(config.nb_steps, config.max_time, config.spatial_bin)


def shape_of(config: Config) -> tuple[int, int]:
    """Inputs and classes, without data."""
    return spoken.shape_of(config.dataset_name, binning(config))


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> Task:
    """The task of ``config``, whatever the weights of the network.

    Original files that nobody says the place of are taken from ``data/SHD``, ``data/SSC``,
    ``data/GSC`` or ``data/HD`` below the working directory, as by the authors, if it exists.

    Raises:
        UserError: Data missing or damaged.
    """
    here = Path("data") / _FOLDERS[config.dataset_name]
    if config.place is None and here.is_dir():
        config = replace(config, data_folder=here)
    return spoken.load_task(config, binning(config))
