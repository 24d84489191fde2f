"""Archives of ``torch.save`` and the tensors in them.

No archive runs code when it is read (``weights_only=True``), and none becomes larger in memory than
it is on the disk: entries are neither compressed nor shared, and a tensor has no more elements than
its storage.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.outside.text import reason, shown

_DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}
_DEPTH = 16
_ITEMS = 1_000_000


def read_archive(path: Path, next_step: str) -> Any:
    """What ``torch.save`` wrote to ``path``, with all storages on the CPU.

    Use what comes back through :func:`check_plain` or :func:`check_weights` alone.

    Args:
        path: The file.
        next_step: What to do when it cannot be read, for the message.

    Raises:
        UserError: Missing, damaged or compressed file, one of the format before PyTorch 1.6, or one
            that holds anything that could run code.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; check the path")
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} was refused: it is truncated or damaged, or of the format before PyTorch 1.6 "
            "(torch.save(torch.load(OLD, weights_only=True), NEW) writes it in the present one); "
            f"{next_step}"
        )
    try:
        _check_entries(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: random bytes name any
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} was refused: it is damaged, or it holds objects other than tensors and "
            f"numbers, which could run code when loaded; {next_step}"
        ) from error
    except Exception as error:  # PyTorch raises whatever damaged bytes make it stumble over
        raise UserError(f"{path} is truncated or damaged ({reason(error)}); {next_step}") from error


def check_plain(value: Any, where: str) -> Any:
    """Return ``value`` when it consists of plain tensors, containers, numbers, texts and None.

    Raises:
        UserError: It does not, or is nested too deep; names the place.
    """
    left, seen = [(value, where, 0)], 0
    while left:
        item, place, depth = left.pop()
        seen += 1
        if depth > _DEPTH or seen > _ITEMS:  # also where a list holds itself
            raise UserError(f"{where} is nested too deep; put back a copy")
        if isinstance(item, Tensor):
            check_tensor(item, place)
        elif isinstance(item, dict):
            left += [(inner, f"{place}: {shown(key)}", depth + 1) for key, inner in item.items()]
        elif isinstance(item, list | tuple):
            left += [(inner, place, depth + 1) for inner in item]
        elif item is not None and not isinstance(item, bool | int | float | str):
            raise UserError(f"{place} is a {type(item).__name__}; put back a copy")
    return value


def check_weights(value: Any, where: str) -> dict[str, Tensor]:
    """Tensors by name: a state dict.

    Raises:
        UserError: It is none; names what is in the way.
    """
    if not isinstance(value, Mapping) or not value:
        raise UserError(f"{where} holds no state dict; save the state_dict of the network alone")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(
                f"{where} holds more than tensors by name ({shown(name)} is a "
                f"{type(tensor).__name__}); save the state_dict of the network alone"
            )
    return {name: check_tensor(tensor, f"{where}: {shown(name)}") for name, tensor in value.items()}


def check_tensor(tensor: Tensor, where: str) -> Tensor:
    """``tensor`` without a gradient, when it is an ordinary one that is as large as it says.

    Raises:
        UserError: It is sparse, quantised, nested, complex, without values (meta), or an expanded
            one that would take more memory than there is in its file.
    """
    kind = None
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "sparse or nested"
    elif tensor.device.type != "cpu":
        kind = f"on device {tensor.device.type}"
    elif tensor.dtype not in _DTYPES or tensor.is_quantized:
        kind = f"of type {tensor.dtype}"
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        kind = f"{list(tensor.shape)} expanded from fewer values"
    if kind is not None:
        raise UserError(f"{where} is a tensor {kind}; save ordinary tensors of the CPU")
    return tensor.detach().resolve_neg()


def _check_entries(path: Path) -> None:
    """Refuse what grows when it is read, and what has another checksum: PyTorch does neither."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its entries are larger than the file")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"wrong checksum of {damaged}")
