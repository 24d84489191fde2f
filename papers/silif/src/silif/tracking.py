"""Epochs for Weights & Biases, under the names that the authors' code gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from core.config import to_dict
from core.errors import UserError
from core.training.job import Job, Trained
from silif.config import Config

_NAMES = {
    **{"train_loss": "train_loss", "train_accuracy": "train_acc", "val_loss": "valid loss"},
    **{"val_accuracy": "valid acc", "test_loss": "test loss", "test_accuracy": "test acc"},
}


def refuse_missing(config: Config) -> None:
    """Say before anything is done that ``--wandb`` needs a package that is not here.

    Raises:
        UserError: It does.
    """
    if config.wandb:
        _package()


@contextmanager
def tracked(config: Config, job: Job, folder: Path) -> Iterator[None]:
    """Send every epoch of ``job`` to Weights & Biases where the settings ask for it.

    Projects are called as in the authors' code. Accuracies are parts of one; ``test sparsity`` is
    one minus the spikes per neuron and step, without the inputs.

    Raises:
        UserError: The package is missing.
    """
    if not config.wandb:
        yield
        return
    run = _package().init(
        project=f"SiLIF_{config.dataset_name.upper()}_runs",
        name=folder.name,
        group=folder.parent.name,
        config=to_dict(config),
    )
    best = 0.0

    def send(trained: Trained) -> None:
        nonlocal best
        values = named(trained.row)
        best = max(best, values["valid acc"])
        run.log({**values, "best valid acc": best}, step=trained.epoch)

    job.after_epoch = send
    try:
        yield
    finally:
        run.finish()


def named(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of ``metrics.jsonl`` by the authors' names."""
    values = {theirs: row[key] for key, theirs in _NAMES.items() if row.get(key) is not None}
    values = {key: value / 100 if key.endswith("acc") else value for key, value in values.items()}
    if row.get("rate") is not None:
        values["test sparsity"] = 1.0 - row["rate"]
    return values


def _package() -> Any:
    try:
        return import_module("wandb")
    except ImportError as error:
        raise UserError(
            "--wandb sends epochs to Weights & Biases, whose package is not installed: "
            "uv pip install wandb, or leave the flag out"
        ) from error
