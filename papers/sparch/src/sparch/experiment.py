"""What ``run_exp.py`` does beside what every paper does: longer runs, tests alone, a log file."""

from __future__ import annotations

import sys
from pathlib import Path

from core.config import to_yaml
from core.paper import carry_out, final_tests, opened, prepare
from core.paper.longer import plan_more, whole_run
from core.spoken.log import told
from core.spoken.training import refuse_batch_of_one
from core.training.stored import refuse_changes, stored_settings
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
    settings, earlier, threads = whole_run(
        SPARCH,
        config,
        base,
        loaded=config.load_exp_folder,
        start=config.start_epoch,
        epochs="nb_epochs",
        flag="--use_pretrained_model",
    )
    prepared = prepare(SPARCH, settings, threads=threads)
    refuse_batch_of_one(settings, prepared.task, prepared.job.model)
    with opened(SPARCH, prepared, base, earlier=earlier) as folder:
        plan_more(folder, settings, prepared.job)
        with told(folder.path, to_file=config.log_tofile):
            if config.log_tofile:
                print(f"{to_yaml(settings)}{prepared.job.model}")
            carry_out(SPARCH, prepared, folder, resumed=earlier is not None)


def _test_only(config: Config) -> None:
    folder = config.load_exp_folder
    assert folder is not None, "the settings demand it"
    stored = stored_settings(Config, folder, longer="nb_epochs")
    refuse_changes(stored, config, NETWORK_KEYS, flag="--only_do_testing")
    prepared = prepare(SPARCH, config)
    with told(folder, to_file=config.log_tofile):
        print(final_tests(SPARCH, prepared, folder))
