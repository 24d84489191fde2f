"""One experiment of the paper, from its settings to a finished run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from brf.config import PAPER, Config, SmnistConfig
from brf.models import build, count_parameters
from brf.objectives import make_objective
from brf.task import Task, load_task
from brf.tbptt import truncated_step
from core.config import to_yaml
from core.errors import UserError
from core.training.devices import choose_device
from core.training.experiment import (
    backend_name,
    first_facts,
    headline,
    make_manifest,
    refuse_changes,
    report,
    result_keys,
)
from core.training.fit import Job, fit
from core.training.loop import Objective, TrainStep, backpropagation_step
from core.training.run_folder import RunFolder
from core.training.schedules import linear_decay
from core.training.seeding import seed_everything
from core.training.stored import reopen, stored_settings, stored_threads


def run(config: Config, base: Path) -> list[dict[str, Any]]:
    """Train as ``config`` says; returns the rows of ``metrics.jsonl``.

    Args:
        config: All settings.
        base: The file they started from, named in the record.

    Raises:
        UserError: Data, folder or device do not fit.
        RunFailed: The run failed; what was finished is kept.
        KeyboardInterrupt: The run was stopped; see :func:`core.training.fit.fit`.
    """
    threads = config.threads
    if config.resume is not None:
        stored = stored_settings(type(config), config.resume, epochs="epochs")
        refuse_changes(stored, config, [*result_keys(config), "out"])
        threads = stored_threads(config.resume, config.threads)
    device = choose_device(config.device, threads)
    task = load_task(config)
    seed_everything(config.seed)
    job = make_job(config, task, device)
    with _run_folder(config, task, job, base) as folder:
        print(headline(job, folder, samples=_samples(task), resumed=config.resume is not None))
        history = fit(job, folder, resume=config.resume is not None)
        print(report(job, folder, history))
    return history


def make_job(config: Config, task: Task, device: torch.device) -> Job:
    """Model, objective, optimiser and data of a run.

    Raises:
        UserError: The settings do not fit the data, or there is no such backend.
    """
    _check_steps(config, task)
    model = build(config, task.inputs, task.classes).to(device)
    if task.permutation is not None:
        # part of the model: it is of no use without the order of pixels it was trained on
        model.register_buffer("permutation", task.permutation.to(device))
    optimizers = {"adam": torch.optim.Adam, "radam": torch.optim.RAdam}
    optimizer = optimizers[config.optimizer](model.parameters(), lr=config.lr)
    objective = objective_of(config)
    return Job(
        model=model,
        objective=objective,
        train_step=_train_step(config, objective),
        optimizer=optimizer,
        scheduler=linear_decay(config.epochs)(optimizer),
        train=task.train,
        validation=task.validation,
        test=task.test,
        epochs=config.epochs,
        best_on_ties=config.best_on_ties,
        manifest=make_manifest(
            config,
            paper="brf",
            task=config.task,
            model=config.neuron,
            data=task.data,
            data_digest=task.data_digest,
            parameters=count_parameters(model),
            device=device,
            backend=backend_of(config, model),
        ),
        device=device,
    )


def objective_of(config: Config) -> Objective:
    """Loss and accuracy of the task, as the recipe counts them."""
    if isinstance(config, SmnistConfig):
        return make_objective(
            per_step=False,
            label_last=config.label_last,
            sub_seq_length=config.sub_seq_length,
            lambda_spike=config.lambda_spike,
        )
    return make_objective(per_step=True, label_last=False, sub_seq_length=config.sub_seq_length)


def _check_steps(config: Config, task: Task) -> None:
    steps = len(next(iter(task.validation.epoch(0)))[0])
    if config.sub_seq_length >= steps:
        raise UserError(
            f"--sub_seq_length {config.sub_seq_length} leaves nothing of the {steps} steps of "
            f"{task.data}; choose a smaller one"
        )


def _train_step(config: Config, objective: Objective) -> TrainStep:
    if isinstance(config, SmnistConfig) and config.tbptt_steps is not None:
        return truncated_step(
            config.tbptt_steps, label_last=config.label_last, clip_norm=config.clip_norm
        )
    return backpropagation_step(objective, config.clip_norm)


def backend_of(config: Config, model: Any) -> str:
    """Name of the scan backend that runs the hidden layer."""
    return backend_name(model.hidden.neuron, model.hidden.recurrent_weight, config.backend)


def _run_folder(
    config: Config, task: Task, job: Job, base: Path
) -> AbstractContextManager[RunFolder]:
    if config.resume is not None:
        return reopen(config.resume, job)
    out = config.out
    if out is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        out = Path("runs") / f"{base.stem}-seed{config.seed}-{stamp}"
    facts = first_facts(job, seed=config.seed, base=base, paper_folder=PAPER)
    return RunFolder.create(out, to_yaml(config), facts)


def _samples(task: Task) -> str:
    return (
        f"{task.train.samples} training / {task.validation.samples} validation / "
        f"{task.test.samples} test samples"
    )
