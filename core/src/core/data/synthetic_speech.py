"""Synthetic HD and SC: generated look-alikes in the real layouts, for first runs and tests.

They are no speech and no result on them is a result on Heidelberg Digits or Speech Commands. What
they share with the real sets: FLAC files at 48 kHz or wav files at 16 kHz, 16 bits, one channel;
names, lists, classes, words and disjoint speakers; and energy in a few bands that move while a word
is spoken, at the pitch of the speaker. They have about a twentieth of the recordings, or less.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.audio import SAMPLE_RATE, write_list
from core.data.speech_commands import LISTS
from core.data.words import DIGITS, WORDS

_HD_RATE = 48000
_HD_SPEAKERS, _HD_TRIALS = 12, 2
_SC_SPEAKERS = {"train": 16, "valid": 3, "test": 4}  # everyone says every word once
_FORMANTS = 3


def write_synthetic_hd(folder: Path) -> None:
    """Write 480 recordings, 20 classes by 12 speakers: 380 for training, 100 for testing.

    Speakers 4 and 5 are only in the test list, and one of ten recordings of the others.
    """
    (folder / "audio").mkdir(parents=True)
    generator = np.random.default_rng(10)
    formants = _formants(len(DIGITS))
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for speaker in range(_HD_SPEAKERS):
        for trial in range(_HD_TRIALS):
            for label in range(len(DIGITS)):
                language = "english" if label < 10 else "german"
                name = (
                    f"lang-{language}_speaker-{speaker:02d}_trial-{trial}_digit-{label % 10}.flac"
                )
                samples_N = _word(generator, formants[label], _pitch(speaker), _HD_RATE)
                _write_audio(folder / "audio" / name, samples_N, _HD_RATE)
                held_out = speaker in (4, 5) or (trial == 1 and label % 10 == speaker % 10 // 2)
                lists["test" if held_out else "train"].append(name)
    for split, names in lists.items():
        write_list(folder / f"{split}_filenames.txt", names)


def write_synthetic_sc(folder: Path) -> None:
    """Write 35 words by 23 speakers, the lists of 3 and 4 of them, and one background noise."""
    folder.mkdir()
    generator = np.random.default_rng(11)
    formants = _formants(len(WORDS))
    splits = [split for split, count in _SC_SPEAKERS.items() for _ in range(count)]
    for label, word in enumerate(WORDS):
        (folder / word).mkdir()
        for speaker in range(len(splits)):
            samples_N = _word(generator, formants[label], _pitch(speaker), SAMPLE_RATE)
            name = f"{_speaker_name(speaker)}_nohash_0.wav"
            _write_audio(folder / word / name, samples_N, SAMPLE_RATE)
    for split, name in LISTS.items():
        speakers = [n for n, of in enumerate(splits) if of == split]
        places = [f"{word}/{_speaker_name(n)}_nohash_0.wav" for word in WORDS for n in speakers]
        write_list(folder / name, places)
    noise_N = np.rint(3000 * generator.standard_normal(3 * SAMPLE_RATE)).astype(np.int16)
    (folder / "_background_noise_").mkdir()
    _write_audio(folder / "_background_noise_" / "white_noise.wav", noise_N, SAMPLE_RATE)


def _formants(classes: int) -> NDArray[np.float64]:
    """Return where every class has its bands of energy, [C, formants, (start, end)] in Hz."""
    lowest, highest = np.log(300.0), np.log(6000.0)
    drawn = np.random.default_rng(98).uniform(lowest, highest, (classes, _FORMANTS, 2))
    return np.exp(drawn)


def _pitch(speaker: int) -> float:
    """Return a factor on all frequencies, the same in every recording of a speaker."""
    return float(np.random.default_rng((97, speaker)).uniform(0.85, 1.18))


def _speaker_name(speaker: int) -> str:
    return hashlib.sha256(str(speaker).encode()).hexdigest()[:8]


def _word(
    generator: np.random.Generator, formants: NDArray[np.float64], pitch: float, rate: int
) -> NDArray[np.int16]:
    """Return one recording, 0.25 to 0.4 s: gliding tones that fade in and out, and some noise."""
    count = int(rate * generator.uniform(0.25, 0.4))
    phase_N = np.linspace(0.0, 1.0, count)
    sound_N = 0.003 * generator.standard_normal(count)
    for start, end in pitch * formants * generator.uniform(0.97, 1.03, formants.shape):
        cycles_N = (start * phase_N + 0.5 * (end - start) * phase_N**2) * count / rate
        sound_N += 0.1 * np.sin(2 * np.pi * (cycles_N + generator.random()))
    sound_N *= np.sin(np.pi * phase_N) * generator.uniform(0.5, 1.5)
    # Rounded here, so that the last bits of sine on another machine change next to nothing.
    return np.rint(sound_N * 32767).clip(-32768, 32767).astype(np.int16)


def _write_audio(path: Path, samples_N: NDArray[np.int16], rate: int) -> None:
    import soundfile

    # Not to the path at once: soundfile waits for the disk after every file.
    stream = BytesIO()
    soundfile.write(stream, samples_N, rate, format=path.suffix[1:].upper(), subtype="PCM_16")
    path.write_bytes(stream.getvalue())
