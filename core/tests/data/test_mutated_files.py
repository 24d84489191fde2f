"""Every reader of data files, on 200 files that are wrong somewhere: a value or a UserError."""

import gzip
import io
import lzma
import resource
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile

from core.data import qtdb
from core.data.archives import unpack_tar
from core.data.audio import read_waveform
from core.data.cifar10 import load_cifar10_jpeg
from core.data.dvs import (
    DvsEvents,
    decode_aedat31,
    decode_cifar10_dvs,
    decode_nmnist,
    read_recording,
)
from core.data.event_frames import _counted
from core.data.event_sets import jobs_of
from core.data.events import EventData, load_events
from core.data.gesture import Sample, segments_of
from core.data.heidelberg import load_hd
from core.data.mnist import read_idx
from core.data.qtdb import load_qtdb
from core.data.speech_commands import load_sc
from core.data.synthetic_dvs import encode_aedat31, encode_cifar10_dvs, encode_nmnist
from core.data.synthetic_ecg import make_synthetic_ecg, write_qtdb_mat
from core.data.synthetic_events import write_events
from core.data.unpack import cached, unpacked
from core.data.words import WORDS
from core.errors import UserError

COUNT = 200


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def mutants(content: bytes, seed: int) -> Iterator[bytes]:
    """The content with one to three changes of any kind, mostly small ones."""
    generator = np.random.default_rng(seed)
    for _ in range(COUNT):
        changed = bytearray(content)
        for _ in range(generator.integers(1, 4)):
            place = int(generator.integers(len(changed) + 1))
            length = int(generator.choice([1, 1, 2, 4, 8, 100]))
            few = generator.choice([0, 1, 0x7F, 0x80, 0xFF], size=length).astype(np.uint8)
            any_bytes = generator.integers(256, size=length, dtype=np.uint8)
            kind = generator.integers(6)
            if kind == 0:
                changed[place : place + length] = few.tobytes()
            elif kind == 1:
                changed[place : place + length] = any_bytes.tobytes()
            elif kind == 2:
                changed[place:place] = any_bytes.tobytes()
            elif kind == 3:
                del changed[place : place + length]
            elif kind == 4:
                changed[place:place] = changed[place : place + length]
            elif generator.random() < 0.3:
                del changed[place:]
            else:
                changed[place : place + length] = bytes([few[0]]) * length
        yield bytes(changed)


def survives(read: Callable[[Path], object], path: Path, files: Iterator[bytes]) -> None:
    """Read all files as ``path``; some must be refused, and none may take long or much memory."""
    start, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for number, content in enumerate(files):
        path.write_bytes(content)
        try:
            read(path)
        except UserError:
            refused += 1
        except BaseException as error:
            error.add_note(f"while reading mutant {number}")
            raise
    assert refused > COUNT / 10
    assert time.monotonic() - start < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300_000  # kB


IDX = bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4, *range(12)])


@pytest.mark.parametrize("inside", [True, False])
def test_idx(tmp_path: Path, inside: bool) -> None:
    files = mutants(IDX, 1) if inside else mutants(gzip.compress(IDX), 2)
    packed = (gzip.compress(file, 1) for file in files) if inside else files
    survives(lambda path: read_idx(path, (3, 4)), tmp_path / "a.gz", packed)


def test_events(tmp_path: Path) -> None:
    data = EventData(
        times=np.array([0.0, 0.25, 1.5, 0.125, 0.5], np.float16),
        units=np.array([0, 699, 3, 300, 299], np.uint16),
        offsets=np.array([0, 3, 3, 5]),
        labels=np.array([2, 0, 1]),
        speakers=np.array([4, 0, 11]),
        words=("zero", "fünf", "sechs"),
    )
    write_events(tmp_path / "whole.h5", data)
    content = (tmp_path / "whole.h5").read_bytes()
    survives(load_events, tmp_path / "shd_train.h5", mutants(content, 3))


def test_matlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qtdb, "_SIZES", {"test": 2})
    write_qtdb_mat(tmp_path / "whole.mat", make_synthetic_ecg(2, steps=1300, seed=3))
    content = (tmp_path / "whole.mat").read_bytes()
    path = tmp_path / "QTDB_test.mat"
    survives(lambda path: load_qtdb("test", tmp_path), path, mutants(content, 4))


@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_audio(tmp_path: Path, kind: str, rate: int) -> None:
    stream = io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal(500)
    soundfile.write(stream, samples, rate, format=kind.upper(), subtype="PCM_16")
    head, rest = stream.getvalue()[:100], stream.getvalue()[100:]  # what matters is in front
    files = (file + rest for file in mutants(head, 5))
    survives(read_waveform, tmp_path / f"a.{kind}", files)


