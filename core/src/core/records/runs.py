"""Reads the folder a run wrote and makes of it the line that is recorded."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from core.errors import UserError
from core.training.selection import Selects, best_row, selection_name

RUN_KEYS = (
    *("paper", "task", "model", "config_file", "config_hash", "command", "seed", "commit"),
    *("dirty", "versions", "device", "device_name", "threads", "backend", "data", "parameters"),
    *("started", "finished", "status", "epochs_planned", "epochs_done", "seconds_per_epoch"),
    "peak_memory_mb",
)
"""What ``run.json`` must say."""

METRIC_KEYS = (
    *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss"),
    *("test_accuracy", "sop", "learning_rate", "seconds"),
)
"""What a line of ``metrics.jsonl`` says; accuracies in percent, ``sop`` in spikes per sample."""

OPTIONAL_METRIC_KEYS = ("rate",)
"""Said only where a task measures it: ``rate`` is the mean number of spikes per neuron and step."""

PLACE_KEYS = ("data_folder", "load_exp_folder", "mirror", "out", "resume")
"""Settings that name a place on one machine; they are not recorded."""

SELECTS: tuple[Selects, ...] = get_args(Selects)
"""What ``run.json`` may say of the epoch whose weights are best; the loss where it says nothing."""

# How a run ended -> whether it can go on.
_STATUS = {
    "finished": "finished",
    "running": "partial",
    "interrupted": "partial",
    "failed": "failed",
}


def read_run(run_folder: Path) -> dict[str, Any]:
    """Read and check ``run.json`` of a run folder.

    Raises:
        UserError: it is missing, not JSON, or lacks a field.
    """
    path = run_folder / "run.json"
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give the folder of a run") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if missing := [key for key in RUN_KEYS if key not in run]:
        raise UserError(f"{path} lacks {', '.join(missing)}: was it written by this version?")
    if run["status"] not in _STATUS:
        raise UserError(
            f"{path}: status is {run['status']!r}, expected one of {', '.join(_STATUS)}"
        )
    return run


def read_metrics(run_folder: Path, status: str) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``: one row per epoch, in order; what is not finite becomes None.

    An epoch that was written twice (a kill between the line and the checkpoint, then a resume)
    counts once, as last written. A torn last line is left out unless the run is finished.

    Raises:
        UserError: the file is missing, empty or broken.
    """
    path = run_folder / "metrics.jsonl"
    if not path.is_file():
        raise UserError(f"{path} does not exist: the run has not evaluated anything yet")
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            optional = (key for key in OPTIONAL_METRIC_KEYS if row.get(key) is not None)
            keys = (*METRIC_KEYS, *optional)
            rows[int(row["epoch"])] = {key: finite(row.get(key)) for key in keys}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            if number == len(lines) and status != "finished":
                break
            raise UserError(f"{path}, line {number}, is not a row of metrics: {error}") from None
    if not rows:
        raise UserError(f"{path} is empty: the run has not evaluated anything yet")
    return [rows[epoch] for epoch in sorted(rows)]


