"""Spiking Heidelberg Digits and Spiking Speech Commands in their original HDF5 layout.

Layout (B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, The Heidelberg spiking data sets for the
systematic evaluation of spiking neural networks, IEEE TNNLS 33, 2022): ``/spikes/times`` and
``/spikes/units`` hold one array of events per recording, ``/labels`` its class,
``/extra/keys`` the word of every class and, in SHD, ``/extra/speaker`` who spoke.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.hdf5 import Missing, dataset_of, number_rows_of, numbers_of, row_type, texts_of
from core.data.numbers import exact_int64, whole_numbers
from core.data.unpack import unpacked
from core.errors import UserError

if TYPE_CHECKING:
    import h5py

CHANNELS = 700
"""Channels of the artificial cochlea that both sets were made with."""

PACKINGS = ("", ".gz", ".zip", ".xz")
"""How an ``.h5`` file may be packed; the plain file is preferred."""

LONGEST = 10.0
"""Seconds; a recording of one word that lasts longer has its times in another unit."""

_BLOCK = 512  # recordings put together at once: every one becomes a small array first


class EventData(NamedTuple):
    """Recordings of one file, their events one after the other.

    Attributes:
        times: [E], seconds from the start of the recording, of the type that the file has; float16
            in the published ones.
        units: uint16 [E], channel 0 to 699.
        offsets: int64 [N + 1]; the events of recording ``n`` are ``offsets[n]:offsets[n + 1]``.
        labels: int64 [N], index into ``words``.
        speakers: int64 [N], or None where the file does not say who spoke.
        words: the word of every class.
    """

    times: NDArray[np.number[Any]]
    units: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    speakers: NDArray[np.int64] | None
    words: tuple[str, ...]


def find_events(folder: Path, stem: str) -> Path:
    """Return ``stem.h5`` of a folder, or its packed form ``.h5.gz``, ``.h5.zip``, ``.h5.xz``.

    Raises:
        UserError: the folder holds none of them.
    """
    for packing in PACKINGS:
        if (path := folder / f"{stem}.h5{packing}").is_file():
            return path
    raise UserError(
        f"{folder} holds no {stem}.h5 (nor {stem}.h5.gz, .zip or .xz). Name the folder that holds "
        "the files of this data set."
    )


def load_events(path: Path, *, samples: int | None = None) -> EventData:
    """Load all recordings of one ``.h5`` file, plain or packed.

    A packed file is unpacked once, into the user's cache folder. Numbers of any type and byte order
    are taken, and no time is rounded. Nothing is read that lies outside of the file or is larger
    than the file itself.

    Args:
        path: ``NAME.h5``, ``NAME.h5.gz``, ``NAME.h5.zip`` or ``NAME.h5.xz``.
        samples: the number of recordings that this file is known to hold, if it is.

    Raises:
        UserError: the file is missing, truncated, damaged or has another layout, size or unit of
            time.
    """
    import h5py  # here: not needed for the other data sets

    plain = path if path.suffix == ".h5" else unpacked(path)
    if not plain.is_file():
        raise UserError(f"{plain} does not exist. Name the folder that holds this file.")
    try:
        # Only read, and often from a file system that cannot lock.
        with h5py.File(plain, "r", locking=False) as file:
            data = _read(file)
    except Exception as error:  # h5py raises whatever a damaged file makes it stumble over
        what = f"has no {error.args[0]}" if isinstance(error, Missing) else f"({error})"
        raise _bad(plain, path, f"is damaged or has another layout {what}") from error
    if problem := _contradiction(data, samples):
        raise _bad(plain, path, problem)
    return data


def _read(file: h5py.File) -> EventData:
    times, lengths = _packed(dataset_of(file, "spikes/times"))
    units, unit_lengths = _packed(dataset_of(file, "spikes/units"))
    if not np.array_equal(lengths, unit_lengths):
        raise ValueError("a recording has another number of times than of units")
    units = whole_numbers(units, "units")
    if len(units) and (units.min() < 0 or units.max() >= CHANNELS):
        raise ValueError(f"units from {units.min()} to {units.max()}, expected 0 to {CHANNELS - 1}")
    labels = numbers_of(dataset_of(file, "labels"))
    return EventData(
        times=times,
        units=units.astype(np.uint16, copy=False),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        labels=exact_int64(labels, "labels"),
        speakers=_speakers(file),
        words=tuple(texts_of(dataset_of(file, "extra/keys"))),
    )


def _speakers(file: h5py.File) -> NDArray[np.int64] | None:
    try:
        dataset = dataset_of(file, "extra/speaker")
    except Missing:
        return None
    return exact_int64(numbers_of(dataset), "speakers")


def _packed(dataset: h5py.Dataset) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return all rows of a variable-length data set one after the other, and their lengths.

    Numbers keep the type of the file, in this machine's byte order.
    """
    target = row_type(dataset).newbyteorder("=")
    blocks: list[NDArray[Any]] = [np.empty(0, target)]
    lengths: list[int] = []
    rows = number_rows_of(dataset)
    while block := list(itertools.islice(rows, _BLOCK)):
        lengths += [len(row) for row in block]
        blocks.append(np.concatenate(block))
    return np.concatenate(blocks), np.array(lengths, np.int64)


def _contradiction(data: EventData, samples: int | None) -> str | None:
    """Return what makes these arrays no data set, or None."""
    count = len(data.offsets) - 1
    if samples is not None and count != samples:
        return f"holds {count} recordings, expected {samples}"
    for what, array in (("labels", data.labels), ("speakers", data.speakers)):
        if array is not None and array.shape != (count,):
            return f"holds {count} recordings, but {what} of shape {array.shape}"
    if count and not 0 <= data.labels.min() <= data.labels.max() < len(data.words):
        return (
            f"holds labels from {data.labels.min()} to {data.labels.max()}, "
            f"but /extra/keys names {len(data.words)} words"
        )
    if not np.isfinite(data.times).all():
        return "holds times that are no numbers"
    if len(data.times) and data.times.min() < 0:
        return f"holds the time {data.times.min()}, before its recording starts"
    if len(data.times) and (last := float(data.times.max())) > LONGEST:
        return f"holds times up to {last:g} where words last about a second{_conversion(last)}"
    return None


def _conversion(last: float) -> str:
    """Return how times whose latest is ``last`` may become seconds."""
    for unit, factor in (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)):
        if last <= LONGEST * factor:
            return f": this layout has seconds. If these are {unit}, divide them by {factor:.0f}"
    return ""


def _bad(plain: Path, path: Path, problem: str) -> UserError:
    what = str(path) if plain == path else f"{plain}, unpacked from {path},"
    return UserError(f"{what} {problem}. Move it away and get it again from where it came.")