def test_lists(tmp_path: Path) -> None:
    names = [f"lang-german_speaker-0{n}_trial-1_digit-{n}.flac" for n in range(5)]
    places = [f"{word}/{n:08x}_nohash_0.wav" for n, word in enumerate(WORDS)]
    for name in [*(f"audio/{name}" for name in names), *places, "testing_list.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    content = "".join(f"{name}\n" for name in names).encode()
    survives(
        lambda path: load_hd(tmp_path, "train"),
        tmp_path / "train_filenames.txt",
        mutants(content, 6),
    )
    content = "".join(f"{place}\n" for place in places[::5]).encode()
    survives(
        lambda path: load_sc(tmp_path, "valid"),
        tmp_path / "validation_list.txt",
        mutants(content, 7),
    )


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_packed_files(tmp_path: Path, suffix: str) -> None:
    content = np.random.default_rng(0).integers(9, size=500, dtype=np.uint8).tobytes()
    stream = io.BytesIO()
    if suffix == ".zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.h5", content)
    else:
        stream.write((gzip if suffix == ".gz" else lzma).compress(content))
    survives(unpacked, tmp_path / f"a.h5{suffix}", mutants(stream.getvalue(), 8))


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_archives(tmp_path: Path, layout: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=layout) as archive:
        for name in ("hd_subset/audio/a.flac", f"hd_subset/{'long' * 20}/ä.flac"):
            member = tarfile.TarInfo(name)
            member.size = 10
            archive.addfile(member, io.BytesIO(b"0123456789"))
    content = stream.getvalue()[: 512 * 12]
    count = iter(range(COUNT))

    def read(path: Path) -> object:
        return cached(f"{next(count)}", lambda target: unpack_tar(path, target, top="hd_subset"))

    survives(read, tmp_path / "hd_subset.tar", mutants(content, 9))


ENCODERS = {
    "aedat31": (encode_aedat31, decode_aedat31),
    "nmnist": (encode_nmnist, decode_nmnist),
    "cifar10_dvs": (encode_cifar10_dvs, decode_cifar10_dvs),
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("split_by", ["number", "time"])
def test_event_cameras(tmp_path: Path, kind: str, split_by: Literal["number", "time"]) -> None:
    encode, decode = ENCODERS[kind]
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 34, (2, 40))
    events = DvsEvents(np.arange(40) * 999, x, y, generator.integers(0, 2, 40))

    def read(path: Path) -> object:
        return _counted(Sample("a", 0, decode(read_recording(path), "a")), 3, split_by, 34)

    survives(read, tmp_path / "a.bin", mutants(encode(events), 10))


def test_labels_of_gestures(tmp_path: Path) -> None:
    content = b"class,startTime_usec,endTime_usec\n" + b"".join(
        b"%d,%d,%d\n" % (label, 9 * label, 9 * label + 5) for label in range(1, 12)
    )
    path = tmp_path / "user01_led_labels.csv"
    survives(lambda path: segments_of(tmp_path, "user01_led"), path, mutants(content, 11))


@pytest.mark.parametrize("suffix", [".zip", ".tar.xz"])
def test_archives_of_recordings(tmp_path: Path, suffix: str) -> None:
    generator = np.random.default_rng(1)
    recording = generator.integers(256, size=50, dtype=np.uint8).tobytes()
    stream = io.BytesIO()
    if suffix == ".zip":
        name = "Train.zip"
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(3):
                archive.writestr(f"Train/{number}/0000{number}.bin", recording)
    else:
        name = "nmnist_reconstructed_subset.tar.xz"
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w") as tar:
            member = tarfile.TarInfo("train/3/00001.bin")
            member.size = len(recording)
            tar.addfile(member, io.BytesIO(recording))
        stream.write(lzma.compress(inner.getvalue(), preset=0))

    def read(path: Path) -> object:
        jobs = jobs_of("nmnist", path.parent, "train", converter_cpus=None)
        return [job() for job in jobs]

    survives(read, tmp_path / name, mutants(stream.getvalue(), 12))


def test_jpeg_images(tmp_path: Path) -> None:
    from PIL import Image

    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    path = tmp_path / "train" / "cat" / "0001.jpg"
    path.parent.mkdir(parents=True)
    survives(
        lambda path: load_cifar10_jpeg("train", tmp_path), path, mutants(stream.getvalue(), 13)
    )
