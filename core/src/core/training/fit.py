"""A whole run: evaluate, keep the best, train an epoch, again; stop and go on without a trace."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

from core.errors import CannotRead, NotFinite, RunFailed
from core.metrics import BatchResult, Metrics
from core.training.activity import warnings_of
from core.training.devices import peak_memory_mb
from core.training.events import EventLog
from core.training.finite import OVERFLOWED, likely_cause, require_finite
from core.training.interrupts import interruptible
from core.training.job import Job, Trained
from core.training.logged import log_epoch, log_settings
from core.training.loop import TrainStep, evaluate, train_one_epoch
from core.training.progress import RunProgress
from core.training.resume import Progress, kept, lost_weights, restore, save_resume_state
from core.training.rows import epoch_line, epoch_row, seconds_per_epoch
from core.training.run_facts import UNITS
from core.training.run_folder import RunFolder, now
from core.training.schedules import step as step_scheduler
from core.training.selection import best_row
from core.training.weights import save_weights


def fit(job: Job, folder: RunFolder, *, resume: bool = False) -> list[dict[str, Any]]:
    """Run ``job`` in ``folder`` and return the rows of ``metrics.jsonl``.

    After each evaluation everything needed to go on is on the disk, so that a kill at any moment
    loses at most the epoch it interrupts, and a resumed run ends with the same bits as an
    uninterrupted one.

    Raises:
        UserError: The run cannot be resumed from what its folder holds; nothing was written.
        RunFailed: An input, the loss, a gradient or a weight is NaN or infinite, data could not be
            read, or a file not be written; what was finished is kept.
        KeyboardInterrupt: On Ctrl-C and SIGTERM, after the status was written; its message says
            how to continue.
    """
    state = restore(job, folder) if resume else Progress()
    lost = lost_weights(job, folder, state) if resume else []
    status: str | None = "failed"
    with interruptible() as check:
        try:
            # The resume state is the truth; a kill may have left the other files behind it.
            facts = {"epochs_done": state.epoch, "selects": job.selects, "units": UNITS}
            folder.update(status="running", finished=None, **facts)
            folder.write_metrics(state.history, _selected(job, state))
            for name in lost:
                save_weights(job, folder, name, state.history[-1])
            _run(job, folder, state, check, fresh=not resume)
            folder.update(status="finished", finished=now())
            status = None
        except NotFinite as error:
            raise RunFailed(f"{error}. {kept(folder)[0]}") from error
        except CannotRead as error:
            there, next_step = kept(folder)
            raise RunFailed(f"{error}. {there}; put the data back, then {next_step}") from error
        except OSError as error:
            there, next_step = kept(folder)
            raise RunFailed(
                f"cannot write {error.filename or folder.path}: {error.strerror or error}. "
                f"{there}; make room, then {next_step}"
            ) from error
        except KeyboardInterrupt:
            status = "interrupted"
            raise KeyboardInterrupt("stopped. {}; {}".format(*kept(folder))) from None
        finally:
            if status is not None:
                folder.leave(status)
    return state.history


def _run(
    job: Job, folder: RunFolder, state: Progress, check: Callable[[], None], *, fresh: bool
) -> None:
    steps = len(job.train)
    # Hides what a killed run had logged beyond its last checkpoint.
    purge_step = None if fresh else state.epoch + 1
    progress = RunProgress(job.epochs * steps, state.epoch * steps)
    with EventLog(folder.path, purge_step) as events, progress:
        if fresh:
            log_settings(events, job)
            _evaluate_and_save(job, folder, state, events, progress, trained=None, started=None)
        train_step = _logged(job, events, state.epoch * steps)
        for epoch in range(state.epoch + 1, job.epochs + 1):
            if (reason := job.stop(state.history)) is not None:
                _end_early(folder, state, reason)
                progress.line(f"ended after epoch {state.epoch}: {reason}")
                break
            started = time.monotonic()

            def on_step(value: float, step: int, epoch: int = epoch) -> None:
                progress.step(epoch, value)
                check()

            try:
                trained = train_one_epoch(
                    job.model,
                    job.train.epoch(epoch),
                    train_step,
                    job.optimizer,
                    device=job.device,
                    on_step=on_step,
                )
            except NotFinite as error:
                raise error.within(f"epoch {epoch}") from error
            state.epoch = epoch
            _evaluate_and_save(job, folder, state, events, progress, trained, started)


def _logged(job: Job, events: EventLog, done: int) -> TrainStep:
    """The training step, after which the paper's own points are logged."""
    log, count = job.log, itertools.count(done)
    if log is None:
        return job.train_step

    def step(*arguments: Any) -> BatchResult:
        result = job.train_step(*arguments)
        log.step(events.steps, result, next(count))
        return result

    return step


def _evaluate_and_save(
    job: Job,
    folder: RunFolder,
    state: Progress,
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
    row = epoch_row(job, state.epoch, trained, measured, time.monotonic() - started)
    if trained is not None:
        job.after_epoch(Trained(job.model, state.epoch, trained, row, folder.path))
    # Before the resume state: a kill in between shows these points twice rather than never.
    log_epoch(events, job, row, trained, measured)
    if job.log is not None and trained is not None:
        job.log.epoch(events.steps, row, job.model, state.epoch * len(job.train))
    state.history.append(row)
    if best_row(state.history, selects=job.selects, on_ties=job.best_on_ties) is row:
        state.weights = save_weights(job, folder, "best", row)
    save_weights(job, folder, "last", row)
    save_resume_state(job, folder, state)
    selected = _selected(job, state)
    folder.write_metrics(state.history, selected)
    said = warnings_of(state.history)
    folder.update(
        # A run that was killed here and goes on comes by a second time.
        warnings=[w for w in folder.facts.get("warnings", []) if w["epoch"] < state.epoch] + said,
        epochs_done=state.epoch,
        selected_epoch=selected,
        seconds_per_epoch=seconds_per_epoch(state.history),
        peak_memory_mb=peak_memory_mb(job.device),
    )
    progress.line(epoch_line(row, job.epochs))
    for warning in said:
        progress.line(f"warning: epoch {warning['epoch']}: {warning['what']}")


def _end_early(folder: RunFolder, state: Progress, reason: str) -> None:
    """Let ``run.json`` say that the run has no more epochs, and why."""
    ended = {"epoch": state.epoch, "what": f"the run ended here: {reason}"}
    others = [w for w in folder.facts.get("warnings", []) if w != ended]
    folder.update(epochs_planned=state.epoch, warnings=[*others, ended])


def _selected(job: Job, state: Progress) -> int | None:
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
