"""Heidelberg Digits, the recordings that SHD was made from: English and German digits as audio.

A folder holds ``audio/*.flac`` and two lists of bare file names, ``train_filenames.txt`` and
``test_filenames.txt``. The names say everything else:
``lang-german_speaker-03_trial-12_digit-7.flac``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np

from core.data.audio import Utterances, existing, read_list
from core.data.words import DIGITS
from core.errors import UserError

LISTS = {"train": "train_filenames.txt", "test": "test_filenames.txt"}

_NAME = re.compile(r"lang-(english|german)_speaker-(\d+)_trial-\d+_digit-(\d)\.flac")


def load_hd(folder: Path, split: Literal["train", "test"]) -> Utterances:
    """Return the recordings of one list, in its order: class 0 to 9 English, 10 to 19 German.

    Raises:
        UserError: the list or a recording is missing, or a name is none of this data set.
    """
    listed = LISTS[split]
    names = read_list(folder / listed)
    parsed = [_NAME.fullmatch(name) for name in names]
    for name, match in zip(names, parsed, strict=True):
        if match is None:
            raise UserError(
                f"{folder / listed} lists {name!r}; expected names such as "
                "lang-german_speaker-03_trial-12_digit-7.flac"
            )
    found = [match.groups() for match in parsed if match]
    labels = [int(digit) + 10 * (language == "german") for language, _, digit in found]
    return Utterances(
        paths=existing(folder, [folder / "audio" / name for name in names], listed),
        labels=np.array(labels, np.int64),
        speakers=np.array([speaker for _, speaker, _ in found], np.str_),
        words=DIGITS,
    )
