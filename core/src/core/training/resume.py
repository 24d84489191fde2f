"""The resume state of a run, from which it goes on with the same bits."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any

from core import checkpoints
from core.errors import UserError
from core.outside.text import reason
from core.training.job import Job
from core.training.run_facts import METRICS
from core.training.run_folder import RESUME, RunFolder, resume_flag
from core.training.seeding import random_state, restore_random_state
from core.training.selection import best_row
from core.training.weights import problem_of_weights

STATE: dict[str, Any] = {
    **{part: {str: object} for part in ("model", "optimizer", "scheduler", "random")},
    "run?": {
        **dict.fromkeys(("paper", "task", "model"), (str, None)),
        "data": ({"name": str, "digest": str}, None),
        "seed": (int, None),
    },
    "progress": {
        "epoch": int,
        "history": [{**METRICS, "val_loss": float, "val_accuracy": float}],
        "weights?": (str, None),
    },
}
"""What a resume state holds."""


@dataclass
class Progress:
    """What the resume state holds beside model, optimiser, scheduler and random state."""

    epoch: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    weights: str | None = None  # digest of those in best.safetensors


def save_resume_state(job: Job, folder: RunFolder, state: Progress) -> None:
    """Write it, atomically. Raises OSError like :func:`core.checkpoints.save`."""
    checkpoints.save_resume_state(
        folder.path / RESUME,
        {
            "model": job.model.state_dict(),
            "optimizer": job.optimizer.state_dict(),
            "scheduler": job.scheduler.state_dict(),
            "random": random_state(),
            "run": _identity(job),
            "progress": dataclasses.asdict(state),
        },
    )


def _identity(job: Job) -> dict[str, Any]:
    """What two runs must share for one to take the resume state of the other."""
    manifest = job.manifest
    seed = manifest.get("config", {}).get("seed")
    return {**{k: manifest.get(k) for k in ("paper", "task", "model", "data")}, "seed": seed}


def restore(job: Job, folder: RunFolder) -> Progress:
    """Put the job where the run in ``folder`` stopped.

    Raises:
        UserError: The state is missing, damaged or of another run.
    """
    path = folder.path / RESUME
    saved = checkpoints.load_resume_state(path, STATE)
    if (run := saved.get("run", _identity(job))) != _identity(job):
        raise UserError(
            f"{path} is of another run ({run}, not {_identity(job)}); put back the right file, or "
            "start the run again in another folder"
        )
    try:
        checkpoints.load_into(job.model, saved["model"], str(path))
        job.optimizer.load_state_dict(saved["optimizer"])
        job.scheduler.load_state_dict(saved["scheduler"])
        restore_random_state(saved["random"])
        progress = saved["progress"]
        if not progress["history"]:
            raise ValueError("no epoch was evaluated")
        return Progress(progress["epoch"], progress["history"], progress.get("weights"))
    except UserError:
        raise
    except Exception as error:  # each part complains about foreign values in its own way
        raise UserError(
            f"{path} is not the resume state of this run ({type(error).__name__}: "
            f"{reason(error)}); put back the right file, or start the run again in another folder"
        ) from error


def lost_weights(job: Job, folder: RunFolder, state: Progress) -> list[str]:
    """The weights to write again from the resume state; looks, and writes nothing.

    Raises:
        UserError: The best weights are of an earlier epoch, which is nowhere else.
    """
    best = best_row(state.history, selects=job.selects, on_ties=job.best_on_ties)["epoch"]
    lost = []
    for name, epoch, digest in (
        ("best", best, state.weights),
        ("last", state.epoch, checkpoints.weights_digest(job.model.state_dict())),
    ):
        path = folder.path / f"{name}.safetensors"
        problem = problem_of_weights(job.model, path, epoch, digest, redone=state.epoch + 1)
        if problem and epoch < state.epoch:
            raise UserError(
                f"the best weights of this run, those of epoch {epoch}, are lost: {problem}. Put "
                "back a copy, or start the run again in another folder"
            )
        if problem:
            print(f"warning: {problem}. Written again from {RESUME}", file=sys.stderr)
            lost.append(name)
    return lost


def kept(folder: RunFolder) -> tuple[str, str]:
    """What the folder holds after a run ended early, and how to go on from there."""
    if not (folder.path / RESUME).is_file():
        return f"Nothing was saved in {folder.path} yet", "start the run again in another folder"
    epoch = folder.facts.get("epochs_done", 0)
    return (
        f"Everything up to epoch {epoch} is kept in {folder.path}",
        f"continue with {resume_flag(folder.path)}",
    )
