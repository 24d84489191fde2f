"""Files of event cameras: AEDAT 3.1 (DVS128 Gesture), AEDAT 2.0 (CIFAR10-DVS), N-MNIST's bytes.

An event is a time in microseconds, a pixel and a polarity: 1 where it became brighter.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError

_HEADER = struct.Struct("<HHIIIIII")
"""Of an AEDAT 3.1 packet: type, source, event size, offset and overflow of time, capacity, ..."""
_POLARITY = 1
_ATIS = np.dtype({"names": ["x", "word"], "formats": ["u1", ">u4"], "offsets": [0, 1]})
"""An event of N-MNIST: ``x``, then eight bits of ``y``, one of polarity and 23 of time."""
_END = b"#!END-HEADER\r\n"
LARGEST = 1 << 30
"""Bytes of a recording; those of the gesture set have up to 10^8."""


class DvsEvents(NamedTuple):
    """Events in the order of the file.

    Attributes:
        t: int64 [E], microseconds.
        x: int64 [E], column from 0 on.
        y: int64 [E], row from 0 on.
        p: int64 [E], polarity 0 or 1.
    """

    t: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    p: NDArray[np.int64]

    def between(self, first: int, end: int) -> DvsEvents:
        """The events from ``first`` up to before ``end``."""
        return DvsEvents(*(field[first:end] for field in self))


def read_recording(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UserError: It is missing, not readable, or larger than any recording.
    """
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise UserError(f"{path} has {size} bytes, more than any recording.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}). Name the folder that holds it."
        ) from error


def decode_aedat31(content: bytes, name: str) -> DvsEvents:
    """Polarity events of an AEDAT 3.1 file.

    After lines of text that begin with ``#`` come packets of events of one type: a header of 28
    bytes, then ``capacity`` places of ``size`` bytes (not ``number`` of them). Of a polarity event
    (type 1), bits 17 to 31 of the first little-endian word are ``x``, 2 to 16 ``y``, 1 the
    polarity; bit 0, which calls it valid, is ignored, as everywhere. The second word is the time,
    to which the header's overflow adds the bits from 31 on.

    Args:
        content: Of the file.
        name: Of the file, for messages.

    Raises:
        UserError: A packet is truncated, or its events have no room for an event.
    """
    place = _after_text(content, stop=_END)
    words, overflows, lengths = [], [], []
    while place < len(content):
        if place + _HEADER.size > len(content):
            raise _bad(name, "ends inside the header of a packet")
        kind, _, size, _, overflow, capacity, _, _ = _HEADER.unpack_from(content, place)
        place += _HEADER.size
        end = place + size * capacity
        if end > len(content):
            raise _bad(name, f"ends inside a packet of {capacity} events of {size} bytes")
        if kind == _POLARITY and capacity:
            if size < 8 or size % 4:
                raise _bad(name, f"has polarity events of {size} bytes, expected 8")
            packet = np.frombuffer(content, "<u4", count=size // 4 * capacity, offset=place)
            words.append(packet.reshape(capacity, size // 4)[:, :2])
            overflows.append(overflow)
            lengths.append(capacity)
        place = end
    word = np.concatenate(words) if words else np.empty((0, 2), np.uint32)
    data = word[:, 0]
    late = np.repeat(np.array(overflows, np.int64) << 31, lengths) if words else np.int64(0)
    return DvsEvents(
        t=word[:, 1].astype(np.int64) | late,
        x=(data >> 17).astype(np.int64),
        y=((data >> 2) & 0x7FFF).astype(np.int64),
        p=((data >> 1) & 1).astype(np.int64),
    )


def decode_nmnist(content: bytes, name: str) -> DvsEvents:
    """Events of an N-MNIST file, five bytes each: ``x``, ``y``, polarity and 23 bits of time.

    Raises:
        UserError: It ends inside an event.
    """
    if len(content) % 5:
        raise _bad(name, f"has {len(content)} bytes, which are no whole events of five")
    event = np.frombuffer(content, _ATIS)
    time = event["word"].astype(np.int64)
    y, p = time >> 24, time >> 23
    p &= 1
    time &= 0x7FFFFF
    return DvsEvents(time, event["x"].astype(np.int64), y, p)


def decode_cifar10_dvs(
    content: bytes, name: str, orientation: Literal["2020", "upright"] = "2020"
) -> DvsEvents:
    """Events of a CIFAR10-DVS file: AEDAT 2.0, pairs of big-endian words, address and time.

    Of the address, bits 1 to 7 are ``X``, 8 to 14 ``Y``, 0 ``P``; the polarity is ``1 - P``.

    Args:
        content: Of the file.
        name: Of the file, for messages.
        orientation: ``2020``: ``x = 127 - X, y = Y``, of the published networks. ``upright``:
            ``x = 127 - Y, y = 127 - X``, of SpikingJelly since then; weights of one do not fit the
            other.

    Raises:
        UserError: It ends inside an event.
    """
    place = _after_text(content)
    if (len(content) - place) % 8:
        raise _bad(name, f"has {len(content) - place} bytes after its text, no whole events of 8")
    word = np.frombuffer(content, ">u4", offset=place).reshape(-1, 2)
    address = word[:, 0].astype(np.int64)
    column, row = (address & 0xFE) >> 1, (address & 0x7F00) >> 8
    upright = orientation == "upright"
    return DvsEvents(
        t=word[:, 1].astype(np.int64),
        x=127 - (row if upright else column),
        y=127 - column if upright else row,
        p=1 - (address & 1),
    )


def _after_text(content: bytes, stop: bytes | None = None) -> int:
    """Where the lines of text in front end: with the line ``stop``, or before any other byte."""
    place = 0
    while content.startswith(b"#", place):
        end = content.find(b"\n", place) + 1
        if not end:
            return len(content)
        if content[place:end] == stop:
            return end
        place = end
    return place


def _bad(name: str, problem: str) -> UserError:
    return UserError(f"{name} {problem}. Move it away and get it again from where it came.")
