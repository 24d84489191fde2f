"""Reads the folder a run wrote and makes of it the line that is recorded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import without_folders
from core.outside.shape import check
from core.outside.text import from_json, read_json_lines, read_yaml
from core.training.run_facts import FACTS, METRICS, kept, read_facts
from core.training.selection import Selects, best_row, selection_name

PLACE_KEYS = (
    *("data_folder", "load_exp_folder", "mirror", "out", "resume", "gpu_device", "num_workers"),
    *(
        "debug",
        "evaluate_pretrained",
        "only_createsweep",
        "seeds",
        "sweep_id",
        "sweep_name",
        "wandb",
    ),
)
"""Settings that name a place on one machine or tell of a call; they are not recorded."""

# How a run ended -> whether it can go on.
_STATUS = {
    "finished": "finished",
    "running": "partial",
    "interrupted": "partial",
    "failed": "failed",
}


def read_metrics(run_folder: Path, status: str) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``: one row per epoch, in order; what is not finite becomes None.

    An epoch that was written twice (a kill between the line and the checkpoint, then a resume)
    counts once, as last written. A torn last line is left out unless the run is finished.

    Raises:
        UserError: the file is missing, empty or broken.
    """
    path = run_folder / "metrics.jsonl"
    lines = list(read_json_lines(path, missing="the run has not evaluated anything yet"))
    rows: dict[int, dict[str, Any]] = {}
    for number, (line, where) in enumerate(lines, start=1):
        try:
            row = check(from_json(line, where), METRICS, where)
        except UserError:
            if number == len(lines) and status != "finished":
                break
            raise
        rows[row["epoch"]] = kept(row)
    if not rows:
        raise UserError(f"{path} is empty: the run has not evaluated anything yet")
    return [rows[epoch] for epoch in sorted(rows)]


def build_line(run_folder: Path, paper: str) -> dict[str, Any]:
    """Make the line of ``runs.jsonl`` for a run of ``paper``.

    It holds all of ``run.json``, the configuration but for the folders of one machine, three rows
    of metrics (``best``: the epoch that ``selects`` says, see :func:`selected`; ``last``;
    ``max_test``: best test accuracy), the ``tests`` of the final weights where the run repeated
    them, what they cost (``counts``, see :mod:`core.counting`), the ``warnings`` of training and
    where it ``resumed`` with other code or elsewhere, where there is any of that, and digests of
    ``best.safetensors``: ``sha256`` of the file, ``weights`` of its tensors.

    Raises:
        UserError: a file is missing or broken, or files contradict each other.
    """
    run = read_facts(run_folder)
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
    best, digests = _best(rows, run_folder, selects, finished=status == "finished")
    return {
        "id": f"{stem}-seed{run['seed']}-{run['config_hash'][:8]}",
        "kind": "train",
        **{key: run[key] for key in FACTS if not key.endswith("?")},
        "command": _without_folders(run["command"]),
        "status": status,
        "selects": selects,
        "config": read_config(run_folder / "config.yaml"),
        "best": best,
        "last": rows[-1],
        "max_test": _max_test(rows),
        **{key: run[key] for key in ("tests", "counts") if key in run},
        **{key: run[key] for key in ("warnings", "resumed") if run.get(key)},
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


def read_config(path: Path) -> dict[str, Any]:
    """The settings in ``config.yaml`` of a run folder, but for the places of one machine."""
    config = check(
        read_yaml(path, missing="without it nobody can repeat the run"), {str: object}, str(path)
    )
    return {key: value for key, value in config.items() if key not in PLACE_KEYS}


def _without_folders(command: str) -> str:
    """The command with absolute paths cut to their last part: they tell of one machine only."""
    try:
        given = shlex.split(command)
    except ValueError:  # a quote that does not close: nobody can call it, so it tells nothing
        return ""
    return shlex.join(without_folders(given))


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
    checkpoint = checkpoints.load(path, {"epoch": int})
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
