"""Whole sets of events as frames, counted once by all cores and kept in the user's cache."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data import archives, dvs, event_sets, frames, gesture, synthetic_dvs
from core.data.cifar10 import CLASSES
from core.data.digests import digest, digest_files
from core.data.event_sets import COUNTS, SENSOR, files_below, jobs_of
from core.data.fetch import fetch
from core.data.files import mismatch
from core.data.frames import SplitBy, count_frames
from core.data.gesture import Job, Sample, Split
from core.data.registry import find_source
from core.data.unpack import cached
from core.errors import UserError


class EventSet(NamedTuple):
    """A set on disk.

    Attributes:
        kind: ``dvs128_gesture``, ``nmnist`` or ``cifar10_dvs``.
        name: What records call it: the kind for the published files only, ``nmnist-subset``,
            ``synthetic-nmnist``, or ``nmnist-unverified`` when nobody can vouch for them.
        folder: Where it lies, in the published layout.
        digest: Identifies its bytes.
        side: Rows and columns of its sensor.
        classes: How many.
    """

    kind: str
    name: str
    folder: Path
    digest: str
    side: int
    classes: int


class FrameSet(NamedTuple):
    """One split of a set.

    Attributes:
        counts: uint16 [N, T, 2, H, W], on disk.
        labels: int64 [N].
        microseconds: int64 [N], length of each recording.
        names: where each comes from.
    """

    counts: NDArray[np.uint16]
    labels: NDArray[np.int64]
    microseconds: NDArray[np.int64]
    names: Sequence[str]


def find_event_set(
    kind: str, place: str | Path | None = None, *, mirror: str | None = None
) -> EventSet:
    """Find, fetch or generate a set.

    Args:
        kind: ``dvs128_gesture``, ``nmnist`` or ``cifar10_dvs``.
        place: A folder in the published layout; ``embedded``, a generated look-alike; ``subset``,
            a part of N-MNIST; by default the published files.
        mirror: Where to fetch from, see :func:`core.data.fetch.fetch`.

    Raises:
        UserError: Files are missing, damaged or cannot be fetched.
    """
    side, classes = SENSOR[kind], gesture.CLASSES if kind == "dvs128_gesture" else 10
    if place == "embedded":
        folder = _embedded(kind)
        found = digest_files(folder, files_below(kind, folder))
        small = side if kind == "nmnist" else synthetic_dvs.SIDE
        return EventSet(kind, f"synthetic-{kind}", folder, found, small, classes)
    if place == "subset":
        source = f"{kind}_subset"
        folder = fetch(source, mirror=mirror)
        return EventSet(kind, f"{kind}-subset", folder, digest(source), side, classes)
    if place is None:
        folder, found, name = fetch(kind, mirror=mirror), digest(kind), kind
        if kind == "dvs128_gesture":
            folder = _gesture_folder(folder)
        return EventSet(kind, name, folder, found, side, classes)
    folder = Path(place)
    if kind == "dvs128_gesture":
        name = kind if _is_published(kind, folder) else f"{kind}-unverified"
        folder = _gesture_folder(folder)
    else:
        name = kind if _is_published(kind, folder) else f"{kind}-unverified"
    if not (files := files_below(kind, folder)):
        raise UserError(f"{folder} holds no files of {kind}. Name the folder of the original ones.")
    return EventSet(kind, name, folder, digest_files(folder, files), side, classes)


def load_frames(
    data: EventSet,
    split: Split,
    *,
    steps: int,
    split_by: SplitBy,
    converter_cpus: int | None = None,
) -> FrameSet:
    """Frames of a split; counted once, then taken from the cache.

    Args:
        data: The set.
        split: Which part.
        steps: ``T``.
        split_by: See :func:`core.data.frames.frame_of_events`.
        converter_cpus: See :func:`core.data.gesture.kept_trials`.

    Raises:
        UserError: A recording is damaged or cannot be divided so, the published set has another
            number of recordings, or the cache cannot be written.
    """
    lost = converter_cpus if data.kind == "dvs128_gesture" and split == "train" else None
    key = f"{data.kind}-{data.digest[7:]}-{split}-{steps}-{split_by}-{lost}-{_rules()}"

    def make(scratch: Path) -> None:
        scratch.mkdir()
        jobs = jobs_of(data.kind, data.folder, split, converter_cpus=lost)
        _count_all(jobs, scratch, steps=steps, split_by=split_by, side=data.side)

    folder = cached(f"frames/{key}", make)
    with np.load(folder / "index.npz") as index:
        labels, lengths, names = index["labels"], index["microseconds"], index["names"]
    if data.name == data.kind and lost is None and len(labels) != COUNTS[data.kind][split]:
        raise UserError(
            f"{data.folder} holds {len(labels)} recordings for {split}, the published set "
            f"{COUNTS[data.kind][split]}. Get it again."
        )
    shape = (len(labels), steps, 2, data.side, data.side)
    counts = np.memmap(folder / "counts.bin", np.uint16, "r", shape=shape)
    return FrameSet(counts, labels, lengths, names)


def _count_all(
    jobs: Iterable[Job], folder: Path, *, steps: int, split_by: SplitBy, side: int
) -> None:
    """Write ``counts.bin`` and ``index.npz``; a few recordings are in memory at once."""

    def count(job: Job) -> list[tuple[str, int, int, NDArray[np.uint16]]]:
        return [_counted(sample, steps, split_by, side) for sample in job()]

    names, labels, lengths = [], [], []
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    remaining = iter(jobs)
    with ThreadPoolExecutor(workers) as pool, (folder / "counts.bin").open("xb") as stream:
        while some := list(itertools.islice(remaining, 8 * (workers or 1))):
            for found in pool.map(count, some):
                for name, label, length, counts in found:
                    names.append(name)
                    labels.append(label)
                    lengths.append(length)
                    stream.write(counts.tobytes())
    if not names:
        raise UserError("the data set holds no recordings")
    np.savez(
        folder / "index.npz",
        names=np.array(names),
        labels=np.array(labels, np.int64),
        microseconds=np.array(lengths, np.int64),
    )


def _counted(
    sample: Sample, steps: int, split_by: SplitBy, side: int
) -> tuple[str, int, int, NDArray[np.uint16]]:
    try:
        counts = count_frames(sample.events, steps, split_by, height=side, width=side)
    except ValueError as error:
        raise UserError(f"{sample.name} cannot be made into {steps} frames: {error}.") from error
    t = sample.events.t
    return sample.name, sample.label, int(t[-1] - t[0]), counts


def _gesture_folder(folder: Path) -> Path:
    """Where the trials lie: the folder itself, one in it, or its archive, unpacked once."""
    for place in (folder, folder / "DvsGesture"):
        if (place / "trials_to_train.txt").is_file():
            return place
    archive = folder / "DvsGesture.tar.gz"
    if not archive.is_file():
        raise UserError(
            f"{folder} holds neither trials_to_train.txt nor {archive.name}. Name the folder of "
            "the original files."
        )
    found = digest_files(folder, [archive]).removeprefix("sha256:")
    return cached(
        f"unpacked/dvs128_gesture-{found}",
        lambda scratch: archives.unpack_tar(archive, scratch, top="DvsGesture"),
    )


def _is_published(kind: str, folder: Path) -> bool:
    """All registered files lie there and are right."""
    files = find_source(kind).files
    return all(
        (folder / file.name).is_file() and mismatch(folder / file.name, file) is None
        for file in files
    )


def _embedded(kind: str) -> Path:
    def make(scratch: Path) -> None:
        if kind == "dvs128_gesture":
            synthetic_dvs.write_synthetic_gestures(scratch)
        elif kind == "nmnist":
            synthetic_dvs.write_synthetic_nmnist(scratch)
        else:
            synthetic_dvs.write_synthetic_cifar10_dvs(scratch, CLASSES)

    return cached(f"synthetic/{kind}-{_rules()}", make)


def _rules() -> str:
    """What the content of the cache depends on beside the data: the code that makes it."""
    state = hashlib.sha256()
    for module in (dvs, frames, gesture, event_sets, synthetic_dvs):
        state.update(Path(str(module.__file__)).read_bytes())
    return state.hexdigest()[:8]
