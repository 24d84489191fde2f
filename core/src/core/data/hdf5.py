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


def rows_of(dataset: h5py.Dataset) -> Iterator[Any]:
    """Yield the rows of a data set of variable lengths: arrays, or bytes where it holds text.

    Raises:
        ValueError: together they are longer than the file.
    """
    import h5py

    # One by one, without h5py's own indexing: as fast as many at once, which could be any size.
    there = dataset.file.id.get_filesize()
    kind = h5py.h5t.py_create(dataset.dtype)
    element = h5py.check_vlen_dtype(dataset.dtype)
    space, one = dataset.id.get_space(), h5py.h5s.create_simple((1,))
    for row in range(len(dataset)):
        space.select_hyperslab((row,), (1,))
        found = np.empty(1, object)
        dataset.id.read(one, space, found, kind)
        value = found[0]
        there -= memoryview(value).nbytes
        if there < 0:
            raise ValueError(f"the rows of {dataset.name} are longer than the file")
        # h5py 3.16 hands out big-endian numbers as if they were of this machine's byte order.
        yield value.view(element) if isinstance(element, np.dtype) else value


def texts_of(dataset: h5py.Dataset) -> list[str]:
    """Return a one-dimensional data set of text; TypeError where it holds anything else."""
    import h5py

    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or dataset.ndim != 1:
        raise TypeError(f"{dataset.name} holds {dataset.dtype}, expected text")
    found = rows_of(dataset) if kind.length is None else dataset[:]
    return [bytes(word).decode() for word in found]


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
