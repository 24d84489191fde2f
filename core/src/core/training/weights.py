"""The weights that a run keeps beside its resume state, and whether they still are as written."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from core import checkpoints
from core.errors import UserError
from core.training.job import Job
from core.training.run_folder import RunFolder


def save_weights(job: Job, folder: RunFolder, name: str, row: Mapping[str, Any]) -> str:
    """Write ``<name>.safetensors``; returns the digest of the weights.

    Args:
        job: Whose network to save.
        folder: Of the run.
        name: ``best`` or ``last``.
        row: Of the epoch, for the manifest.

    Raises:
        OSError: As :func:`core.checkpoints.save`.
    """
    manifest = {**job.manifest, "epoch": row["epoch"], "metrics": row}
    checkpoints.save(folder.path / f"{name}.safetensors", job.model, manifest)
    return checkpoints.weights_digest(job.model.state_dict())


def problem_of_weights(
    model: nn.Module, path: Path, epoch: int, digest: str | None, *, redone: int
) -> str | None:
    """Why ``path`` does not hold the weights that the resume state goes with; None when it does.

    Args:
        model: Of their shapes; left as it is.
        path: The checkpoint.
        epoch: That its manifest must name.
        digest: Of its weights; None where the run is from before there was one.
        redone: The epoch after the resume state. A kill between the two files leaves the weights
            one epoch ahead, which is trained, and written, again.
    """
    try:
        found = checkpoints.load(path)
        checkpoints.load_into(copy.deepcopy(model), found.weights, str(path))
    except UserError as error:
        return str(error)
    if (there := found.manifest.get("epoch")) == redone:
        return None
    if there != epoch:
        return f"{path} holds weights of epoch {there} instead of {epoch}"
    # a safetensors file has no checksum
    if digest not in (None, checkpoints.weights_digest(found.weights)):
        return f"{path} is damaged: its weights are not those that were saved"
    return None
