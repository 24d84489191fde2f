"""What ``main.py`` does: one run, several, or tests of trained weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from core import checkpoints
from core.errors import RunFailed, UserError
from core.files import write_atomically
from core.paper import carry_out, opened, prepare, threads_of
from core.spoken.log import told
from core.spoken.training import refuse_batch_of_one
from core.training.run_folder import RunFolder
from silif.config import Config
from silif.paper import SILIF
from silif.published import NAMES, THEIRS
from silif.tracking import refuse_missing, tracked


def run(config: Config, base: Path | None) -> None:
    """Train and test one network, or go on with the run in ``config.resume``.

    Args:
        config: All settings.
        base: The file they started from, named in the record; None for the defaults.

    Raises:
        UserError: Data, folder, settings or device do not fit.
        RunFailed: The run failed; what was finished is kept.
        KeyboardInterrupt: The run was stopped; see :func:`core.training.fit.fit`.
    """
    refuse_missing_gpu(config)
    refuse_missing(config)
    _warn(config)
    prepared = prepare(SILIF, config, threads=threads_of(SILIF, config, base))
    refuse_batch_of_one(config, prepared.task, prepared.job.model)
    with (
        opened(SILIF, prepared, base, earlier=config.resume) as folder,
        told(folder.path, to_file=config.log_tofile, also_here=True),
        tracked(config, prepared.job, folder.path),
    ):
        if config.log_tofile:
            print(prepared.job.model)
        carry_out(SILIF, prepared, folder, resumed=config.resume is not None)
        _keep_their_way(folder)


def refuse_missing_gpu(config: Config) -> None:
    """Say so where ``--gpu_device`` asks for a GPU that PyTorch does not see.

    Raises:
        UserError: It does.
    """
    number = config.gpu_device
    if number is None or config.device != f"cuda:{number}":
        return
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= there:
        seen = f"GPUs 0 to {there - 1}" if there else "no GPU"
        raise UserError(
            f"--gpu_device {number}: PyTorch sees {seen} here; leave the flag out, or say "
            "--device cpu instead of it"
        )


def _warn(config: Config) -> None:
    if config.use_augm and config.dataset_name in ("shd", "ssc"):
        print(f"warning: use_augm has no effect on {config.dataset_name}", file=sys.stderr)
    if config.use_regularizers and config.protocol == "published":
        print(
            "warning: the published penalty has no gradient and changes nothing; with --protocol "
            "held-out it does",
            file=sys.stderr,
        )


def _keep_their_way(folder: RunFolder) -> None:
    """Write the selected weights where, and with the names with which, their code has them."""
    best = checkpoints.load(folder.path / "best.safetensors", {"epoch": int})
    path = folder.path / THEIRS
    try:
        path.parent.mkdir(exist_ok=True)
        weights = NAMES.to_published(best.weights)
        write_atomically(path, lambda file: torch.save(weights, file))
    except OSError as error:
        raise RunFailed(
            f"cannot write {path} ({error.strerror}), but the training is finished and its weights "
            f"are in {folder.path / 'best.safetensors'}"
        ) from error
