"""``run.json`` of a run folder, and what a row of its ``metrics.jsonl`` says.

Imports nothing heavy: whoever reads the records of a run has to know the same fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from core.errors import UserError
from core.outside.shape import CONFIG_FILE, NAME, check
from core.outside.text import read_json
from core.training.selection import Selects

FACTS: dict[str, Any] = {
    "paper": NAME,
    "task": NAME,
    "model": NAME,
    "config_file": (CONFIG_FILE, None),
    "config_hash": re.compile("[0-9a-f]{8,64}"),
    "command": str,
    "seed": int,
    "commit": (NAME, None),
    "dirty": (bool, None),
    "versions": {"torch": str},
    "device": str,
    "device_name": str,
    "threads": int,
    "backend": str,
    "data": {"name": NAME, "digest": str},
    "parameters": int,
    "started": str,
    "finished": (str, None),
    "status": {"running", "finished", "interrupted", "failed"},
    "epochs_planned": int,
    "epochs_done": int,
    "seconds_per_epoch": (float, None),
    "peak_memory_mb": (float, None),
    "selected_epoch?": (int, None),
    "units?": {str: str},
    "selects?": set(get_args(Selects)),
    "tests?": {"accuracy": (float, None), "accuracy_std": (float, None)},
    "counts?": {str: object},
    "config?": ({str: object}, None),
    "resumed?": [{"after_epoch": (int, None), "commit": (NAME, None), "versions": {str: str}}],
    "warnings?": [{"epoch": int, "what": str}],
    "continued?": [{"epochs_planned": int, "command": str}],
}
"""What ``run.json`` must say."""

METRICS: dict[str, Any] = {
    "epoch": int,
    **dict.fromkeys(
        ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"),
        (float, None),
    ),
    **dict.fromkeys(("sop", "learning_rate", "seconds"), (float, None)),
    "rate?": (float, None),
}
"""What a row of metrics says; accuracies in percent, ``sop`` in spikes per sample.

Only where a task measures it there is a ``rate``, the mean number of spikes per neuron and step.
"""

_FURTHER = re.compile(r"(?:train|val|test)_[a-z_]{1,60}")

UNITS = {
    "accuracy": "%",
    "sop": "spikes per sample",
    "rate": "spikes per neuron and step",
    "layer_rates": "spikes per neuron and step",
    "seconds": "s",
    "peak_memory_mb": "MiB",
}
"""Units in ``metrics.jsonl`` and ``run.json``, by the end of a key; losses are the objective's."""


def kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a row: :data:`METRICS`, and whatever else the objective measured."""
    known = [key for key in (name.removesuffix("?") for name in METRICS) if key in row]
    further = [key for key in row if _FURTHER.fullmatch(key) and key not in known]
    return {key: row[key] for key in [*known, *further]}


def read_facts(run_folder: Path) -> dict[str, Any]:
    """Read and check ``run.json`` of a run folder.

    Raises:
        UserError: It is missing or damaged, or lacks a field.
    """
    path = run_folder / "run.json"
    if not path.exists():
        raise UserError(f"{run_folder} is not a run folder (it has no run.json); check the path")
    facts: dict[str, Any] = check(
        read_json(path),
        FACTS,
        str(path),
        "put back a copy, or start the run again; was it written by this version?",
    )
    if facts["seed"] < 0:  # no run has one, and a record's name could not tell it from another
        raise UserError(f"{path}: seed is {facts['seed']}, which no run has; put back a copy")
    return facts
