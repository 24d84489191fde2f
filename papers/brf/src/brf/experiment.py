"""One experiment of the paper, from its settings to a finished run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from brf.config import PAPER, Config, SmnistConfig
from brf.models import build, count_parameters
from brf.objectives import make_objective
from brf.task import Task, load_task
from brf.tbptt import truncated_step
from core.config import config_hash, load_yaml, to_dict, to_yaml
from core.errors import RunFailed, UserError
from core.scan import Case, choose
from core.training.devices import choose_device
from core.training.environment import describe
from core.training.fit import Job, best_row, fit, linear_decay
from core.training.loop import Objective, TrainStep, backpropagation_step
from core.training.run_folder import RunFolder, now
from core.training.seeding import seed_everything


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
    if config.resume is not None:
        _refuse_changes(config, config.resume)
    device = choose_device(config.device, config.threads)
    task = load_task(config)
    seed_everything(config.seed)
    job = make_job(config, task, device)
    with _run_folder(config, task, job, base) as folder:
        print(_headline(config, task, folder))
        history = fit(job, folder, resume=config.resume is not None)
        _report(config, folder, history)
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
        manifest={
            "paper": "brf",
            "task": config.task,
            "model": config.neuron,
            "config": to_dict(config),
            "config_hash": config_hash(config),
            "data": {"name": task.data, "digest": task.data_digest},
            "parameters": count_parameters(model),
            **describe(device, backend_of(config, model)),
        },
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
    layer = model.hidden
    current_TBH = torch.zeros(1, 1, config.hidden, device=layer.input_weight.device)
    return choose(Case(layer.neuron, current_TBH, layer.recurrent_weight), config.backend).name


def _run_folder(
    config: Config, task: Task, job: Job, base: Path
) -> AbstractContextManager[RunFolder]:
    if config.resume is not None:
        return RunFolder.reopen(config.resume)
    out = config.out
    if out is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        out = Path("runs") / f"{base.stem}-seed{config.seed}-{stamp}"
    named = base.resolve().is_relative_to(PAPER / "configs")
    facts = {
        **{key: value for key, value in job.manifest.items() if key != "config"},
        "config_file": f"configs/{base.name}" if named else None,
        "seed": config.seed,
        "started": now(),
        "finished": None,
        "status": "running",
        "epochs_planned": config.epochs,
        "epochs_done": 0,
        "seconds_per_epoch": None,
        "peak_memory_mb": None,
    }
    return RunFolder.create(out, to_yaml(config), facts)


def _refuse_changes(config: Config, resumed: Path) -> None:
    """A resumed run may move to another device or data folder; the rest is as it was."""
    stored = load_yaml(type(config), resumed / "config.yaml")
    old, new = to_dict(stored), to_dict(config)
    fixed = [field.name for field in fields(config) if field.metadata.get("hash", True)]
    if changed := [key for key in (*fixed, "out") if old[key] != new[key]]:
        raise UserError(
            f"--resume continues a run as it was, but {', '.join(changed)} would change; leave "
            "the flag out, or start a new run"
        )


def _headline(config: Config, task: Task, folder: RunFolder) -> str:
    facts = folder.facts
    resumed = f", resumed after epoch {facts['epochs_done']}" if config.resume else ""
    return (
        f"{config.neuron} on {task.data} ({config.task}): {facts['parameters']} parameters, "
        f"{task.train.samples} training / {task.validation.samples} validation / "
        f"{task.test.samples} test samples, seed {config.seed}\n"
        f"device {facts['device']} ({facts['device_name']}), {facts['threads']} threads, "
        f"backend {facts['backend']}, writing to {folder.path}{resumed}"
    )


def _report(config: Config, folder: RunFolder, history: list[dict[str, Any]]) -> None:
    from core.plots import learning_curve  # here: matplotlib takes a second to import

    best = best_row(history, config.best_on_ties)
    picture = folder.path / "learning_curve.png"
    title = f"{config.neuron.upper()} on {folder.facts['data']['name']}, seed {config.seed}"
    try:
        learning_curve(history, picture, title=title)
    except OSError as error:
        raise RunFailed(
            f"cannot write {picture} ({error.strerror}), but the training is finished and saved "
            f"in {folder.path}; make room and draw it with --resume {folder.path}"
        ) from error
    print(
        f"best epoch {best['epoch']} by validation loss: test accuracy "
        f"{best['test_accuracy']:.2f} %, {best['sop']:.1f} spikes per sample\n"
        f"last epoch {history[-1]['epoch']}: test accuracy {history[-1]['test_accuracy']:.2f} %\n"
        f"learning curve: {picture}"
    )
