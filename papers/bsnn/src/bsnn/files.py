"""The files that the authors' code writes, beside those of a run: ``results.pth`` and others.

==============================  ================================================================
``params.yml``                  all settings, shapes of the network, commit
``results.pth``                 lists over epochs and the final test, see :func:`results`
``checkpoints/best_model.pth``  the state dict of the best epoch by the authors' names
==============================  ================================================================

Both ``.pth`` hold plain values and tensors alone: PyTorch loads them with ``weights_only=True``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bsnn.config import Config
from bsnn.published import to_published
from core import checkpoints
from core.config import to_yaml
from core.errors import RunFailed
from core.files import write_atomically, write_text_atomically
from core.outside.text import from_json, read_json_lines
from core.paper import Prepared
from core.training.run_facts import read_facts
from core.training.run_folder import resume_flag
from core.training.selection import best_row

Rows = Sequence[Mapping[str, Any]]


def write_files(prepared: Prepared[Config], folder: Path) -> None:
    """Write them into the folder of a finished run.

    Raises:
        RunFailed: They cannot be written; the run itself is finished.
    """
    config, task = prepared.config, prepared.task
    facts = read_facts(folder)
    shapes = {
        "input_shape": [config.batch_size, None, task.inputs],
        "layer_sizes": [config.neurons] * config.n_layers + [task.classes],
        "t_crop": task.t_crop,
        "commit": facts["commit"],
    }
    text = "".join(f"{key}: {_yaml(value)}\n" for key, value in shapes.items())
    weights = checkpoints.load(folder / "best.safetensors").weights
    with _finished(folder):
        write_text_atomically(folder / "params.yml", to_yaml(config) + text)
        (folder / "checkpoints").mkdir(exist_ok=True)
        _save(to_published(weights), folder / "checkpoints" / "best_model.pth")
    write_results(prepared, folder, facts.get("tests", {}))


def write_results(prepared: Prepared[Config], folder: Path, tests: Mapping[str, Any]) -> None:
    """Write ``results.pth`` of a run with these tests at its end.

    Raises:
        RunFailed: It cannot be written; the run itself is finished.
    """
    lines = read_json_lines(folder / "metrics.jsonl")
    rows = [from_json(line, where) for line, where in lines]
    batches = len(prepared.job.train), len(prepared.job.validation)
    with _finished(folder):
        _save(results(rows, tests, *batches), folder / "results.pth")


@contextmanager
def _finished(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFailed(
            f"cannot write {error.filename or folder} ({error.strerror}), but the run is finished "
            f"and its metrics are in {folder}; make room, then {resume_flag(folder)} writes it"
        ) from error


def results(rows: Rows, tests: Mapping[str, Any], training: int, validation: int) -> dict[str, Any]:
    """What ``results.pth`` holds: shares and rates, not percent.

    ``*_frs`` are firing rates as published, the sum over batches divided by one batch too few (of a
    single batch, the mean); ``*_frs_exact`` the means.

    Args:
        rows: Of ``metrics.jsonl``.
        tests: Of the final weights.
        training: Batches of an epoch of training.
        validation: Of validation.
    """
    trained = [row for row in rows if row["epoch"]]
    found: dict[str, Any] = {}
    for name, key, batches in (("train", "train", training), ("validation", "val", validation)):
        found[f"{name}_accs"] = [row[f"{key}_accuracy"] / 100 for row in trained]
        exact = [row.get(f"{key}_batch_rate", math.nan) for row in trained]
        found[f"{name}_frs"] = [published_rate(rate, batches) for rate in exact]
        found[f"{name}_frs_exact"] = exact
        for short, metric in (("med", "median"), ("low", "lowpass")):
            balances = [row.get(f"{key}_balance_{metric}", math.nan) for row in trained]
            found[f"{name}_balances_{short}"] = balances
    best = best_row(trained or rows, selects="val_accuracy")
    rate = tests.get("batch_rate", math.nan)
    return {
        **found,
        "test_acc": tests.get("accuracy", math.nan) / 100,
        "test_fr": published_rate(rate, validation),
        "test_fr_exact": rate,
        "test_balance_med": tests.get("balance_median", math.nan),
        "test_balance_low": tests.get("balance_lowpass", math.nan),
        "best_acc": best["val_accuracy"] / 100,
        "best_epoch": best["epoch"],
    }


def published_rate(rate: float, batches: int) -> float:
    """A mean over batches as the authors' code logs it: divided by one batch too few."""
    return rate * batches / (batches - 1) if batches > 1 else rate


def _save(content: Mapping[str, Any], path: Path) -> None:
    write_atomically(path, lambda file: torch.save(dict(content), file))


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return "null" if value is None else str(value)
