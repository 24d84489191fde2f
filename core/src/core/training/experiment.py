"""What the experiments of all papers share: facts of a run, what may change in it, words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.config import config_hash, to_dict
from core.errors import RunFailed, UserError
from core.neurons import Neuron
from core.scan import Case, choose
from core.training.environment import describe
from core.training.fit import Job, spikes_of
from core.training.run_folder import RunFolder, now, resume_flag
from core.training.selection import best_row, selection_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def make_manifest(
    config: DataclassInstance,
    *,
    paper: str,
    task: str,
    model: str,
    data: str,
    data_digest: str,
    parameters: int,
    device: torch.device,
    backend: str,
) -> dict[str, Any]:
    """What stands in every checkpoint of a run: what was computed, from what, with what.

    Args:
        config: All settings.
        paper: Name of its folder in ``papers/``.
        task: Name of the task in ``claims.yaml``.
        model: Name of the network.
        data: Name of the data set.
        data_digest: Identifies its bytes.
        parameters: Number of trainable parameters.
        device: Where the run computes.
        backend: How its neurons run over time.
    """
    return {
        "paper": paper,
        "task": task,
        "model": model,
        "config": to_dict(config),
        "config_hash": config_hash(config),
        "data": {"name": data, "digest": data_digest},
        "parameters": parameters,
        **describe(device, backend),
    }


def first_facts(job: Job, *, seed: int, base: Path | None, paper_folder: Path) -> dict[str, Any]:
    """``run.json`` of a run that starts now.

    Args:
        job: The run.
        seed: Its seed.
        base: The file its settings started from; recorded where it is one of the paper's;
            None for the defaults.
        paper_folder: Folder of the paper.
    """
    named = base is not None and base.resolve().is_relative_to(paper_folder / "configs")
    return {
        **job.manifest,
        "config_file": f"configs/{base.name}" if base and named else None,
        "seed": seed,
        "started": now(),
        "finished": None,
        "status": "running",
        "epochs_planned": job.epochs,
        "epochs_done": 0,
        "seconds_per_epoch": None,
        "peak_memory_mb": None,
    }


def backend_name(neuron: Neuron, recurrent_weight: Tensor | None, backend: str) -> str:
    """Name of the scan backend that runs ``neuron`` where its parameters are."""
    device = next(neuron.parameters()).device
    current_TBN = torch.zeros(1, 1, neuron.size, device=device)
    return choose(Case(neuron, current_TBN, recurrent_weight), backend).name


def result_keys(config: DataclassInstance) -> list[str]:
    """The settings that results depend on."""
    return [field.name for field in fields(config) if field.metadata.get("hash", True)]


def refuse_changes(
    stored: DataclassInstance,
    config: DataclassInstance,
    keys: Collection[str],
    *,
    flag: str = "--resume",
) -> None:
    """Let a run go on elsewhere (device, data folder), but as the run that it is.

    Args:
        stored: Settings of the run.
        config: Settings it is asked to go on with.
        keys: Settings that must be equal.
        flag: What asks for that, for the message.

    Raises:
        UserError: A setting would change; names all that would.
    """
    old, new = to_dict(stored), to_dict(config)
    if changed := [key for key in keys if old[key] != new[key]]:
        raise UserError(
            f"{flag} continues a run as it was, but {', '.join(changed)} would change; leave "
            "the flag out, or start a new run"
        )


def headline(job: Job, folder: RunFolder, *, samples: str, resumed: bool) -> str:
    """What runs, on what, with what, and where to: the two lines on top of a run.

    Args:
        job: The run, as it goes on here.
        folder: Of the run.
        samples: Such as ``100 training / 20 test samples``.
        resumed: The run goes on after it was stopped.
    """
    facts = {**folder.facts, **job.manifest}
    after = f", resumed after epoch {facts['epochs_done']}" if resumed else ""
    return (
        f"{facts['model']} on {facts['data']['name']} ({facts['task']}): "
        f"{facts['parameters']} parameters, {samples}, seed {facts['seed']}\n"
        f"device {facts['device']} ({facts['device_name']}), {facts['threads']} threads, "
        f"backend {facts['backend']}, writing to {folder.path}{after}"
    )


def report(job: Job, folder: RunFolder, history: list[dict[str, Any]]) -> str:
    """Draw the learning curve of a finished run, and say how it ended.

    Raises:
        RunFailed: The figure cannot be written.
    """
    from core.plots import learning_curve  # here: matplotlib takes a second to import

    best = best_row(history, selects=job.selects, on_ties=job.best_on_ties)
    picture = folder.path / "learning_curve.png"
    facts = folder.facts
    title = f"{job.manifest['model'].upper()} on {facts['data']['name']}, seed {facts['seed']}"
    try:
        learning_curve(history, picture, title=title, selects=job.selects)
    except OSError as error:
        raise RunFailed(
            f"cannot write {picture} ({error.strerror}), but the training is finished and saved "
            f"in {folder.path}; make room and draw it with {resume_flag(folder.path)}"
        ) from error
    by = selection_name(job.selects)
    if job.test is job.validation:
        by += ", on the test set itself"
    return (
        f"best epoch {best['epoch']} by {by}: test accuracy "
        f"{best['test_accuracy']:.2f} %{spikes_of(best)}\n"
        f"last epoch {history[-1]['epoch']}: test accuracy {history[-1]['test_accuracy']:.2f} %\n"
        f"learning curve: {picture}"
    )
