"""Checkpoints: weights with the manifest that explains them, and resume states.

A checkpoint is one safetensors file whose header carries the manifest as JSON, so that weights and
their explanation cannot be separated or half written. A resume state is a dictionary of plain
tensors and numbers, read with ``weights_only=True``. No file can run code when it is read.
"""

from __future__ import annotations

import hashlib
import json
import pickle
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
    if text is None:
        raise UserError(f"{path} has no manifest, so it was not written by this project")
    return Checkpoint(weights, json.loads(text))


def load_foreign(path: Path) -> dict[str, Any]:
    """Read a ``torch.save`` file of somebody else: tensors, numbers and containers only.

    Storages of any device are mapped to the CPU.

    Raises:
        UserError: Missing or corrupt file, or one that holds anything that could run code.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; check the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} was refused: it holds objects other than tensors and numbers, which could "
            "run code when loaded; ask its author for a state dict"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} is not a readable PyTorch checkpoint ({_first_line(error)}); it may be "
            "truncated: fetch or copy it again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected a dictionary")
    return content


def load_into(model: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Strictly load ``weights`` into ``model``; nothing is loaded when anything differs.

    Raises:
        UserError: Keys or shapes differ: the checkpoint belongs to another network.
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
    model.load_state_dict(dict(weights))


def save_resume_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state atomically. Raises OSError like :func:`save`."""
    write_atomically(path, lambda file: torch.save(dict(state), file))


def load_resume_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_resume_state` wrote. Raises UserError like :func:`load_foreign`."""
    return load_foreign(path)


def sha256(path: Path) -> str:
    """Digest of a file, as hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
