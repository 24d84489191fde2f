"""Checkpoints: weights with the manifest that explains them, and resume states.

A checkpoint is one safetensors file whose header carries the manifest as JSON, so that weights and
their explanation cannot be separated or half written. A resume state is a dictionary of plain
tensors and numbers, read with ``weights_only=True``. No file can run code when it is read.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from core.errors import UserError
from core.files import write_atomically
from core.outside.shape import NAME, check
from core.outside.tensors import check_plain, check_weights, read_archive
from core.outside.text import from_json, reason, shown, to_json

logger = logging.getLogger(__name__)
ModuleT = TypeVar("ModuleT", bound=nn.Module)

MANIFEST: dict[str, Any] = {
    "paper": NAME,
    "config": {str: object},
    "task?": NAME,
    "model?": NAME,
}
"""What papers read in the manifest of a checkpoint that a training wrote."""

_HEADER_BYTES = 2**24


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
    content = safetensors_bytes(weights, metadata={"manifest": to_json(manifest)})
    write_atomically(path, lambda file: file.write(content))


def load(path: Path, manifest: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read what :func:`save` wrote.

    Args:
        path: ``*.safetensors``.
        manifest: What its manifest must say, a shape of :mod:`core.outside.shape`.

    Raises:
        UserError: Missing, truncated or corrupt file, or one without such a manifest.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; check the path")
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("manifest")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # of damaged bytes: SafetensorError, OSError and others
        raise UserError(
            f"{path} is not a readable safetensors file ({reason(error)}); it may be truncated: "
            "fetch or copy it again"
        ) from error
    if text is None:
        raise UserError(
            f"{path} has no manifest, so it was not written by this project; choose another file"
        )
    where = f"{path}: the manifest"
    said = check(from_json(text, where), manifest or {"paper?": object}, where)
    return Checkpoint(unwrapped(check_weights(weights, str(path)), str(path)), said)


def load_of_paper(path: Path, paper: str) -> Checkpoint:
    """Read a checkpoint that a training of ``paper`` wrote: its manifest says all of ``MANIFEST``.

    Raises:
        UserError: As :func:`load`, or it is of another paper.
    """
    found = load(path)
    if (theirs := found.manifest.get("paper")) != paper:
        raise UserError(f"{path} is a checkpoint of {shown(theirs)}, not of {paper}")
    check(found.manifest, MANIFEST, f"{path}: the manifest")
    return found


def load_foreign(path: Path) -> dict[str, Tensor]:
    """Read a state dict that somebody else saved with ``torch.save``, alone or beside more.

    It may stand under ``model_state_dict`` or ``state_dict``; names that DistributedDataParallel
    and ``torch.compile`` put in front are taken off (see :func:`unwrapped`).

    Raises:
        UserError: Missing or corrupt file, one without a state dict of ordinary tensors, or one
            that holds anything that could run code.
    """
    content = read_archive(path, "fetch or copy it again, or ask its author for a state dict")
    if isinstance(content, dict):
        nested = (content[key] for key in ("model_state_dict", "state_dict") if key in content)
        content = next(nested, content)
    return unwrapped(check_weights(content, str(path)), str(path))


def unwrapped(weights: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    """``weights`` by the names of the network itself.

    ``torch.compile`` adds ``_orig_mod.`` anywhere in a name, DataParallel and
    DistributedDataParallel ``module.`` in front of all of them. A notice says what was taken off.

    Args:
        weights: By name.
        origin: Where they come from, for messages.

    Raises:
        UserError: Only some names start with ``module.``, or two names become one.
    """
    names = {name: name.replace("_orig_mod.", "") for name in weights}
    removed = ["_orig_mod."] if list(names.values()) != list(names) else []
    while names and all(name.startswith("module.") for name in names.values()):
        names = {old: name.removeprefix("module.") for old, name in names.items()}
        removed.append("module.")
    wrapped = [old for old, name in names.items() if name.startswith("module.")]
    if wrapped or len(set(names.values())) != len(names):
        raise UserError(
            f"{origin}: only some names have a wrapper's 'module.' or '_orig_mod.' in them "
            f"(such as {shown(next(iter(wrapped or names)))}); save the state_dict of the network "
            "inside"
        )
    if removed:
        logger.info("%s: read without %s in its names", origin, " and ".join(removed))
    return {names[old]: tensor for old, tensor in weights.items()}


def build_with(make: Callable[[], ModuleT], weights: Mapping[str, Tensor], origin: str) -> ModuleT:
    """The network that ``make`` builds, with ``weights`` in it.

    Settings of others may ask for a network of any size, so it is built only after its names and
    shapes, without memory behind them, were found in ``weights``.

    Raises:
        UserError: As :func:`load_into`.
    """
    try:
        with torch.device("meta"):
            skeleton = make().state_dict()
    except RuntimeError as error:  # larger than any memory
        raise UserError(
            f"{origin} asks for a network that cannot be built ({reason(error)})"
        ) from error
    _refuse_another(skeleton, weights, origin)
    model = make()
    load_into(model, weights, origin)
    return model


def load_into(model: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Strictly load ``weights`` into ``model``; nothing is loaded when anything differs.

    Raises:
        UserError: Keys or shapes differ: the checkpoint belongs to another network. Or a weight is
            NaN or infinite.
    """
    _refuse_another(model.state_dict(), weights, origin)
    model.load_state_dict(dict(weights))


def _refuse_another(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], origin: str) -> None:
    problems = [f"{key} is missing" for key in own if key not in weights]
    problems += [f"{shown(key)} is not part of this network" for key in weights if key not in own]
    for key in [key for key in own if key in weights]:
        ours, theirs = own[key], weights[key]
        if theirs.shape != ours.shape:
            problems.append(f"{key} has shape {list(theirs.shape)} instead of {list(ours.shape)}")
        elif theirs.is_floating_point() != ours.is_floating_point():
            problems.append(f"{key} is of type {theirs.dtype} instead of {ours.dtype}")
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


def save_resume_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state atomically. Raises OSError like :func:`save`."""
    # Not straight to the file: torch.save turns the OSError of a full disk into a RuntimeError.
    content = io.BytesIO()
    torch.save(dict(state), content)
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def load_resume_state(path: Path, shape: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read what :func:`save_resume_state` wrote.

    Args:
        path: The file.
        shape: What it must hold, a shape of :mod:`core.outside.shape`.

    Raises:
        UserError: Missing or corrupt file, one that holds anything that could run code, or one that
            does not hold what it must.
    """
    next_step = (
        "the run cannot be continued from it: put back a copy, or start the run again in another "
        "folder (the .safetensors files beside it are still good)"
    )
    content = check_plain(read_archive(path, next_step), str(path))
    state: dict[str, Any] = check(content, shape or {"model?": object}, str(path), next_step)
    return state


def _check_header(path: Path) -> None:
    """Refuse a header that would take much memory to read; ours have some kilobytes."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes")


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
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
