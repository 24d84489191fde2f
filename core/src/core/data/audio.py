"""Recordings as files: who says what where, and their waveforms.

``N`` samples of a waveform.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError

SAMPLE_RATE = 16000
"""Hz; what the filterbank takes every waveform to have."""

RateRule: TypeAlias = Literal["resample", "ignore"]


class Utterances(NamedTuple):
    """Recordings of one split; nothing of them is in memory.

    Attributes:
        paths: one audio file per recording.
        labels: int64 [n], index into ``words``.
        speakers: text [n], who speaks.
        words: the word of every class.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    speakers: NDArray[np.str_]
    words: tuple[str, ...]


def read_waveform(path: Path, *, sample_rate: RateRule = "resample") -> Tensor:
    """Read a wav or flac file: its first channel, float32 [N]; 16-bit samples are / 32768.

    Args:
        path: the file.
        sample_rate: ``"resample"`` converts to 16 kHz what has another rate; ``"ignore"`` takes
            the samples as they are, as Bittar and Garner (2022) do. A 48 kHz recording then
            sounds three times slower and lower to the filterbank.

    Raises:
        UserError: the file is missing, truncated or no audio.
    """
    import soundfile  # here: not needed for the other data sets

    try:
        samples_NC, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        what = "cannot be read as audio" if path.exists() else "does not exist"
        raise UserError(
            f"{path} {what} ({error}). Get this file again from where the data set came."
        ) from error
    waveform_N = torch.from_numpy(samples_NC[:, 0].copy())
    if sample_rate == "ignore" or rate == SAMPLE_RATE:
        return waveform_N
    from torchaudio.functional import resample

    return resample(waveform_N, rate, SAMPLE_RATE)


def existing(folder: Path, paths: list[Path], listed_in: str) -> tuple[Path, ...]:
    """Return ``paths``; raises UserError that names the first one that is no file."""
    for path in paths:
        if not path.is_file():
            raise UserError(
                f"{path} is listed in {folder / listed_in} but does not exist. Unpack the data "
                "set again into an empty folder and name that."
            )
    return tuple(paths)


def read_list(path: Path) -> list[str]:
    """Return the lines of a list of files, without empty ones; UserError when there is none."""
    if not path.is_file():
        raise UserError(f"{path} does not exist. Name the folder into which the set was unpacked.")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def write_list(path: Path, lines: list[str]) -> None:
    """Write a list of files, one a line."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
