"""Values of an HDF5 file that may be damaged or made up: no promise of it is believed.

What a file says about itself costs its author nothing: 11 kB can promise 2**40 rows or gigabytes of
fill values, ask for a chunk of any size, let all rows point at one long one, and name other files
to read. So nothing is read whose size is more than that of the file, and nothing outside of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.data.hdf5_rows import rows_of

if TYPE_CHECKING:
    import h5py

_CHUNK = 1 << 20  # bytes that a compressed chunk may have in any file: HDF5's own default
_MOST_LINKS = 8  # soft links followed one after the other


class Missing(KeyError):
    """The file lacks this entry."""


def dataset_of(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return the data set ``name``, which must lie in this very file.

    Raises:
        Missing: nothing has this name.
        ValueError: it is no data set, lies in another file, or promises more than this file holds.
    """
    import h5py

    found = _linked(group, name, _MOST_LINKS)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise ValueError(f"{name} is no data set")
    if found.is_virtual or found.external:
        raise ValueError(f"the values of {name} lie in other files")
    there = found.file.id.get_filesize()
    size = found.id.get_type().get_size()  # in the file; NumPy's type of a row is a pointer
    promised = math.prod(found.shape) * size
    chunk = math.prod(found.chunks or ()) * size
    if promised > there or chunk > max(there, _CHUNK):
        raise ValueError(
            f"{name} promises {max(promised, chunk)} bytes, the whole file has {there}"
        )
    return found


def numbers_of(dataset: h5py.Dataset) -> NDArray[Any]:
    """Return a data set of numbers; TypeError where it holds anything else."""
    if dataset.dtype.kind not in "biuf":
        raise TypeError(f"{dataset.name} holds {dataset.dtype}, expected numbers")
    return np.asarray(dataset[()])


def number_rows_of(dataset: h5py.Dataset) -> Iterator[NDArray[Any]]:
    """Yield the rows of a data set of variable lengths, in this machine's byte order.

    Raises:
        TypeError: it holds anything but rows of numbers.
        ValueError: see :func:`core.data.hdf5_rows.rows_of`.
    """
    import h5py

    kind = row_type(dataset)
    there = dataset.id.get_type().get_super()
    if not there.equal(h5py.h5t.py_create(kind)):  # numbers that h5py would convert
        raise TypeError(f"{dataset.name} holds rows of numbers that NumPy does not know")
    for row in rows_of(dataset, kind.itemsize):
        yield np.frombuffer(row, kind).astype(kind.newbyteorder("="), copy=False)


def row_type(dataset: h5py.Dataset) -> np.dtype[Any]:
    """Return the type of the numbers in rows of variable length; TypeError for anything else."""
    import h5py

    found = h5py.check_vlen_dtype(dataset.dtype)
    if not isinstance(found, np.dtype) or found.kind not in "iuf":
        raise TypeError(f"{dataset.name} holds {found or dataset.dtype}, expected rows of numbers")
    return found


def texts_of(dataset: h5py.Dataset) -> list[str]:
    """Return a one-dimensional data set of text; TypeError where it holds anything else."""
    import h5py

    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or dataset.ndim != 1:
        raise TypeError(f"{dataset.name} holds {dataset.dtype}, expected text")
    found = rows_of(dataset, 1) if kind.length is None else dataset[:]
    return [bytes(word).partition(b"\0")[0].decode() for word in found]


def _linked(group: h5py.Group, name: str, links: int) -> Any:
    """Return what a path leads to, without ever leaving the file."""
    import h5py

    place: Any = group
    for part in filter(None, name.split("/")):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            raise Missing(name)
        if isinstance(link, h5py.SoftLink) and links:
            start = place.file if link.path.startswith("/") else place
            place = _linked(start, link.path, links - 1)
        elif isinstance(link, h5py.HardLink):
            place = place[part]
        else:
            raise ValueError(f"{name} is a link to another file, or to another link without end")
    return place
