"""Spiking Heidelberg Digits and Spiking Speech Commands in their original HDF5 layout.

Layout (B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, The Heidelberg spiking data sets for the
systematic evaluation of spiking neural networks, IEEE TNNLS 33, 2022): ``/spikes/times`` and
``/spikes/units`` hold one array of events per recording, ``/labels`` its class,
``/extra/keys`` the word of every class and, in SHD, ``/extra/speaker`` who spoke.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.unpack import unpacked
from core.errors import UserError

if TYPE_CHECKING:
    import h5py

CHANNELS = 700
"""Channels of the artificial cochlea that both sets were made with."""

PACKINGS = ("", ".gz", ".zip", ".xz")
"""How an ``.h5`` file may be packed; the plain file is preferred."""

_BLOCK = 512  # recordings read at once: every one becomes a small array first


class EventData(NamedTuple):
    """Recordings of one file, their events one after the other.

    Attributes:
        times: float16 [E], seconds from the start of the recording, as in the published files.
        units: uint16 [E], channel 0 to 699.
        offsets: int64 [N + 1]; the events of recording ``n`` are ``offsets[n]:offsets[n + 1]``.
        labels: int64 [N], index into ``words``.
        speakers: int64 [N], or None where the file does not say who spoke.
        words: the word of every class.
    """

    times: NDArray[np.float16]
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

    A packed file is unpacked once, into the user's cache folder. Times wider than float16 are
    rounded to it, which is what the publishers' files hold; integers of any width are taken.

    Args:
        path: ``NAME.h5``, ``NAME.h5.gz``, ``NAME.h5.zip`` or ``NAME.h5.xz``.
        samples: the number of recordings that this file is known to hold, if it is.

    Raises:
        UserError: the file is missing, truncated, damaged or has another layout or size.
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
        what = f"has no {error.args[0]}" if isinstance(error, _Missing) else f"({error})"
        raise _bad(plain, path, f"is damaged or has another layout {what}") from error
    if problem := _contradiction(data, samples):
        raise _bad(plain, path, problem)
    return data


class _Missing(KeyError):
    """The file lacks this entry."""


def _read(file: h5py.File) -> EventData:
    times, lengths = _packed(_entry(file, "spikes/times"), np.float16)
    units, unit_lengths = _packed(_entry(file, "spikes/units"), np.int64)
    if not np.array_equal(lengths, unit_lengths):
        raise ValueError("a recording has another number of times than of units")
    if len(units) and (units.min() < 0 or units.max() >= CHANNELS):
        raise ValueError(f"units from {units.min()} to {units.max()}, expected 0 to {CHANNELS - 1}")
    speakers = file.get("extra/speaker")
    return EventData(
        times=times,
        units=units.astype(np.uint16, copy=False),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        labels=np.asarray(_entry(file, "labels")[:]).astype(np.int64),
        speakers=None if speakers is None else np.asarray(speakers[:]).astype(np.int64),
        words=tuple(
            word.decode() if isinstance(word, bytes) else str(word)
            for word in _entry(file, "extra/keys")[:]
        ),
    )


def _entry(file: h5py.File, name: str) -> Any:
    if name not in file:
        raise _Missing(name)
    return file[name]


def _packed(
    dataset: h5py.Dataset, kind: type[np.generic]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return all rows of a variable-length data set one after the other, and their lengths.

    Rows whose type is of another family than ``kind`` (a fraction as unit) are refused; integers
    keep the width of the file, so that no wide copy of all events is made.
    """
    import h5py

    found = h5py.check_vlen_dtype(dataset.dtype)
    family = np.integer if issubclass(kind, np.integer) else np.floating
    if found is None or not np.issubdtype(found, family):
        raise TypeError(f"{dataset.name} holds {found or dataset.dtype}, expected rows of numbers")
    target = kind if family is np.floating else found
    blocks: list[NDArray[Any]] = [np.empty(0, target)]
    lengths: list[int] = []
    for start in range(0, len(dataset), _BLOCK):
        rows = dataset[start : start + _BLOCK]
        lengths += [len(row) for row in rows]
        blocks.append(np.concatenate(rows).astype(target, copy=False))
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
    return None


def _bad(plain: Path, path: Path, problem: str) -> UserError:
    what = str(path) if plain == path else f"{plain}, unpacked from {path},"
    return UserError(f"{what} {problem}. Move it away and get it again from where it came.")
