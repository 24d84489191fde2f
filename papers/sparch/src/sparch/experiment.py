"""One experiment of the paper, from its settings to a finished and tested run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from core import checkpoints
from core.config import to_yaml
from core.errors import RunFailed, UserError
from core.files import write_text_atomically
from core.layers import SpikingLayer
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
from core.training.fit import STATE, Job, fit
from core.training.loop import Objective, backpropagation_step
from core.training.run_folder import RESUME, RunFolder, explained, resume_flag
from core.training.schedules import plateau_of_accuracy
from core.training.seeding import seed_everything
from core.training.stored import reopen, stored_settings, stored_threads
from sparch.config import PAPER, Config, default_folder
from sparch.models import ANN, SNN, build, count_parameters
from sparch.objectives import RatePenalty, make_objective
from sparch.repeated import Evaluations, evaluate_repeatedly
from sparch.task import MAX_TIME, Task, load_task

NETWORK_KEYS = (
    *("model_type", "nb_layers", "nb_hiddens", "normalization", "use_bias", "bidirectional"),
    "dataset_name",
)
"""Settings that the weights of a network stand and fall with."""


def run(config: Config, base: Path | None) -> None:
    """Train and test, or test alone, as ``config`` says.

    Args:
        config: All settings.
        base: The file they started from, named in the record; None for the defaults.

    Raises:
        UserError: Data, folder, settings or device do not fit.
        RunFailed: The run failed; what was finished is kept.
        KeyboardInterrupt: The run was stopped; see :func:`core.training.fit.fit`.
    """
    if config.use_augm and config.dataset_name in ("shd", "ssc"):
        print(f"warning: use_augm has no effect on {config.dataset_name}", file=sys.stderr)
    if config.only_do_testing:
        _test_only(config)
    else:
        _train(config, base)


def _train(config: Config, base: Path | None) -> None:
    earlier, threads = config.resume or config.load_exp_folder, config.threads
    if earlier is not None:
        flag = "--resume" if config.resume else "--use_pretrained_model"
        threads = stored_threads(earlier, config.threads, flag=flag)
    if config.resume is not None:
        stored = _stored(config.resume)
        refuse_changes(stored, config, [*result_keys(config), "out"])
    elif config.load_exp_folder is not None:
        config = _continued(config, config.load_exp_folder)
    # what is stored are the settings of one uninterrupted run
    settings = replace(
        config, use_pretrained_model=False, load_exp_folder=None, start_epoch=0, resume=None
    )
    device = choose_device(config.device, threads)
    task = load_task(config)
    seed_everything(config.seed)
    job = make_job(settings, task, device)
    _refuse_batch_of_one(settings, task, job)
    with _run_folder(settings, job, base, earlier) as folder, _told(folder.path, config):
        print(headline(job, folder, samples=_samples(task), resumed=earlier is not None))
        if config.log_tofile:
            print(f"{to_yaml(settings)}{job.model}")
        history = fit(job, folder, resume=earlier is not None)
        print(report(job, folder, history))
        kept = "best" if config.save_best else "last"
        tests = _tests_of(job, task, folder.path / f"{kept}.safetensors", config)
        print(tests)
        try:
            folder.update(tests=tests.as_dict())
        except OSError as error:
            raise RunFailed(
                f"cannot write the tests into {folder.path} ({error.strerror}), but the training "
                f"is finished and saved there; make room, then {resume_flag(folder.path)} tests it"
            ) from error


def _stored(folder: Path) -> Config:
    return stored_settings(Config, folder, epochs="nb_epochs", may_be_longer=True)


def _continued(config: Config, folder: Path) -> Config:
    """Settings of the run in ``folder`` with more epochs to do.

    Raises:
        UserError: Other settings than the epochs would change, or ``start_epoch`` is wrong.
    """
    stored = _stored(folder)
    keys = [key for key in result_keys(config) if key != "nb_epochs"]
    refuse_changes(stored, config, [*keys, "out"], flag="--use_pretrained_model")
    # not from run.json, which a kill may have left one epoch behind
    done = checkpoints.load_resume_state(folder / RESUME, STATE)["progress"]["epoch"]
    if config.start_epoch != done:
        raise UserError(
            f"--start_epoch is {config.start_epoch}, but the last epoch of the run in {folder} is "
            f"{done}; use --start_epoch {done}"
        )
    return replace(config, nb_epochs=done + config.nb_epochs)


def _refuse_batch_of_one(config: Config, task: Task, job: Job) -> None:
    """The readout of a network without spikes takes batch norm over samples alone.

    Raises:
        UserError: A training batch is a single sample; the authors' code dies there, at the end of
            the first epoch.
    """
    samples, size = task.train.samples, config.batch_size
    batch_norm = any(isinstance(module, nn.BatchNorm1d) for module in job.model.modules())
    fitting = [n for n in range(1, samples + 1) if (samples % n or n) > 1]  # samples of the last
    if config.is_spiking or not batch_norm or size in fitting or size > samples > 1:
        return
    nearest = [*[n for n in fitting if n < size][-1:], *[n for n in fitting if n > size][:1]]
    use = f"--batch_size {' or '.join(map(str, nearest))}, or " if nearest else ""
    raise UserError(
        f"--batch_size {size} leaves a single one of {samples} training samples for the last "
        f"batch, on which batch norm cannot be trained; use {use}--normalization layernorm"
    )


def make_job(config: Config, task: Task, device: torch.device) -> Job:
    """Model, objective, optimiser and data of a run.

    Raises:
        UserError: There is no such backend.
    """
    model = build(config, task.inputs, task.classes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    schedule = plateau_of_accuracy(
        factor=config.scheduler_factor, patience=config.scheduler_patience
    )
    objective = objective_of(config)
    return Job(
        model=model,
        objective=objective,
        train_step=backpropagation_step(objective, config.clip_norm),
        optimizer=optimizer,
        scheduler=schedule(optimizer),
        train=task.train,
        validation=task.validation,
        test=task.test,
        epochs=config.nb_epochs,
        best_on_ties="first",
        selects="val_accuracy",
        manifest=make_manifest(
            config,
            paper="sparch",
            task=config.dataset_name,
            model=config.model_type,
            data=task.data,
            data_digest=task.data_digest,
            parameters=count_parameters(model),
            device=device,
            backend=backend_of(model, config.backend),
        ),
        device=device,
    )


def objective_of(config: Config) -> Objective:
    """Loss and counts as the settings ask for them."""
    if not config.use_regularizers:
        return make_objective()
    return make_objective(RatePenalty(config.reg_factor, config.reg_fmin, config.reg_fmax))


def backend_of(model: SNN | ANN, backend: str) -> str:
    """Name of the scan backend that runs the first hidden layer; PyTorch runs all others."""
    if isinstance(model, ANN):
        return "torch"
    layer = model.snn[0]
    assert isinstance(layer, SpikingLayer)
    return backend_name(layer.neuron, None if layer.V is None else layer.V.weight, backend)


@contextmanager
def _run_folder(
    config: Config, job: Job, base: Path | None, earlier: Path | None
) -> Iterator[RunFolder]:
    if earlier is None:
        facts = first_facts(job, seed=config.seed, base=base, paper_folder=PAPER)
        out = config.out or default_folder(config)
        with RunFolder.create(out, to_yaml(config), facts) as folder:
            yield folder
        return
    with reopen(earlier, job) as folder:
        if folder.facts.get("epochs_planned") != job.epochs:
            with explained(f"cannot write into {earlier}", "make room"):
                _plan_more(folder, config, job)
        yield folder


def _plan_more(folder: RunFolder, config: Config, job: Job) -> None:
    """Let ``config.yaml`` and ``run.json`` say that the run is to be longer."""
    write_text_atomically(folder.path / "config.yaml", to_yaml(config))
    step = {"epochs_planned": job.epochs, "command": job.manifest["command"]}
    folder.update(
        epochs_planned=job.epochs,
        config=job.manifest["config"],
        config_hash=job.manifest["config_hash"],
        status="running",
        continued=[*folder.facts.get("continued", []), step],
    )


def _samples(task: Task) -> str:
    late = f" ({task.late} spikes after {MAX_TIME} s left out)" if task.late else ""
    if task.test_is_validation:
        return (
            f"{task.train.samples} training / {task.test.samples} test samples "
            f"(which also select the epoch){late}"
        )
    return (
        f"{task.train.samples} training / {task.validation.samples} validation / "
        f"{task.test.samples} test samples{late}"
    )


def _test_only(config: Config) -> None:
    folder = config.load_exp_folder
    assert folder is not None, "the settings demand it"
    stored = _stored(folder)
    refuse_changes(stored, config, NETWORK_KEYS, flag="--only_do_testing")
    device = choose_device(config.device, config.threads)
    task = load_task(config)
    job = make_job(config, task, device)
    kept = "best" if config.save_best else "last"
    with _told(folder, config):
        print(_tests_of(job, task, folder / f"{kept}.safetensors", config))


def _tests_of(job: Job, task: Task, path: Path, config: Config) -> Evaluations:
    checkpoint = checkpoints.load(path, {"epoch": int})
    checkpoints.load_into(job.model, checkpoint.weights, str(path))
    return evaluate_repeatedly(
        job.model,
        task.test,
        job.objective,
        name=f"{path.stem} weights, epoch {checkpoint.manifest['epoch']}",
        device=job.device,
        times=config.evaluations if config.is_random else 1,
    )


@contextmanager
def _told(folder: Path, config: Config) -> Iterator[None]:
    """Send what is printed to ``log/exp.log`` of ``folder`` where the settings ask for it."""
    if not config.log_tofile:
        yield
        return
    path = folder / "log" / "exp.log"
    try:
        path.parent.mkdir(exist_ok=True)
        log = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}); leave --log_tofile out"
        ) from error
    print(f"writing to {path}")
    with log, redirect_stdout(log):
        yield
