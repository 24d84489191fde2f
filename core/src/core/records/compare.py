"""Runs side by side, straight from their folders: a table by group, and curves with bands.

Runs belong to one group when they have the same settings but for the seed and for where and how
they were computed.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.records.grid import grid, mean_and_deviation, rounded
from core.records.runs import PLACE_KEYS, read_config, read_metrics, selected
from core.training.run_facts import read_facts

_COLUMNS = (
    *("runs of", "data", "n", "epochs", "test accuracy, selected (%)", "last epoch (%)"),
    *("spikes per sample", "s per epoch"),
)
PICTURES = (".png", ".pdf", ".svg")
"""Endings of pictures."""
_FREE = {"seed", "device", "threads", "backend", *PLACE_KEYS}


@dataclass(frozen=True)
class RunRead:
    """What a run folder says.

    Attributes:
        folder: Where it is.
        facts: ``run.json``.
        settings: What results depend on, without the seed.
        curve: Rows of ``metrics.jsonl``.
    """

    folder: Path
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    curve: Sequence[Mapping[str, Any]]

    @property
    def stem(self) -> str:
        """Name of its configuration, or of task and model."""
        file = self.facts["config_file"]
        return Path(file).stem if file else f"{self.facts['task']}_{self.facts['model']}"


def read_runs(places: Sequence[Path]) -> list[RunRead]:
    """Read run folders, and all run folders directly below other folders.

    Of the latter, runs that have not evaluated anything yet are left out.

    Raises:
        UserError: A folder holds no run, or a damaged one.
    """
    folders: dict[Path, None] = {}
    for place in places:
        if (place / "run.json").is_file():
            folders[place.resolve()] = None
            continue
        below = sorted(path.parent for path in place.glob("*/run.json")) if place.is_dir() else []
        if not below:
            raise UserError(f"{place} is no run and holds none (no run.json); check the path")
        begun = [path for path in below if _has_rows(path)] or below[:1]  # which says what it lacks
        folders |= dict.fromkeys(path.resolve() for path in begun)
    return [_read(folder) for folder in folders]


def _has_rows(folder: Path) -> bool:
    metrics = folder / "metrics.jsonl"
    return metrics.is_file() and metrics.stat().st_size > 0


def _read(folder: Path) -> RunRead:
    facts = read_facts(folder)
    config = read_config(folder / "config.yaml")
    settings = {key: value for key, value in config.items() if key not in _FREE}
    return RunRead(folder, facts, settings, read_metrics(folder, "partial"))


def grouped(runs: Sequence[RunRead]) -> dict[str, list[RunRead]]:
    """Runs by group; a label names the configuration, and what else tells groups apart."""
    groups: list[list[RunRead]] = []
    for run in runs:
        for group in groups:
            if _alike(group[0], run):
                group.append(run)
                break
        else:
            groups.append([run])
    return {_label(group[0], [g[0] for g in groups]): group for group in groups}


def _alike(one: RunRead, other: RunRead) -> bool:
    return (
        one.stem == other.stem
        and one.settings == other.settings
        and one.facts["data"] == other.facts["data"]
    )


def _label(run: RunRead, firsts: Sequence[RunRead]) -> str:
    others = [first for first in firsts if first is not run and first.stem == run.stem]
    keys = sorted(
        {
            key
            for other in others
            for key in run.settings.keys() | other.settings.keys()
            if run.settings.get(key) != other.settings.get(key)
        }
    )
    same = any(other.settings == run.settings for other in others)
    data = [str(run.facts["data"]["name"])] if same else []
    return ", ".join([run.stem, *(f"{key} {run.settings.get(key)}" for key in keys), *data])


def comparison_markdown(groups: Mapping[str, Sequence[RunRead]]) -> str:
    """One row a group: mean and standard deviation (n-1) over its runs."""
    return grid(_COLUMNS, [_cells(label, runs) for label, runs in groups.items()])


def _cells(label: str, runs: Sequence[RunRead]) -> dict[str, str]:
    chosen = [selected(run.curve, run.facts.get("selects", "val_loss")) or {} for run in runs]
    last = [run.curve[-1] for run in runs]
    seconds = [s for run in runs if (s := run.facts["seconds_per_epoch"]) is not None]
    epochs = sorted({int(row["epoch"]) for row in last})
    return {
        "runs of": label,
        "data": ", ".join(sorted({str(run.facts["data"]["name"]) for run in runs})),
        "n": str(len(runs)),
        "epochs": " to ".join(str(count) for count in dict.fromkeys([epochs[0], epochs[-1]])),
        "test accuracy, selected (%)": mean_and_deviation(
            [row.get("test_accuracy") for row in chosen], 2
        ),
        "last epoch (%)": mean_and_deviation([row["test_accuracy"] for row in last], 2),
        "spikes per sample": mean_and_deviation([row.get("sop") for row in chosen], 1),
        "s per epoch": rounded(statistics.fmean(seconds), 1) if seconds else "",
    }


def draw_comparison(groups: Mapping[str, Sequence[RunRead]], path: Path | None = None) -> Path:
    """Test accuracy per epoch, mean and band of every group.

    Args:
        groups: From :func:`grouped`.
        path: picture to write; by default ``comparison.png`` in the folder all runs lie in.

    Raises:
        UserError: ``path`` is a folder, or has another ending than those of :data:`PICTURES`.
    """
    from core.plots import compare_curves  # matplotlib takes a second to import

    if path is not None and (path.is_dir() or path.suffix not in PICTURES):
        raise UserError(f"{path} is no name of a picture; let it end in {', '.join(PICTURES)}")
    if path is None:
        parents = [run.folder.parent for runs in groups.values() for run in runs]
        path = Path(os.path.commonpath(parents)) / "comparison.png"
    return compare_curves({k: [r.curve for r in runs] for k, runs in groups.items()}, path)
