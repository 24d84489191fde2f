"""DVS128 Gesture, N-MNIST and CIFAR10-DVS in their original layouts.

- ``dvs128_gesture``: ``trials_to_train.txt``, ``trials_to_test.txt``, ``TRIAL.aedat`` and
  ``TRIAL_labels.csv``
- ``nmnist``: ``Train.zip`` and ``Test.zip``, or ``Train`` and ``Test``: ``DIGIT/NUMBER.bin``
- ``cifar10_dvs``: ``CLASS.zip``, or ``CLASS``: ``cifar10_CLASS_NUMBER.aedat``; of each class the
  first nine tenths by number are for training

Files are taken in the order of their names, so that a split depends on nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from core.data.archives import files_of
from core.data.cifar10 import CLASSES
from core.data.dvs import DvsEvents, decode_cifar10_dvs, decode_nmnist
from core.data.gesture import Job, Sample, Split, gesture_jobs
from core.errors import UserError

COUNTS = {
    "dvs128_gesture": {"train": 1176, "test": 288},
    "nmnist": {"train": 60_000, "test": 10_000},
    "cifar10_dvs": {"train": 9_000, "test": 1_000},
}
"""Samples of the published sets."""

SENSOR = {"dvs128_gesture": 128, "nmnist": 34, "cifar10_dvs": 128}
"""Rows and columns."""

_LARGEST = 1 << 26  # bytes of a recording of the two sets below
_NUMBER = re.compile(r"(\d{1,9})\.\w+$", re.ASCII)


def jobs_of(name: str, folder: Path, split: Split, *, converter_cpus: int | None) -> Iterator[Job]:
    """What reads one split of a set, file by file.

    Args:
        name: ``dvs128_gesture``, ``nmnist`` or ``cifar10_dvs``.
        folder: Where it lies.
        split: Which part.
        converter_cpus: See :func:`core.data.gesture.kept_trials`; None to keep all.

    Raises:
        UserError: Something is missing or damaged.
    """
    if name == "dvs128_gesture":
        yield from gesture_jobs(folder, split, converter_cpus=converter_cpus)
        return
    files = _nmnist_files if name == "nmnist" else _cifar10_dvs_files
    decode = decode_nmnist if name == "nmnist" else decode_cifar10_dvs
    for place, label, content in files(folder, split):
        yield partial(_one, decode, content, place, label)


def _one(
    decode: Callable[[bytes, str], DvsEvents], content: bytes, place: str, label: int
) -> list[Sample]:
    return [Sample(place, label, decode(content, place))]


def _nmnist_files(folder: Path, split: Split) -> Iterator[tuple[str, int, bytes]]:
    """Name, class and content of every file; also of the subset, where tests are ``heldout``."""
    names = {"train": ("Train", "train"), "test": ("Test", "heldout")}[split]
    places = [folder / f"{name}{end}" for name in names for end in (".zip", "")]
    subset = folder / "nmnist_reconstructed_subset.tar.xz"
    place = next((place for place in places if place.exists()), subset)
    if not place.exists():
        raise UserError(f"{folder} holds no {names[0]}.zip, nor {names[0]}. Name another folder.")
    for name, content in files_of(place, ".bin", most=_LARGEST):
        parts = PurePosixPath(name).parts
        if place == subset and names[1] not in parts:
            continue
        if len(parts) < 2 or not re.fullmatch("[0-9]", parts[-2]):
            raise UserError(f"{place}: {name} lies in no folder of a digit.")
        yield f"{place}: {name}", int(parts[-2]), content


def _cifar10_dvs_files(folder: Path, split: Split) -> Iterator[tuple[str, int, bytes]]:
    for label, kind in enumerate(CLASSES):
        places = (folder / f"{kind}.zip", folder / kind)
        place = next((place for place in places if place.exists()), None)
        if place is None:
            raise UserError(f"{folder} holds no {kind}.zip, nor {kind}. Name another folder.")

        choose = partial(_part, split=split, place=place)
        for name, content in files_of(place, ".aedat", most=_LARGEST, choose=choose):
            yield f"{place}: {name}", label, content


def _part(names: Iterable[str], *, split: Split, place: Path) -> Sequence[str]:
    """The files of a class that belong to a split, by number."""
    numbered = []
    for name in names:
        if (match := _NUMBER.search(name)) is None:
            raise UserError(f"{place}: {name} ends with no number.")
        numbered.append((int(match[1]), name))
    found = [name for _, name in sorted(numbered)]
    train = len(found) * 9 // 10
    return found[:train] if split == "train" else found[train:]


def files_below(name: str, folder: Path) -> Sequence[Path]:
    """The files that a set consists of, to name its content by."""
    if name == "dvs128_gesture":
        patterns = ["*.aedat", "*_labels.csv", "trials_to_*.txt"]
    elif name == "nmnist":
        patterns = ["Train.zip", "Test.zip", "*.tar.xz", "[Tt]*/[0-9]/*.bin"]
    else:
        patterns = [f"{kind}{end}" for kind in CLASSES for end in (".zip", "/*.aedat")]
    return sorted(path for pattern in patterns for path in folder.glob(pattern))
