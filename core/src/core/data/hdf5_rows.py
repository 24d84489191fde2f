"""Rows of variable length of an HDF5 file, read without HDF5.

A row is a reference of 16 bytes: its length (32 bits), the address of a global heap (64) and the
number of an object in it (32). A heap is the word GCOL, 4 bytes, its size (64 bits) and its
objects: number and use count (16 bits each), 4 bytes, size (64 bits), the elements, and zeros up
to a multiple of 8 bytes; number 0 is what is free at the end. All of it is little-endian (HDF5
File Format Specification, "Global Heap").

The library believes these numbers: it takes 8 GB for a row that says so before it looks for its
elements, and never returns from a heap whose free space is said to have no bytes (HDF5 2.0).
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import h5py

_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("object", "<u4")])
_HEAP, _OBJECT = struct.Struct("<4sIQ"), struct.Struct("<HHIQ")
_Objects: TypeAlias = dict[int, tuple[int, int]]  # number -> where its elements are, how many bytes


def rows_of(dataset: h5py.Dataset, element_size: int) -> Iterator[bytes]:
    """Yield the elements of every row as they lie in the file, ``element_size`` bytes each.

    Raises:
        ValueError: a row is longer than what is there, or all together than the file, or rows are
            laid out as no known writer does.
    """
    there = dataset.file.id.get_filesize()
    if dataset.file.id.get_create_plist().get_sizes() != (8, 8):
        raise ValueError(f"{dataset.name} has addresses of an unknown size")
    with open(dataset.file.filename, "rb", buffering=0) as stream:
        references = _references(stream.fileno(), dataset)
        if element_size * int(references["length"].sum(dtype=np.uint64)) > there:
            raise ValueError(f"the rows of {dataset.name} are longer than the file")
        heaps: dict[int, _Objects] = {}
        for length, address, number in references.tolist():
            if length and address not in heaps:
                heaps[address], size = _objects(stream.fileno(), address, there)
                there -= size  # heaps that overlap could be read without end
            place, held = heaps[address].get(number, (0, 0)) if length else (0, 0)
            if length * element_size > held:
                raise ValueError(f"a row of {dataset.name} is longer than what is there")
            yield os.pread(stream.fileno(), length * element_size, place)


def _objects(descriptor: int, address: int, most: int) -> tuple[_Objects, int]:
    """Return the objects of a heap and its size."""
    if address >= 1 << 63:
        raise ValueError("a row has no place")
    head = os.pread(descriptor, _HEAP.size, address)
    mark, _, size = _HEAP.unpack(head) if len(head) == _HEAP.size else (b"", 0, 0)
    if mark != b"GCOL" or size > most:
        raise ValueError("rows lie in no heap of this file")
    content = os.pread(descriptor, size, address)
    found: _Objects = {}
    place = _HEAP.size
    while place + _OBJECT.size <= len(content):
        number, _, _, held = _OBJECT.unpack_from(content, place)
        place += _OBJECT.size
        if number == 0:
            break
        if place + held > len(content):
            raise ValueError("an object is longer than its heap")
        found[number] = (address + place, held)
        place += (held + 7) // 8 * 8
    return found, size


def _references(descriptor: int, dataset: h5py.Dataset) -> NDArray[np.void]:
    """Return the references to all rows; those that the file does not hold are empty."""
    import h5py

    made = dataset.id.get_create_plist()
    if dataset.ndim != 1 or dataset.file.userblock_size:
        raise ValueError(f"{dataset.name} is laid out in an unknown way")
    if made.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        raise ValueError(f"{dataset.name} has rows that are fill values")
    rows = np.zeros(len(dataset), _REFERENCE)
    if made.get_layout() == h5py.h5d.CONTIGUOUS:
        if (place := dataset.id.get_offset()) is not None:
            _put(rows, 0, os.pread(descriptor, rows.nbytes, place))
    elif made.get_layout() == h5py.h5d.CHUNKED:
        most = math.prod(dataset.chunks) * _REFERENCE.itemsize
        for number in range(dataset.id.get_num_chunks()):
            chunk = dataset.id.get_chunk_info(number)
            raw = os.pread(descriptor, min(chunk.size, 2 * most), chunk.byte_offset)
            _put(rows, chunk.chunk_offset[0], _unfiltered(raw, made, chunk.filter_mask, most))
    else:
        raise ValueError(f"{dataset.name} is laid out in an unknown way")
    return rows


def _put(rows: NDArray[np.void], start: int, raw: bytes) -> None:
    whole = raw[: len(raw) // rows.itemsize * rows.itemsize]
    found = np.frombuffer(whole, rows.dtype)[: max(0, len(rows) - start)]
    rows[start : start + len(found)] = found


def _unfiltered(raw: bytes, made: h5py.h5p.PropDCID, skipped: int, most: int) -> bytes:
    """Undo the filters of a chunk; ``skipped`` has a bit for each that was left out."""
    import h5py

    for number in reversed(range(made.get_nfilters())):
        code, _, values, _ = made.get_filter(number)
        if skipped >> number & 1:
            continue
        if code == h5py.h5z.FILTER_DEFLATE:
            raw = zlib.decompressobj().decompress(raw, most)
        elif code == h5py.h5z.FILTER_SHUFFLE:
            raw = np.frombuffer(raw, np.uint8).reshape(values[0], -1).T.tobytes()
        else:
            raise ValueError(f"references to rows are packed in an unknown way, filter {code}")
    return raw
