"""Google Speech Commands v0.02: 35 words as audio.

A folder holds one folder of wav files per word, ``validation_list.txt`` and ``testing_list.txt``
with lines such as ``bed/0a7c2a8d_nohash_0.wav``, and ``_background_noise_`` with long recordings
of no word. What neither list names is for training.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from core.data.audio import Utterances, existing, read_list
from core.data.words import WORDS
from core.errors import UserError

LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


def load_sc(folder: Path, split: Literal["train", "valid", "test"]) -> Utterances:
    """Return the recordings of one split: the lists in their order, the rest sorted by path.

    Classes are the 35 words in alphabetical order. Folders without wav files and those whose
    names start with ``_`` or ``.`` are no words, and files whose names start with ``.`` no
    recordings: macOS puts a hidden ``._x.wav`` beside ``x.wav`` on foreign disks.

    Raises:
        UserError: a list or a listed file is missing, or the folder does not hold these words.
    """
    lists = {name: _relative(read_list(folder / name)) for name in LISTS.values()}
    everything = _all_places(folder)  # for every split: the folder must hold the 35 words
    if split == "train":
        held_out = {place for places in lists.values() for place in places}
        places = [place for place in everything if place not in held_out]
        paths = tuple(map(folder.joinpath, places))
    else:
        places = lists[LISTS[split]]
        paths = existing(folder, [folder / place for place in places], LISTS[split])
    class_of = {word: label for label, word in enumerate(WORDS)}
    words = [place.rpartition("/")[0] for place in places]
    if strangers := set(words) - set(WORDS):
        raise UserError(
            f"{folder / LISTS[split]} lists {min(strangers)!r}, which is none of the 35 words."
        )
    return Utterances(
        paths=paths,
        labels=np.array([class_of[word] for word in words], np.int64),
        speakers=np.array([speaker_of(place) for place in places], np.str_),
        words=WORDS,
    )


def speaker_of(place: str) -> str:
    """Return who speaks in ``word/SPEAKER_nohash_0.wav``."""
    return place.rpartition("/")[2].partition("_nohash_")[0]


def _relative(lines: list[str]) -> list[str]:
    """Return listed places in one spelling, so that ``./bed/a.wav`` is ``bed/a.wav``."""
    return [str(PurePosixPath(line)) for line in lines]


def _is_recording(name: str) -> bool:
    return name.endswith(".wav") and not name.startswith(".")


def _all_places(folder: Path) -> list[str]:
    """Return every ``word/file.wav`` below ``folder``, sorted; there must be exactly 35 words."""
    places = {}
    with os.scandir(folder) as children:  # a hundred thousand files: faster than pathlib
        for child in children:
            if child.is_dir() and not child.name.startswith(("_", ".")):
                inside = (name for name in os.listdir(child) if _is_recording(name))
                places[child.name] = [f"{child.name}/{name}" for name in inside]
    words = {word for word, found in places.items() if found}
    for what, folders in (
        ("no wav files for", set(WORDS) - words),
        ("wav files in folders that are none of the 35 words:", words - set(WORDS)),
    ):
        if folders:
            raise UserError(
                f"{folder} holds {what} {', '.join(sorted(folders))}. Name the folder into which "
                "speech_commands_v0.02.tar.gz was unpacked."
            )
    return sorted(place for found in places.values() for place in found)
