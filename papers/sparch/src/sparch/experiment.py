"""What ``run_exp.py`` does beside what every paper does: longer runs, tests alone, a log file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from core import checkpoints
from core.config import to_yaml
from core.errors import UserError
from core.files import write_text_atomically
from core.paper import carry_out, final_tests, opened, prepare, refuse_place
from core.spoken.log import told
from core.spoken.training import refuse_batch_of_one
from core.training.job import Job
from core.training.resume import STATE
from core.training.run_folder import RESUME, RunFolder, explained
from core.training.stored import refuse_changes, result_keys, stored_settings, stored_threads
from sparch.config import Config
from sparch.paper import SPARCH

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
        refuse_changes(_stored(config.resume), config, [*result_keys(config), "out"])
    elif config.load_exp_folder is not None:
        config = _continued(config, config.load_exp_folder)
    # what is stored are the settings of one uninterrupted run
    settings = replace(
        config, use_pretrained_model=False, load_exp_folder=None, start_epoch=0, resume=None
    )
    if earlier is None:
        refuse_place(SPARCH, settings, base)
    prepared = prepare(SPARCH, settings, threads=threads)
    refuse_batch_of_one(settings, prepared.task, prepared.job.model)
    with opened(SPARCH, prepared, base, earlier=earlier) as folder:
        if folder.facts.get("epochs_planned") != prepared.job.epochs:
            with explained(f"cannot write into {folder.path}", "make room"):
                _plan_more(folder, settings, prepared.job)
        with told(folder.path, to_file=config.log_tofile):
            if config.log_tofile:
                print(f"{to_yaml(settings)}{prepared.job.model}")
            carry_out(SPARCH, prepared, folder, resumed=earlier is not None)


def _stored(folder: Path) -> Config:
    return stored_settings(Config, folder, longer="nb_epochs")


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


def _test_only(config: Config) -> None:
    folder = config.load_exp_folder
    assert folder is not None, "the settings demand it"
    refuse_changes(_stored(folder), config, NETWORK_KEYS, flag="--only_do_testing")
    prepared = prepare(SPARCH, config)
    with told(folder, to_file=config.log_tofile):
        print(final_tests(SPARCH, prepared, folder))
