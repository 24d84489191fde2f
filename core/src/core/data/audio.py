"""Recordings as files: who says what where, and their waveforms.

``N`` samples of a waveform.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError

SAMPLE_RATE = 16000
"""Hz; what the filterbank takes every waveform to have."""

MOST_SAMPLES = 1 << 25
"""Samples of all channels that a recording may have: 35 minutes at 16 kHz, 128 MB in memory."""

MOST_LIST = 16 << 20
"""Bytes that a list of recordings may have; the longest published one has half a megabyte."""

_MOST_TAPS = 1 << 20  # of a filter that converts rates; 44.1 kHz takes 70560

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
        UserError: the file is missing, truncated, empty or no audio, longer than ``MOST_SAMPLES``
            before or after its rate is converted, or has a rate that shares no factor with 16 kHz.
    """
    import soundfile  # here: not needed for the other data sets

    _refuse_truncated_wav(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate, frames, channels = file.samplerate, file.frames, file.channels
            if frames * channels > MOST_SAMPLES:  # a header may promise anything
                raise _bad(path, f"announces {frames * channels} samples, at most {MOST_SAMPLES}")
            samples_NC = file.read(dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        what = "cannot be read as audio" if path.exists() else "does not exist"
        raise _bad(path, f"{what} ({error})") from error
    if not 0 < len(samples_NC) == frames:
        raise _bad(path, f"holds {len(samples_NC)} samples, announces {frames}")
    waveform_N = torch.from_numpy(samples_NC[:, 0].copy())
    if sample_rate == "ignore" or rate == SAMPLE_RATE:
        return waveform_N
    common = math.gcd(rate, SAMPLE_RATE)
    taps = (rate // common) * (SAMPLE_RATE // common)
    if taps > _MOST_TAPS or frames * SAMPLE_RATE > MOST_SAMPLES * rate:
        raise UserError(
            f"{path} has {frames} samples at {rate} Hz; converting them to 16 kHz would take too "
            "much memory. Convert this file with another tool."
        )
    from torchaudio.functional import resample

    return resample(waveform_N, rate, SAMPLE_RATE)


def _refuse_truncated_wav(path: Path) -> None:
    """A wav says how long it is, and libsndfile reads what is there without a word."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
            size = os.fstat(file.fileno()).st_size
    except OSError:  # told better by whoever reads it
        return
    announced = int.from_bytes(head[4:8], "little") + 8
    streamed = announced in (8, 2**32 + 7)  # written without knowing the end
    if head[:4] == b"RIFF" and head[8:] == b"WAVE" and not streamed and announced > size + 1:
        raise _bad(path, f"is truncated: it announces {announced} bytes and has {size}")


def _bad(path: Path, problem: str) -> UserError:
    return UserError(f"{path} {problem}. Get this file again from where the data set came.")


def existing(folder: Path, paths: list[Path], listed_in: str) -> tuple[Path, ...]:
    """Return ``paths``; raises UserError that names the first one that is no file."""
    for path in paths:
        if not os.path.isfile(path):  # pathlib raises where a name is too long
            raise UserError(
                f"{path} is listed in {folder / listed_in} but does not exist. Unpack the data "
                "set again into an empty folder and name that."
            )
    return tuple(paths)


def read_list(path: Path) -> list[str]:
    """Return the lines of a list of files, without empty ones.

    Raises:
        UserError: there is no such file, it is no text in UTF-8, or longer than ``MOST_LIST``.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Name the folder into which the set was unpacked.")
    with path.open("rb") as stream:
        content = stream.read(MOST_LIST + 1)
    if len(content) > MOST_LIST:
        raise _bad(path, f"has more than {MOST_LIST} bytes, which is no list of recordings")
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise _bad(path, f"is no text in UTF-8 ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def write_list(path: Path, lines: list[str]) -> None:
    """Write a list of files, one a line."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
