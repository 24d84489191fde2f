"""Look-alikes of recordings of event cameras, in the real binary formats: for tests and first runs.

They are no recordings of anything and no result on them is a result on the real sets.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.digits import load_digits
from core.data.dvs import DvsEvents

SIDE = 32
"""Pixels of the sensor that the embedded gestures use, of 128."""
TRIALS = {"train": 8, "test": 3}
"""Trials of the embedded gestures."""
LABELS = (1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11)
"""Gestures of a trial: the arm roll comes forwards and backwards."""
_SEGMENT = 600_000  # microseconds of a gesture
_EVENTS = 1500  # of a gesture
_PACKET = 1000  # events of an AEDAT packet


def encode_aedat31(events: DvsEvents) -> bytes:
    """The bytes of an AEDAT 3.1 file, with a packet of special events in front."""
    parts = [b"#!AEDAT-3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"]
    parts.append(_header(0, 8, 0, 1) + struct.pack("<II", 2, 0))
    word = (events.x << 17 | events.y << 2 | events.p << 1 | 1).astype("<u4")
    overflow = events.t >> 31
    for late in np.unique(overflow):
        (rows,) = np.nonzero(overflow == late)
        for some in np.split(rows, range(_PACKET, len(rows), _PACKET)):
            time = (events.t[some] & 0x7FFFFFFF).astype("<u4")
            body = np.stack([word[some], time], axis=1).tobytes()
            parts.append(_header(1, 8, int(late), len(some)) + body)
    return b"".join(parts)


def _header(kind: int, size: int, overflow: int, count: int) -> bytes:
    return struct.pack("<HHIIIIII", kind, 1, size, 4, overflow, count, count, count)


def encode_nmnist(events: DvsEvents) -> bytes:
    """The bytes of an N-MNIST file."""
    byte = [events.x, events.y, events.p << 7 | events.t >> 16, events.t >> 8 & 255, events.t & 255]
    return np.stack(byte, axis=1).astype(np.uint8).tobytes()


def encode_cifar10_dvs(events: DvsEvents) -> bytes:
    """The bytes of a CIFAR10-DVS file, for events in the orientation of 2020."""
    address = (127 - events.x) << 1 | events.y << 8 | (1 - events.p)
    word = np.stack([address, events.t], axis=1).astype(">u4")
    return b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + word.tobytes()


def write_synthetic_gestures(folder: Path, *, events: int = _EVENTS) -> None:
    """Write trials of eleven gestures in the layout of DVS128 Gesture into a new folder.

    A gesture is a spot that goes round, in a direction, at a pace and a place of its class, seen by
    the first 32 x 32 pixels.

    Args:
        folder: Where to; must not exist.
        events: Of a gesture, about.
    """
    folder.mkdir(parents=True)
    user = 0
    for split, count in TRIALS.items():
        names = []
        for _ in range(count):
            user += 1
            stem = f"user{user:02d}_led"
            write_trial(folder, stem, np.random.default_rng((7, user)), events=events)
            names.append(f"{stem}.aedat")
        (folder / f"trials_to_{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def write_trial(
    folder: Path, stem: str, generator: np.random.Generator, *, events: int = _EVENTS
) -> None:
    """Write ``STEM.aedat`` and ``STEM_labels.csv``: twelve gestures, one after the other."""
    rows, parts, start = ["class,startTime_usec,endTime_usec"], [], 100_000
    for label in LABELS:
        end = start + _SEGMENT
        rows.append(f"{label},{start},{end}")
        t, x, y, p = _gesture(label, generator, events)
        parts.append(DvsEvents(start + t, x, y, p))
        start = end + 50_000
    joined = DvsEvents(*map(np.concatenate, zip(*parts, strict=True)))
    (folder / f"{stem}.aedat").write_bytes(encode_aedat31(joined))
    (folder / f"{stem}_labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _gesture(label: int, generator: np.random.Generator, events: int) -> DvsEvents:
    count = int(events * generator.uniform(0.8, 1.2))
    t = np.sort(generator.integers(0, _SEGMENT, count))
    kind = np.random.default_rng((11, label))
    centre, radius = kind.uniform(9, SIDE - 9, 2), kind.uniform(3, 9)
    turns = kind.choice([-1.0, 1.0]) * kind.uniform(0.5, 3.0)
    angle = 2 * np.pi * (turns * t / _SEGMENT + generator.uniform(-0.05, 0.05))
    place = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ahead = generator.random(count) < 0.5
    place += np.where(ahead, 1.0, -1.0)[:, None] + generator.normal(0, 1.2, (count, 2))
    x, y = np.clip(np.rint(place), 0, SIDE - 1).astype(np.int64).T
    return DvsEvents(t, x, y, ahead.astype(np.int64))


def image_events(
    image_HW: NDArray[np.uint8], generator: np.random.Generator, *, side: int, events: int
) -> DvsEvents:
    """Events of an image that moves up and down before a sensor of ``side`` x ``side`` pixels."""
    weight = image_HW.ravel() / max(1, int(image_HW.sum()))
    pixel = generator.choice(image_HW.size, events, p=weight)
    scale = (side - 4) / max(image_HW.shape)
    y, x = np.divmod(pixel, image_HW.shape[1])
    t = np.sort(generator.integers(0, 300_000, events))
    shift = 2 * np.sin(2 * np.pi * t / 300_000)
    column = (x + generator.random(events)) * scale + 2
    row = (y + generator.random(events)) * scale + 2 + shift
    x, y = (np.clip(v, 0, side - 1).astype(np.int64) for v in (column, row))
    return DvsEvents(t, x, y, (np.cos(2 * np.pi * t / 300_000) > 0).astype(np.int64))


def write_synthetic_nmnist(folder: Path, *, train: int = 400, test: int = 100) -> None:
    """Write ``Train`` and ``Test`` with ``DIGIT/NNNNN.bin`` from scikit-learn's digits."""
    for split, count in (("Train", train), ("Test", test)):
        digits = load_digits("train" if split == "Train" else "test")
        for number in range(count):
            label = int(digits.labels[number])
            generator = np.random.default_rng((3, number, split == "Train"))
            events = image_events(digits.images[number], generator, side=34, events=800)
            place = folder / split / str(label) / f"{number:05d}.bin"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encode_nmnist(events))


def write_synthetic_cifar10_dvs(folder: Path, classes: tuple[str, ...], *, count: int = 30) -> None:
    """Write ``CLASS/cifar10_CLASS_N.aedat`` from scikit-learn's digits, on 32 x 32 pixels."""
    digits = load_digits("train")
    for label, name in enumerate(classes):
        (rows,) = np.nonzero(digits.labels == label)
        for number in range(count):
            generator = np.random.default_rng((5, label, number))
            events = image_events(digits.images[rows[number]], generator, side=SIDE, events=800)
            place = folder / name / f"cifar10_{name}_{number}.aedat"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encode_cifar10_dvs(events))
