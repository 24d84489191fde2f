"""What is told and stored about a run: its manifest, its facts, its first and last words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from core.config import config_hash, to_dict
from core.config_fields import config_fields
from core.errors import RunFailed
from core.neurons import Neuron
from core.outside.text import counted
from core.paper.description import Paper, Task
from core.paths import from_here
from core.scan import Case, choose
from core.settings import SettingsT
from core.training.environment import describe
from core.training.events import EventLog
from core.training.job import Job
from core.training.rows import spikes_of
from core.training.run_folder import RunFolder, now, resume_flag
from core.training.selection import best_row, selection_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def make_manifest(
    paper: Paper[SettingsT], config: SettingsT, task: Task, model: nn.Module, device: torch.device
) -> dict[str, Any]:
    """What stands in every checkpoint of a run: what was computed, from what, with what."""
    return {
        "paper": paper.name,
        "task": config.task,
        "model": config.model,
        "config": _without_places(config),
        "config_hash": config_hash(config),
        "data": {"name": task.data, "digest": task.data_digest},
        "parameters": count_parameters(model),
        **describe(device, backend_of(model, config.backend)),
    }


def _without_places(config: DataclassInstance) -> dict[str, Any]:
    """The settings without folders and addresses, which tell of one machine only."""
    fields = config_fields(type(config))
    return {
        key: value if fields[key].hashed or fields[key].default is not None else None
        for key, value in to_dict(config).items()
    }


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values, unused diagonals of recurrent matrices included."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def backend_of(model: nn.Module, backend: str) -> str:
    """Name of the scan backend that runs the first neurons of a network, ``torch`` without any.

    Raises:
        UserError: There is no such backend, or it cannot run them.
    """
    for module in model.modules():
        neuron = module if isinstance(module, Neuron) else getattr(module, "neuron", None)
        if isinstance(neuron, Neuron):
            weight = getattr(module, "recurrent_weight", None)
            device = next(iter(neuron.parameters()), torch.empty(0)).device
            current_TBN = torch.zeros(1, 1, neuron.size, device=device)
            return choose(
                Case(neuron, current_TBN, weight() if callable(weight) else weight), backend
            ).name
    return "torch"


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


def headline(
    job: Job, folder: RunFolder, *, samples: str, resumed: bool, why_threads: str = ""
) -> str:
    """What runs, on what, with what, and where to: the two lines on top of a run.

    Args:
        job: The run, as it goes on here.
        folder: Of the run.
        samples: Such as ``100 training / 20 test samples``.
        resumed: The run goes on after it was stopped.
        why_threads: Why it takes as many threads as it does, where nobody said how many.
    """
    facts = {**folder.facts, **job.manifest}
    why = f" ({why_threads})" if why_threads else ""
    after = f", resumed after epoch {facts['epochs_done']}" if resumed else ""
    return (
        f"{facts['model']} on {facts['data']['name']} ({facts['task']}): "
        f"{facts['parameters']} parameters, {samples}, seed {facts['seed']}\n"
        f"device {facts['device']} ({facts['device_name']}), "
        f"{counted(facts['threads'], 'thread')}{why}, "
        f"backend {facts['backend']}, writing to {from_here(folder.path)}{after}"
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
        if picture.is_file():
            with EventLog(folder.path) as events:
                events.picture("Learning curve", picture.read_bytes(), history[-1]["epoch"])
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
        f"learning curve: {from_here(picture)}"
    )
