"""Recorded runs and kept weights by configuration, for figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.config import load_yaml
from core.outside.shape import inside
from core.paper import read_own
from core.records import Record, load_manifest, load_records
from core.records.changes import on_embedded_data
from core.records.grid import grid, mean_and_deviation
from plif.config import PAPER, Config
from plif.models import SpikingNet
from plif.paper import PLIF, network
from plif.sets import empty_task

BLOCK = "plif small"
"""Where the README shows :func:`accuracy_table`."""
_SETS = {
    "MNIST": ("small_mnist", ""),
    "Fashion-MNIST": ("small_fashion", ""),
    "N-MNIST, subset": ("small_nmnist", ""),
    "Fashion-MNIST, tau0 16": ("small_fashion", "_tau16"),
}
_MODELS = {
    "LIF, fixed": "lif",
    "PLIF, one per layer": "plif",
    "one per neuron": "plif_neuron",
    "one per neuron, lambda 0.1": "plif_neuron_reg",
}


@dataclass(frozen=True)
class Group:
    """The runs of one configuration file.

    Attributes:
        stem: Of the file.
        config: What it says.
        accuracy: ``[runs, epochs]``, of the test set in percent, as far as all of them are.
        selected: ``[finished runs]``, that of the selected epoch.
    """

    stem: str
    config: Config
    accuracy: NDArray[np.float64]
    selected: NDArray[np.float64]

    @property
    def epochs(self) -> NDArray[np.int64]:
        """From 1 on."""
        return np.arange(1, self.accuracy.shape[1] + 1)


def is_small(stem: str) -> bool:
    """Whether a configuration file is of the small networks, which are not the paper's."""
    return stem.startswith("small_")


def recorded(paper: Path = PAPER) -> Sequence[Group]:
    """All configuration files with runs, as the file says and on its data, in order of the names.

    Raises:
        UserError: Records are damaged.
    """
    runs: dict[str, list[Record]] = {}
    for record in load_records(paper):
        file = record.fields.get("config_file")
        if record.kind != "train" or file is None or record.changes or record.superseded:
            continue
        if not on_embedded_data(record.fields):
            runs.setdefault(str(file), []).append(record)
    groups = []
    for file, records in sorted(runs.items()):
        curves = [_test_accuracy(record) for record in records]
        shortest = min(map(len, curves))
        if shortest:
            accuracy = np.array([curve[:shortest] for curve in curves])
            done = [record for record in records if record.status == "finished"]
            selected = np.array([record.fields["best"]["test_accuracy"] for record in done])
            config = load_yaml(Config, paper / file)
            groups.append(Group(Path(file).stem, config, accuracy, selected))
    return groups


def _test_accuracy(record: Record) -> list[float]:
    """By epoch, from the first that was trained."""
    values = [row["test_accuracy"] for row in record.curve if row["epoch"]]
    return [value for value in values if value is not None]


def accuracy_table(groups: Sequence[Group]) -> str:
    """Test accuracy at the selected epoch of the small networks: data sets by neurons."""
    selected = {group.stem: group.selected for group in groups}
    rows = []
    for name, (prefix, suffix) in _SETS.items():
        row = {"test accuracy (%)": name}
        for model, neurons in _MODELS.items():
            values = selected.get(f"{prefix}_{neurons}{suffix}", np.array([]))
            shown = mean_and_deviation(list(values), 2)
            row[model] = f"{shown} ({len(values)} runs)" if len(values) else "not run"
        rows.append(row)
    return grid(tuple(rows[0]), rows)


@dataclass(frozen=True)
class Kept:
    """Weights that are kept: of which file and epoch, and what the run was told."""

    stem: str
    name: str
    epoch: int
    config: Config
    weights: Mapping[str, Any]


def kept(paper: Path = PAPER) -> Sequence[Kept]:
    """All kept weights of runs as their file says, by configuration file and seed.

    Raises:
        UserError: They are damaged.
    """
    found = []
    for entry in sorted(load_manifest(paper), key=lambda e: (str(e["config"]), int(e["seed"]))):
        if entry["config"] is None or "changed" in entry:
            continue
        path = inside(paper / "checkpoints", entry["file"])
        loaded = read_own(PLIF, path)
        config = replace(loaded.config, threads=1)
        stem = Path(str(entry["config"])).stem
        found.append(Kept(stem, path.stem, int(entry["epoch"]), config, loaded.weights))
    return found


def trained(one: Kept) -> SpikingNet:
    """Their network."""
    model = network(one.config, empty_task(one.config.dataset_name))
    model.load_state_dict(dict(one.weights))
    return model.eval()
