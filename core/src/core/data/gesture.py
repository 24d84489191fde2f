"""DVS128 Gesture: trials in AEDAT 3.1, cut into gestures by their lists of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from core.data.dvs import DvsEvents, decode_aedat31, read_recording
from core.errors import UserError
from core.outside.text import read_text

CLASSES = 11
_TEXT_BYTES = 1 << 16
_LISTS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}


Split = Literal["train", "test"]


class Sample(NamedTuple):
    """A recording of one class.

    Attributes:
        name: Where it comes from, for messages.
        label: Its class.
        events: What happened.
    """

    name: str
    label: int
    events: DvsEvents


Job = Callable[[], list[Sample]]
"""Reads a few samples; called in a thread of its own."""


class Segment(NamedTuple):
    """A gesture of a trial.

    Attributes:
        name: ``TRIAL_LABEL_K``, the ``K``-th of this label, as the code of 2020 names its file.
        label: Class from 0 on, ``LABEL - 1``.
        start: Microseconds.
        end: Microseconds; events at this time are no part of it.
    """

    name: str
    label: int
    start: int
    end: int


def kept_trials(trials: Sequence[str], cpus: int | None) -> Sequence[str]:
    """The training trials that the converter of SpikingJelly in 2020 did not lose.

    It gave each of ``k = max(cpus, 2) - 1`` threads ``floor(n / k)`` trials and left out what
    remained at the end of the list. The networks of 2021 were trained on 936 of 1176 gestures (27
    processors), those of the thesis on 1056 (12). None keeps all.
    """
    if cpus is None:
        return trials
    workers = max(cpus, 2) - 1
    return trials[: len(trials) // workers * workers]


def trials_of(folder: Path, split: Split) -> list[str]:
    """Names of the trials of a split, without ``.aedat``, in the order of the published list.

    Raises:
        UserError: The list is missing or damaged.
    """
    path = folder / _LISTS[split]
    lines = [line.strip() for line in _text(path).splitlines()]
    names = [line for line in lines if line]
    for name in names:
        stem = name.removesuffix(".aedat")
        if stem == name or not stem.replace("_", "").isalnum():
            raise UserError(f"{path} lists {name[:60]!r}, which is no NAME.aedat.")
    if not names or len(set(names)) < len(names):
        raise UserError(f"{path} lists {'a trial twice' if names else 'no trials'}.")
    return [name.removesuffix(".aedat") for name in names]


def segments_of(folder: Path, trial: str) -> list[Segment]:
    """The gestures of a trial, in the order of their names.

    Raises:
        UserError: Its list is missing or damaged.
    """
    path = folder / f"{trial}_labels.csv"
    seen: dict[int, int] = {}
    found = []
    for number, line in enumerate(_text(path).splitlines()[1:], start=2):
        if not line.strip():
            continue
        try:
            label, start, end = (int(field) for field in line.split(","))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: expected label,start,end") from error
        if not 1 <= label <= CLASSES or not 0 <= start < end < 1 << 62:
            raise UserError(f"{path}, line {number}: no gesture 1 to {CLASSES} from start to end")
        count = seen[label] = seen.get(label, -1) + 1
        found.append(Segment(f"{trial}_{label}_{count}", label - 1, start, end))
    return sorted(found, key=lambda segment: f"{segment.name}.npy")


def cut(events: DvsEvents, segment: Segment) -> DvsEvents:
    """The events with ``start <= t < end``."""
    first, end = np.searchsorted(events.t, (segment.start, segment.end))
    return events.between(int(first), int(end))


def gesture_jobs(folder: Path, split: Split, *, converter_cpus: int | None = None) -> Iterator[Job]:
    """A function per trial that gives name, class and events of its gestures.

    Raises:
        UserError: A list is missing or damaged; from the functions too, for recordings.
    """
    trials = trials_of(folder, split)
    if split == "train":
        trials = list(kept_trials(trials, converter_cpus))
    if not trials:
        raise UserError(f"with {converter_cpus} processors, the converter of 2020 lost all trials")
    for trial in sorted(trials):
        segments = segments_of(folder, trial)

        def read(
            path: Path = folder / f"{trial}.aedat", segments: list[Segment] = segments
        ) -> list[Sample]:
            events = decode_aedat31(read_recording(path), str(path))
            if (np.diff(events.t) < 0).any():
                order = np.argsort(events.t, kind="stable")
                events = DvsEvents(*(field[order] for field in events))
            return [Sample(f"{path}: {s.name}", s.label, cut(events, s)) for s in segments]

        yield read


def _text(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path} does not exist. Name the folder DvsGesture.")
    return read_text(path, limit=_TEXT_BYTES)
