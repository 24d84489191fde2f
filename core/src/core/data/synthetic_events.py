"""Synthetic SHD and SSC: generated look-alikes in the real layout, for first runs and tests.

They are no recordings of anything and no result on them is a result on SHD or SSC. What they share
with the real files: HDF5 with float16 times and uint16 units of 700 channels, the same classes,
words, splits and speakers (4 and 5 only in SHD's test file), and spikes along a few bands of
channels that move while a word is spoken. They have about a tenth of the recordings and of the
spikes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.events import CHANNELS, EventData
from core.data.words import DIGITS, WORDS

_BANDS = 3
_EVENTS = 600  # of a word of mean length, without the noise
_NOISE = 0.1  # share of events at any channel and time


class _Part(NamedTuple):
    """One file: how many recordings of each class, by whom, and where its random numbers start."""

    stem: str
    per_class: int
    speakers: tuple[int, ...]
    seed: int


_OTHERS = (0, 1, 2, 3, 6, 7, 8, 9, 10, 11)
_SHD = (_Part("shd_train", 40, _OTHERS, 0), _Part("shd_test", 10, (4, 5, 4, 5, *_OTHERS), 1))
_SSC = (
    _Part("ssc_train", 30, tuple(range(40)), 2),
    _Part("ssc_valid", 5, tuple(range(40, 50)), 3),
    _Part("ssc_test", 8, tuple(range(50, 60)), 4),
)


def write_synthetic_shd(folder: Path) -> None:
    """Write ``shd_train.h5`` (800 recordings) and ``shd_test.h5`` (200) into a new folder."""
    folder.mkdir()
    for part in _SHD:
        write_events(folder / f"{part.stem}.h5", _make(part, DIGITS))


def write_synthetic_ssc(folder: Path) -> None:
    """Write ``ssc_train.h5`` (1050), ``ssc_valid.h5`` (175) and ``ssc_test.h5`` (280)."""
    folder.mkdir()
    for part in _SSC:  # the published files do not say who spoke
        data = _make(part, WORDS)._replace(speakers=None)
        write_events(folder / f"{part.stem}.h5", data)


def write_events(path: Path, data: EventData) -> None:
    """Write recordings in the layout of SHD and SSC; FileExistsError rather than overwriting."""
    import h5py

    with h5py.File(path, "x") as file:
        for name, values in (("times", data.times), ("units", data.units)):
            rows = file.create_dataset(
                f"spikes/{name}", (len(data.labels),), dtype=h5py.vlen_dtype(values.dtype)
            )
            for n, part in enumerate(np.split(values, data.offsets[1:-1])):
                rows[n] = part
        file["labels"] = data.labels.astype(np.uint16)
        file["extra/keys"] = np.array([word.encode() for word in data.words])
        if data.speakers is not None:
            file["extra/speaker"] = data.speakers.astype(np.uint16)


def _make(part: _Part, words: tuple[str, ...]) -> EventData:
    """Generate one file; recordings come in random order, as in the real ones."""
    generator = np.random.default_rng(part.seed)
    labels = generator.permutation(np.repeat(np.arange(len(words)), part.per_class))
    speakers = np.array(part.speakers)[generator.integers(len(part.speakers), size=len(labels))]
    bands = _bands(len(words))
    voices = np.random.default_rng(100).uniform((-40, 0.8), (40, 1.2), (max(speakers) + 1, 2))
    recordings = [
        _recording(generator, bands[label], *voices[speaker])
        for label, speaker in zip(labels, speakers, strict=True)
    ]
    return EventData(
        times=np.concatenate([times for times, _ in recordings]),
        units=np.concatenate([units for _, units in recordings]),
        offsets=np.concatenate(([0], np.cumsum([len(times) for times, _ in recordings]))),
        labels=labels.astype(np.int64),
        speakers=speakers.astype(np.int64),
        words=words,
    )


def _bands(classes: int) -> NDArray[np.float64]:
    """Return where every class has its bands, [C, bands, (start, end)] in channels.

    They are the same in all files, and classes that agree in one band differ in another.
    """
    return np.random.default_rng(99).uniform(80, CHANNELS - 80, (classes, _BANDS, 2))


def _recording(
    generator: np.random.Generator, bands: NDArray[np.float64], shift: float, tempo: float
) -> tuple[NDArray[np.float16], NDArray[np.uint16]]:
    """Return the events of one word: bands that glide, shifted and stretched by the voice."""
    length = 0.7 * tempo * generator.uniform(0.9, 1.1)  # seconds; real ones have 0.23 to 1.37
    count = generator.poisson(_EVENTS * tempo)
    phase = np.sort(generator.random(count))
    start, end = bands[generator.integers(_BANDS, size=count)].T
    units = start + (end - start) * phase + shift + generator.normal(0, 15, count)
    noisy = generator.random(count) < _NOISE
    units[noisy] = generator.uniform(0, CHANNELS, noisy.sum())
    times = (0.05 + length * phase).astype(np.float16)
    return times, np.clip(units, 0, CHANNELS - 1).astype(np.uint16)
