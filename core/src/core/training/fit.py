"""A whole run: evaluate, keep the best, train an epoch, again; stop and go on without a trace."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core import checkpoints
from core.errors import NotFinite, RunFailed, UserError
from core.metrics import Metrics
from core.outside.text import reason
from core.training.activity import warnings_of
from core.training.devices import peak_memory_mb
from core.training.events import EventLog
from core.training.finite import OVERFLOWED, likely_cause, require_finite
from core.training.interrupts import interruptible
from core.training.job import Job
from core.training.logged import log_epoch, log_settings
from core.training.loop import evaluate, train_one_epoch
from core.training.progress import RunProgress, duration
from core.training.run_facts import METRICS, UNITS
from core.training.run_folder import RESUME, RunFolder, now, resume_flag
from core.training.schedules import step as step_scheduler
from core.training.seeding import random_state, restore_random_state
from core.training.selection import best_row
from core.training.weights import problem_of_weights, save_weights, weights_digest

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
        "best?": (str, None),
    },
}
"""What a resume state holds."""


@dataclass
class _Progress:
    """What the resume state holds beside model, optimiser, scheduler and random state."""

    epoch: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best: str | None = None  # digest of the weights in best.safetensors


def fit(job: Job, folder: RunFolder, *, resume: bool = False) -> list[dict[str, Any]]:
    """Run ``job`` in ``folder`` and return the rows of ``metrics.jsonl``.

    After each evaluation everything needed to go on is on the disk, so that a kill at any moment
    loses at most the epoch it interrupts, and a resumed run ends with the same bits as an
    uninterrupted one.

    Raises:
        UserError: The run cannot be resumed from what its folder holds; nothing was written.
        RunFailed: An input, the loss, a gradient or a weight is NaN or infinite, or a file could
            not be written; what was finished is kept.
        KeyboardInterrupt: On Ctrl-C and SIGTERM, after the status was written; its message says
            how to continue.
    """
    state = _restore(job, folder) if resume else _Progress()
    lost = _lost_weights(job, folder, state) if resume else []
    status: str | None = "failed"
    with interruptible() as check:
        try:
            # The resume state is the truth; a kill may have left the other files behind it.
            folder.update(
                status="running", epochs_done=state.epoch, selects=job.selects, units=UNITS
            )
            folder.write_metrics(state.history, _selected(job, state))
            for name in lost:
                save_weights(job, folder, name, state.history[-1])
            _run(job, folder, state, check, fresh=not resume)
            folder.update(status="finished", finished=now())
            status = None
        except NotFinite as error:
            raise RunFailed(f"{error}. {_kept(folder)[0]}") from error
        except OSError as error:
            kept, next_step = _kept(folder)
            raise RunFailed(
                f"cannot write {error.filename or folder.path}: {error.strerror}. "
                f"{kept}; make room, then {next_step}"
            ) from error
        except KeyboardInterrupt:
            status = "interrupted"
            raise KeyboardInterrupt("stopped. {}; {}".format(*_kept(folder))) from None
        finally:
            if status is not None:
                folder.leave(status)
    return state.history


def _run(
    job: Job, folder: RunFolder, state: _Progress, check: Callable[[], None], *, fresh: bool
) -> None:
    steps = len(job.train)
    # Hides what a killed run had logged beyond its last checkpoint.
    purge_step = None if fresh else state.epoch + 1
    progress = RunProgress(job.epochs * steps, state.epoch * steps)
    with EventLog(folder.path, purge_step) as events, progress:
        if fresh:
            log_settings(events, job)
            _evaluate_and_save(job, folder, state, events, progress, trained=None, started=None)
        for epoch in range(state.epoch + 1, job.epochs + 1):
            started = time.monotonic()

            def on_step(value: float, step: int, epoch: int = epoch) -> None:
                progress.step(epoch, value)
                check()

            try:
                trained = train_one_epoch(
                    job.model,
                    job.train.epoch(epoch),
                    job.train_step,
                    job.optimizer,
                    device=job.device,
                    on_step=on_step,
                )
            except NotFinite as error:
                raise error.within(f"epoch {epoch}") from error
            state.epoch = epoch
            _evaluate_and_save(job, folder, state, events, progress, trained, started)


def _evaluate_and_save(
    job: Job,
    folder: RunFolder,
    state: _Progress,
    events: EventLog,
    progress: RunProgress,
    trained: Metrics | None,
    started: float | None,
) -> None:
    started = time.monotonic() if started is None else started
    try:
        # Also what no gradient reaches, such as running statistics.
        require_finite(job.model.state_dict(), OVERFLOWED)
        measured = _measure(job)
    except NotFinite as error:
        # Not saved: what is not finite must not replace the last good weights.
        raise error.within(f"the evaluation after epoch {state.epoch}") from error
    if trained is not None:
        step_scheduler(job.scheduler, val_accuracy=measured["val"].accuracy)
    row = _row(job, state.epoch, trained, measured, time.monotonic() - started)
    # Before the resume state: a kill in between shows these points twice rather than never.
    log_epoch(events, job, row, trained, measured)
    state.history.append(row)
    if best_row(state.history, selects=job.selects, on_ties=job.best_on_ties) is row:
        state.best = save_weights(job, folder, "best", row)
    save_weights(job, folder, "last", row)
    _save_resume(job, folder, state)
    selected = _selected(job, state)
    folder.write_metrics(state.history, selected)
    said = warnings_of(state.history)
    folder.update(
        # A run that was killed here and goes on comes by a second time.
        warnings=[w for w in folder.facts.get("warnings", []) if w["epoch"] < state.epoch] + said,
        epochs_done=state.epoch,
        selected_epoch=selected,
        seconds_per_epoch=_seconds_per_epoch(state.history),
        peak_memory_mb=peak_memory_mb(job.device),
    )
    progress.line(_line(row, job.epochs))
    for warning in said:
        progress.line(f"warning: epoch {warning['epoch']}: {warning['what']}")


def _selected(job: Job, state: _Progress) -> int | None:
    """The epoch whose weights are the best ones so far."""
    if not state.history:
        return None
    best = best_row(state.history, selects=job.selects, on_ties=job.best_on_ties)
    return int(best["epoch"])


def _measure(job: Job) -> dict[str, Metrics]:
    """Metrics on validation and test set; one set is measured once."""
    measured: dict[str, Metrics] = {}
    for name, batches in (("val", job.validation), ("test", job.test)):
        if name == "test" and batches is job.validation:
            return {**measured, "test": measured["val"]}
        try:
            metrics = evaluate(job.model, batches.epoch(0), job.objective, device=job.device)
            if not math.isfinite(metrics.loss):
                raise NotFinite("the loss", "", likely_cause(job.model))
        except NotFinite as error:
            raise error.within("validation set" if name == "val" else "test set") from error
        measured[name] = metrics
    return measured


def _row(
    job: Job, epoch: int, trained: Metrics | None, measured: dict[str, Metrics], seconds: float
) -> dict[str, Any]:
    row = {
        "epoch": epoch,
        "train_loss": trained.loss if trained else None,
        "train_accuracy": trained.accuracy if trained else None,
        "val_loss": measured["val"].loss,
        "val_accuracy": measured["val"].accuracy,
        "test_loss": measured["test"].loss,
        "test_accuracy": measured["test"].accuracy,
        "sop": measured["test"].sop,
        "learning_rate": job.optimizer.param_groups[0]["lr"],
        "seconds": round(seconds, 3),
    }
    if (rate := measured["test"].rate) is not None:
        row["rate"] = rate
    if rates := measured["test"].layer_rates:
        row["layer_rates"] = list(rates)
    return row


def _line(row: dict[str, Any], epochs: int) -> str:
    train = "" if row["train_loss"] is None else f"train loss {row['train_loss']:.4f} | "
    return (
        f"epoch {row['epoch']}/{epochs} | {train}"
        f"val loss {row['val_loss']:.6f}, accuracy {row['val_accuracy']:.2f} % | "
        f"test loss {row['test_loss']:.4f}, accuracy {row['test_accuracy']:.2f} %"
        f"{spikes_of(row)} | {duration(row['seconds'])}"
    )


def spikes_of(row: Mapping[str, Any]) -> str:
    """How much the network spikes, to end a phrase with; nothing where it has no spikes."""
    if row["sop"] is None:
        return ""
    rate = row.get("rate")
    per_step = "" if rate is None else f" ({rate:.4f} per neuron and step)"
    return f", {row['sop']:.1f} spikes per sample{per_step}"


def _seconds_per_epoch(history: list[dict[str, Any]]) -> float | None:
    """Median over trained epochs: one pause of the machine does not count."""
    seconds = sorted(row["seconds"] for row in history[1:])
    return seconds[len(seconds) // 2] if seconds else None


def _save_resume(job: Job, folder: RunFolder, state: _Progress) -> None:
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


def _restore(job: Job, folder: RunFolder) -> _Progress:
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
        return _Progress(progress["epoch"], progress["history"], progress.get("best"))
    except UserError:
        raise
    except Exception as error:  # each part complains about foreign values in its own way
        raise UserError(
            f"{path} is not the resume state of this run ({type(error).__name__}: "
            f"{reason(error)}); put back the right file, or start the run again in another folder"
        ) from error


def _lost_weights(job: Job, folder: RunFolder, state: _Progress) -> list[str]:
    """The weights to write again from the resume state, before anything is written.

    Raises:
        UserError: The best weights are of an earlier epoch, which is nowhere else.
    """
    best = best_row(state.history, selects=job.selects, on_ties=job.best_on_ties)["epoch"]
    lost = []
    for name, epoch, digest in (
        ("best", best, state.best),
        ("last", state.epoch, weights_digest(job.model.state_dict())),
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


def _kept(folder: RunFolder) -> tuple[str, str]:
    """What the folder holds after a run ended early, and how to go on from there."""
    if not (folder.path / RESUME).is_file():
        return f"Nothing was saved in {folder.path} yet", "start the run again in another folder"
    epoch = folder.facts.get("epochs_done", 0)
    return (
        f"Everything up to epoch {epoch} is kept in {folder.path}",
        f"continue with {resume_flag(folder.path)}",
    )
