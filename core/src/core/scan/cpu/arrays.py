"""Arrays as kernels read them: addresses and strides."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from core.buffers import empty


def readable(tensor: Tensor) -> Tensor:
    """The same values with neurons next to each other; dimensions that repeat stay repeated."""
    last = tensor.dim() - 1
    unrepeated = tensor
    for dimension, stride in enumerate(tensor.stride()):
        if stride == 0:
            unrepeated = unrepeated.narrow(dimension, 0, 1)
    if tensor.stride(last) == 0:
        unrepeated = unrepeated.expand(*[-1] * last, tensor.shape[last])
    if unrepeated.stride(last) != 1 and tensor.shape[last] > 1:
        unrepeated = unrepeated.contiguous()
    return unrepeated.expand(tensor.shape)


def own(field: Tensor) -> Tensor:
    """A field of the state as a backward needs it: the caller may write to his own."""
    rows = field[:1] if field.stride(0) == 0 else field
    return empty(tuple(rows.shape), field.dtype).copy_(rows).expand(field.shape)


def saved(tensor: Tensor) -> Tensor:
    """What :func:`readable` gives, for ``save_for_backward``.

    A view is not saved: changes in place of what it shows would go unnoticed.
    """
    given = readable(tensor)
    return tensor if given.data_ptr() == tensor.data_ptr() else given


def sequence(slot: str, tensor: Tensor | None) -> dict[str, int]:
    """The slots of a sequence ``[T, B, N]``."""
    if tensor is None:
        return {slot: 0, f"{slot}_t": 0, f"{slot}_b": 0}
    address = tensor.data_ptr()
    return {slot: address, f"{slot}_t": tensor.stride(0), f"{slot}_b": tensor.stride(1)}


def samples(slot: str, tensor: Tensor | None) -> dict[str, int]:
    """The slots of an array ``[B, N]``."""
    if tensor is None:
        return {slot: 0, f"{slot}_b": 0}
    return {slot: tensor.data_ptr(), f"{slot}_b": tensor.stride(0)}


def address(tensor: Tensor | None) -> int:
    """Where an array lies; 0 for none."""
    return 0 if tensor is None else tensor.data_ptr()


def numbered(slot: str, arrays: Iterable[Tensor | None]) -> dict[str, Tensor | None]:
    """Arrays by the slots ``slot0 ...``."""
    return {f"{slot}{place}": array for place, array in enumerate(arrays)}
