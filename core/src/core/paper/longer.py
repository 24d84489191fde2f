"""Runs that are made longer after their end, as ``--use_pretrained_model`` of some papers does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from core import checkpoints
from core.config import to_yaml
from core.errors import UserError
from core.files import write_text_atomically
from core.paper.description import Paper
from core.paper.experiment import refuse_place
from core.settings import SettingsT
from core.training.job import Job
from core.training.resume import STATE
from core.training.run_folder import RESUME, RunFolder, explained
from core.training.stored import refuse_changes, result_keys, stored_settings, stored_threads


def longer(config: SettingsT, folder: Path, *, epochs: str, start: int, flag: str) -> SettingsT:
    """Settings of the run in ``folder`` with more epochs to do.

    Args:
        config: What is asked for; its number of epochs is how many more.
        folder: Of the run.
        epochs: Key of the number of epochs.
        start: The epochs that the run is said to have done.
        flag: What asks for more, for messages.

    Raises:
        UserError: Other settings than the epochs would change, or ``start`` is wrong.
    """
    stored = stored_settings(type(config), folder, longer=epochs)
    keys = [key for key in result_keys(config) if key != epochs]
    refuse_changes(stored, config, [*keys, "out"], flag=flag)
    # not from run.json, which a kill may have left one epoch behind
    done = checkpoints.load_resume_state(folder / RESUME, STATE)["progress"]["epoch"]
    if start != done:
        raise UserError(
            f"--start_epoch is {start}, but the last epoch of the run in {folder} is {done}; "
            f"use --start_epoch {done}"
        )
    changed: dict[str, Any] = {epochs: done + config.epochs}
    return replace(config, **changed)


def whole_run(
    paper: Paper[SettingsT],
    config: SettingsT,
    base: Path | None,
    *,
    loaded: Path | None,
    start: int,
    epochs: str,
    flag: str,
) -> tuple[SettingsT, Path | None, int]:
    """What a call asks for, as one uninterrupted run: that is what is stored.

    Args:
        paper: Whose run it is.
        config: What is asked for; ``resume`` names a run to go on with.
        base: The file the settings started from; None for the defaults.
        loaded: Folder of a run that is to be made longer, see :func:`longer`.
        start: See there, as for the next.
        epochs: Key of the number of epochs.
        flag: What asks for more, for messages.

    Returns:
        Settings of the whole run, the folder of the run that goes on (None for a new one), and its
        processor threads.

    Raises:
        UserError: A new run cannot write where it is to, or other settings would change.
    """
    earlier, threads = config.resume or loaded, config.threads
    if config.resume is not None:
        threads = stored_threads(config.resume, threads)
        stored = stored_settings(type(config), config.resume, longer=epochs)
        refuse_changes(stored, config, [*result_keys(config), "out"])
    elif loaded is not None:
        threads = stored_threads(loaded, threads, flag=flag)
        config = longer(config, loaded, epochs=epochs, start=start, flag=flag)
    once: dict[str, Any] = {"load_exp_folder": None, "start_epoch": 0, "resume": None}
    once["use_pretrained_model"] = False
    settings = replace(config, **once)
    if earlier is None:
        refuse_place(paper, settings, base)
    return settings, earlier, threads


def plan_more(folder: RunFolder, config: SettingsT, job: Job) -> None:
    """Let ``config.yaml`` and ``run.json`` say that the run is to be longer, where it is.

    Raises:
        UserError: They cannot be written.
    """
    if folder.facts.get("epochs_planned") == job.epochs:
        return
    step = {"epochs_planned": job.epochs, "command": job.manifest["command"]}
    with explained(f"cannot write into {folder.path}", "make room"):
        write_text_atomically(folder.path / "config.yaml", to_yaml(config))
        folder.update(
            epochs_planned=job.epochs,
            config=job.manifest["config"],
            config_hash=job.manifest["config_hash"],
            status="running",
            continued=[*folder.facts.get("continued", []), step],
        )
