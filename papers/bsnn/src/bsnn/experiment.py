"""What ``main.py`` does beside what every paper does: trials, longer runs, tests alone, files."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from bsnn.config import Config, trial_seeds
from bsnn.files import write_files, write_results
from bsnn.following import draw_epochs
from bsnn.paper import BSNN_PAPER
from bsnn.summary import summary
from core.config import to_dict
from core.paper import carry_out, final_tests, opened, prepare
from core.paper.experiment import default_folder
from core.paper.longer import plan_more, whole_run
from core.spoken.log import told
from core.spoken.training import refuse_batch_of_one
from core.sweep.state import State, look
from core.training.stored import refuse_changes, result_keys, stored_settings

NETWORK_KEYS = (
    *("model", "balance", "n_layers", "neurons", "normalization", "bidirectional", "single_spike"),
    *("slow_dynamics", "reset", "repeat", "fix_w_in", "fix_w_rec", "fix_tau_rec"),
    *("fix_w_out", "fix_tau_out", "alpha_init", "dataset"),
)
"""Settings that the weights of a network stand and fall with."""


def run(config: Config, base: Path | None) -> None:
    """Train and test, or test alone, as ``config`` says.

    Several trials are runs of their own. Given again with the folder it wrote to, a command goes
    on with what was stopped there and leaves alone what is finished.

    Args:
        config: All settings.
        base: The file they started from, named in the record; None for the defaults.

    Raises:
        UserError: Data, folder, settings or device do not fit.
        RunFailed: A run failed; what was finished is kept.
        KeyboardInterrupt: A run was stopped; see :func:`core.training.fit.fit`.
    """
    config = _with_gpu(config)
    if config.only_do_testing:
        _test_only(config)
        return
    if config.trials == 1:
        new = config.out is None or config.resume or config.load_exp_folder
        (_train if new else _train_or_go_on)(config, base)
        return
    place = config.out or default_folder(BSNN_PAPER, config, base)
    for number, seed in enumerate(trial_seeds(config)):
        folder = place / f"trial_{number}"
        print(f"trial {number}, seed {seed}, in {folder}")
        try:
            _train_or_go_on(replace(config, trials=1, seed=seed, out=folder), base)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                f"{stop or 'stopped'}; with the same command and --new-exp-folder "
                f"{shlex.quote(str(place))} all trials go on"
            ) from None


def _train_or_go_on(config: Config, base: Path | None) -> None:
    """Leave the run in ``config.out`` alone if it is finished, else go on with it or start it.

    Raises:
        UserError: The folder holds a run with other settings, or see :func:`run`.
    """
    folder = config.out
    assert folder is not None, "the caller names it"
    state = look(folder) if (folder / "run.json").is_file() else State()
    if state.status != "finished" and not state.can_resume:
        _train(config, base)
        return
    stored = stored_settings(Config, folder, longer="n_epochs")
    refuse_changes(stored, config, result_keys(config), flag=f"--new-exp-folder {folder}")
    if state.status == "finished":
        print(f"{folder} is finished: test accuracy {state.accuracy:.2f} %")
    else:
        _train(replace(config, resume=folder), base)


def _with_gpu(config: Config) -> Config:
    """The device that ``--gpu`` names, where there is one."""
    if config.gpu < 0:
        return config
    if config.gpu < torch.cuda.device_count():
        return replace(config, device=f"cuda:{config.gpu}")
    print(f"note: --gpu {config.gpu} is ignored, there is no such GPU", file=sys.stderr)
    return config


def _train(config: Config, base: Path | None) -> None:
    settings, earlier, threads = whole_run(
        BSNN_PAPER,
        config,
        base,
        loaded=config.load_exp_folder,
        start=config.start_epoch,
        epochs="n_epochs",
        flag="--use-pretrained-model",
    )
    prepared = prepare(BSNN_PAPER, settings, threads=threads)
    refuse_batch_of_one(settings, prepared.task, prepared.job.model)
    with opened(BSNN_PAPER, prepared, base, earlier=earlier) as folder:
        plan_more(folder, settings, prepared.job)
        with _told(folder.path, config):
            for key, value in to_dict(settings).items():
                print(f" {key}={value}")
            print(summary(prepared.job.model))
            if config.plot:
                draw_epochs(prepared)
            carry_out(BSNN_PAPER, prepared, folder, resumed=earlier is not None)
            write_files(prepared, folder.path)


def _test_only(config: Config) -> None:
    folder = config.load_exp_folder
    assert folder is not None, "the settings demand it"
    stored = stored_settings(Config, folder, longer="n_epochs")
    refuse_changes(stored, config, NETWORK_KEYS, flag="--only-do-testing")
    prepared = prepare(BSNN_PAPER, config)
    with _told(folder, config):
        tests = final_tests(BSNN_PAPER, prepared, folder)
        print(tests)
        write_results(prepared, folder, tests.as_dict())


@contextmanager
def _told(folder: Path, config: Config) -> Iterator[None]:
    with told(folder, to_file=config.log, file="exp.log", flag="--log"):
        yield
