"""One experiment of a paper, from its settings to a finished run: the steps, and all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic

import torch

from core import checkpoints
from core.config import to_yaml
from core.errors import RunFailed
from core.paper.description import Paper, Task
from core.paper.facts import first_facts, headline, make_manifest, report
from core.paper.repeated import Evaluations, evaluate_repeatedly
from core.scan import refuse_unknown
from core.settings import SettingsT
from core.training.devices import choose_device
from core.training.fit import fit
from core.training.job import Job
from core.training.run_folder import RunFolder, refuse_unusable, resume_flag
from core.training.seeding import seed_everything
from core.training.stored import (
    refuse_changes,
    reopen,
    result_keys,
    stored_settings,
    stored_threads,
)
from core.training.threads import settle_threads


@dataclass(frozen=True)
class Prepared(Generic[SettingsT]):
    """An experiment that could start now.

    Attributes:
        config: All settings.
        task: Its data.
        job: Everything that training needs.
        threads: Why it takes as many as it does; empty where the settings say.
    """

    config: SettingsT
    task: Any
    job: Job
    threads: str = ""


def run(paper: Paper[SettingsT], config: SettingsT, base: Path | None) -> list[dict[str, Any]]:
    """Train as ``config`` says, or go on with the run in ``config.resume``.

    Args:
        paper: Whose experiment it is.
        config: All settings.
        base: The file they started from, named in the record; None for the defaults.

    Returns:
        The rows of ``metrics.jsonl``.

    Raises:
        UserError: Data, folder or device do not fit.
        RunFailed: The run failed; what was finished is kept.
        KeyboardInterrupt: The run was stopped; see :func:`core.training.fit.fit`.
    """
    prepared = prepare(paper, config, threads=threads_of(paper, config, base))
    with opened(paper, prepared, base, earlier=config.resume) as folder:
        return carry_out(paper, prepared, folder, resumed=config.resume is not None)


def threads_of(paper: Paper[SettingsT], config: SettingsT, base: Path | None) -> int:
    """Say before data are read that a run cannot start, or go on; processor threads if it can.

    Raises:
        UserError: It cannot write where it is to, or ``--resume`` would change its settings.
    """
    if config.resume is None:
        refuse_place(paper, config, base)
        return config.threads
    stored = stored_settings(type(config), config.resume)
    refuse_changes(stored, config, [*result_keys(config), "out"])
    return stored_threads(config.resume, config.threads)


def prepare(
    paper: Paper[SettingsT], config: SettingsT, *, threads: int | None = None
) -> Prepared[SettingsT]:
    """Device, data and network of an experiment; nothing is written yet.

    Args:
        paper: Whose experiment it is.
        config: All settings.
        threads: Of the processor, for a run that goes on; by default those of the settings.

    Raises:
        UserError: Data or device do not fit.
    """
    refuse_unknown(config.backend)
    threads = config.threads if threads is None else threads
    device = choose_device(config.device, threads)
    task: Task = paper.load_task(config, None)
    seed_everything(config.seed)
    job = make_job(paper, config, task, device)
    why = ""
    if not threads:
        why = settle_threads(job.model, task.train, device)
        job.manifest["threads"] = torch.get_num_threads()
    return Prepared(config, task, job, why)


def refuse_place(paper: Paper[SettingsT], config: SettingsT, base: Path | None) -> None:
    """Say before data are read that a new run cannot write where it is to.

    Raises:
        UserError: The folder is occupied, or not writable.
    """
    refuse_unusable(config.out or default_folder(paper, config, base))


def make_job(paper: Paper[SettingsT], config: SettingsT, task: Task, device: torch.device) -> Job:
    """Model, objective, optimiser and data of a run.

    Raises:
        UserError: The settings do not fit the data, or there is no such backend.
    """
    model = paper.build(config, task).to(device)
    objective = paper.objective(config)
    recipe = paper.recipe(config, model, objective)
    return Job(
        model=model,
        objective=objective,
        train_step=recipe.train_step,
        optimizer=recipe.optimizer,
        scheduler=recipe.scheduler,
        train=task.train,
        validation=task.validation,
        test=task.test,
        epochs=config.epochs,
        best_on_ties=recipe.best_on_ties,
        selects=recipe.selects,
        after_epoch=recipe.after_epoch,
        stop=recipe.stop,
        log=recipe.log,
        manifest=make_manifest(paper, config, task, model, device),
        device=device,
    )


@contextmanager
def opened(
    paper: Paper[SettingsT],
    prepared: Prepared[SettingsT],
    base: Path | None,
    *,
    earlier: Path | None,
) -> Iterator[RunFolder]:
    """The folder of a run that starts now, or of an earlier one that goes on.

    Raises:
        UserError: It cannot be used.
    """
    if earlier is not None:
        with reopen(earlier, prepared.job) as folder:
            yield folder
        return
    config = prepared.config
    facts = first_facts(prepared.job, seed=config.seed, base=base, paper_folder=paper.folder)
    out = config.out or default_folder(paper, config, base)
    with RunFolder.create(out, to_yaml(config), facts) as folder:
        yield folder


def default_folder(paper: Paper[SettingsT], config: SettingsT, base: Path | None) -> Path:
    """Where a run writes without ``--out``: configuration, seed and time, so that none collide."""
    if paper.run_name is not None:
        name = paper.run_name(config, base)
    else:
        name = Path("runs") / (base.stem if base else f"{config.task}_{config.model}")
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return name.with_name(f"{name.name}-seed{config.seed}-{stamp}")


def carry_out(
    paper: Paper[SettingsT], prepared: Prepared[SettingsT], folder: RunFolder, *, resumed: bool
) -> list[dict[str, Any]]:
    """Train, draw the learning curve, test and count; tells what it does.

    Raises:
        RunFailed: The run failed; what was finished is kept.
        KeyboardInterrupt: The run was stopped.
    """
    job = prepared.job
    print(
        headline(
            job,
            folder,
            samples=prepared.task.samples,
            resumed=resumed,
            why_threads=prepared.threads,
        )
    )
    history = fit(job, folder, resume=resumed)
    print(report(job, folder, history))
    tests = final_tests(paper, prepared, folder.path)
    facts: dict[str, Any] = {"counts": tests.counts.as_dict()}
    if paper.tests(prepared.config).times:
        facts["tests"] = tests.as_dict()
        print(tests)
    print(tests.counts)
    try:
        folder.update(**facts)
    except OSError as error:
        raise RunFailed(
            f"cannot write the tests into {folder.path} ({error.strerror}), but the training "
            f"is finished and saved there; make room, then {resume_flag(folder.path)} tests it"
        ) from error
    return history


def final_tests(
    paper: Paper[SettingsT], prepared: Prepared[SettingsT], folder: Path
) -> Evaluations:
    """Test the weights in a run's folder as often as the settings ask for, at least once.

    Raises:
        UserError: The weights are missing, damaged, or of another network.
    """
    job, wanted = prepared.job, paper.tests(prepared.config)
    path = folder / f"{wanted.weights}.safetensors"
    checkpoint = checkpoints.load(path, {"epoch": int})
    checkpoints.load_into(job.model, checkpoint.weights, str(path))
    return evaluate_repeatedly(
        job.model,
        prepared.task.test,
        job.objective,
        name=f"{path.stem} weights, epoch {checkpoint.manifest['epoch']}",
        device=job.device,
        seeds=range(max(1, wanted.times)),
    )
