"""Checkpoints: weights with the manifest that explains them, and resume states.

A checkpoint is one safetensors file whose header carries the manifest as JSON, so that weights and
their explanation cannot be separated or half written. A resume state is a dictionary of plain
tensors and numbers, read with ``weights_only=True``. No file can run code when it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from core.errors import UserError
from core.files import write_atomically


@dataclass(frozen=True)
class Checkpoint:
    """Weights by state-dict key and the manifest they were saved with."""

    weights: dict[str, Tensor]
    manifest: dict[str, Any]


def save(path: Path, model: nn.Module, manifest: Mapping[str, Any]) -> None:
    """Write the weights of ``model`` and ``manifest`` to ``path``, atomically.

    Args:
        path: ``*.safetensors``.
        model: Its ``state_dict`` is saved.
        manifest: JSON-able; says what the weights are (paper, task, config, metrics, versions).

    Raises:
        OSError: The disk is full or the folder not writable; an older ``path`` is untouched.
    """
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    content = safetensors_bytes(weights, metadata={"manifest": json.dumps(manifest)})
    write_atomically(path, lambda file: file.write(content))


def load(path: Path) -> Checkpoint:
    """Read what :func:`save` wrote.

    Raises:
        UserError: Missing, truncated or corrupt file, or one without a manifest.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("manifest")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a readable safetensors file ({error}); it may be truncated: "
            "fetch or copy it again"
        ) from error
    try:
        manifest = json.loads(text or "")
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} has no manifest, so it was not written by this project; choose another file"
        ) from error
    return Checkpoint(weights, manifest)


def load_foreign(path: Path) -> dict[str, Any]:
    """Read a ``torch.save`` file of somebody else: tensors, numbers and containers only.

    Storages of any device are mapped to the CPU.

    Raises:
        UserError: Missing or corrupt file, or one that holds anything that could run code.
    """
    return _unpickled(path, next_step="fetch or copy it again, or ask its author for a state dict")


def load_into(model: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Strictly load ``weights`` into ``model``; nothing is loaded when anything differs.

    Raises:
        UserError: Keys or shapes differ: the checkpoint belongs to another network. Or a weight is
            NaN or infinite.
    """
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in weights]
    problems += [f"{key} is not part of this network" for key in weights if key not in own]
    problems += [
        f"{key} has shape {list(weights[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(
            f"{origin} belongs to another network: {'; '.join(problems[:3])}{more}; choose the "
            "configuration it was trained with"
        )
    if broken := [key for key, weight in weights.items() if not torch.isfinite(weight).all()]:
        raise UserError(
            f"{origin} holds a network that is lost: {', '.join(broken[:3])} with NaN or infinite "
            "values; choose a checkpoint from before it diverged"
        )
    model.load_state_dict(dict(weights))


def save_resume_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state atomically. Raises OSError like :func:`save`."""
    # Not straight to the file: torch.save turns the OSError of a full disk into a RuntimeError.
    content = io.BytesIO()
    torch.save(dict(state), content)
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def load_resume_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_resume_state` wrote. Raises UserError like :func:`load_foreign`."""
    return _unpickled(
        path,
        next_step="the run cannot be continued from it: put back a copy, or start the run again in "
        "another folder (the .safetensors files beside it are still good)",
    )


def sha256(path: Path) -> str:
    """Digest of a file, as hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Digest of tensors by name, type, shape and bytes, as hexadecimal.

    Unlike that of a file it does not depend on what else the file says: two runs that agree to the
    last bit agree in it.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _unpickled(path: Path, next_step: str) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; check the path")
    try:
        _verify_checksums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: random bytes name any
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} was refused: it is damaged, or it holds objects other than tensors and "
            f"numbers, which could run code when loaded; {next_step}"
        ) from error
    except Exception as error:  # PyTorch raises whatever damaged bytes make it stumble over
        raise UserError(
            f"{path} is truncated or damaged ({_first_line(error)}); {next_step}"
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds a {type(content).__name__}, expected a dictionary; {next_step}"
        )
    return content


def _verify_checksums(path: Path) -> None:
    """PyTorch writes a checksum for every tensor but does not look at them when it reads."""
    if not zipfile.is_zipfile(path):
        return  # the format before PyTorch 1.6, or no checkpoint at all
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"wrong checksum of {damaged}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