def build_line(run_folder: Path, paper: str) -> dict[str, Any]:
    """Make the line of ``runs.jsonl`` for a run of ``paper``.

    It holds all of ``run.json``, the configuration but for the folders of one machine, three rows
    of metrics (``best``: the epoch that ``selects`` says, see :func:`selected`; ``last``;
    ``max_test``: best test accuracy), the ``tests`` of the final weights where the run repeated
    them, and digests of ``best.safetensors``: ``sha256`` of the file, ``weights`` of its tensors.

    Raises:
        UserError: a file is missing or broken, or files contradict each other.
    """
    run = read_run(run_folder)
    if run["paper"] != paper:
        raise UserError(f"{run_folder} is a run of paper {run['paper']!r}, not of {paper!r}")
    status = _STATUS[run["status"]]
    rows = read_metrics(run_folder, status)
    last = int(rows[-1]["epoch"])
    if status == "finished" and not last == run["epochs_done"] == run["epochs_planned"]:
        raise UserError(
            f"{run_folder} says finished, but has {run['epochs_done']} of "
            f"{run['epochs_planned']} epochs done and metrics to epoch {last}"
        )
    stem = Path(run["config_file"]).stem if run["config_file"] else f"{run['task']}_{run['model']}"
    selects = run.get("selects", "val_loss")
    if selects not in SELECTS:
        raise UserError(
            f"{run_folder / 'run.json'}: selects is {selects!r}, expected one of "
            f"{', '.join(SELECTS)}"
        )
    best, digests = _best(rows, run_folder, selects, finished=status == "finished")
    return {
        "id": f"{stem}-seed{run['seed']}-{run['config_hash'][:8]}",
        "kind": "train",
        **{key: finite(run[key]) for key in RUN_KEYS},
        "command": _without_folders(run["command"]),
        "status": status,
        "selects": selects,
        "config": _config(run_folder / "config.yaml"),
        "best": best,
        "last": rows[-1],
        "max_test": _max_test(rows),
        **_tests(run),
        **digests,
    }


def selected(
    rows: Sequence[Mapping[str, Any]], selects: Selects = "val_loss"
) -> Mapping[str, Any] | None:
    """The row of the epoch that validation selects; None where no row has a finite value.

    Args:
        rows: Metrics, in epoch order.
        selects: ``val_loss`` for the least loss, ``val_accuracy`` for the highest accuracy; of
            epochs that tie, the first.
    """
    seen = [row for row in rows if row[selects] is not None]
    return best_row(seen, selects=selects) if seen else None


def finite(value: Any) -> Any:
    """``value``, or None for a NaN or an infinity, which JSON cannot hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tests(run: Mapping[str, Any]) -> dict[str, Any]:
    """How the final weights did in repeated tests, if the run made any."""
    tests = run.get("tests")
    return {"tests": {key: finite(value) for key, value in tests.items()}} if tests else {}


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} does not exist: without it nobody can repeat the run")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: value for key, value in config.items() if key not in PLACE_KEYS}


def _without_folders(command: str) -> str:
    """The command with absolute paths cut to their last part: they tell of one machine only."""
    words = []
    for word in shlex.split(command):
        flag, equals, value = word.rpartition("=")
        words.append(f"{flag}{equals}{Path(value).name}" if value.startswith("/") else word)
    return shlex.join(words)


def _best(
    rows: Sequence[Mapping[str, Any]], run_folder: Path, selects: Selects, *, finished: bool
) -> tuple[Mapping[str, Any] | None, dict[str, str | None]]:
    """The row of the best weights and their digests; None where a run did not get that far.

    Of epochs that tie in validation loss, the weights say in their manifest which one was kept.
    """
    from core import checkpoints  # imports torch

    path = run_folder / "best.safetensors"
    best = selected(rows, selects)
    if not path.is_file() and not finished:
        return best, {"sha256": None, "weights": None}
    checkpoint = checkpoints.load(path)
    epoch = checkpoint.manifest["epoch"]
    weights = checkpoints.weights_digest(checkpoint.weights)
    digests: dict[str, str | None] = {"sha256": checkpoints.sha256(path), "weights": weights}
    kept = next((row for row in rows if row["epoch"] == epoch), None)
    if best and kept and kept[selects] == best[selects]:
        return kept, digests
    if finished:
        raise UserError(
            f"{path} is of epoch {epoch}, but metrics.jsonl has the best {selection_name(selects)} "
            f"at epoch {best['epoch'] if best else 'none'}: they are not of the same run"
        )
    # Killed between saving new best weights and writing their row.
    return best, digests


def _max_test(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    seen = [row for row in rows if row["test_accuracy"] is not None]
    return max(seen, key=lambda row: row["test_accuracy"]) if seen else None
