"""HDF5 files that promise too much or point elsewhere are refused, at once and in little memory."""

import resource
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from core.data.events import load_events
from core.errors import UserError

ROWS = h5py.vlen_dtype(np.float16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in the layout of SHD that is right so far: two recordings."""
    with h5py.File(tmp_path / "shd_train.h5", "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (2,), dtype=h5py.vlen_dtype(kind))
            rows[0], rows[1] = [0, 1], [1]
        file["labels"] = [1, 0]
        file["extra/keys"] = [b"no", b"yes"]
    load_events(tmp_path / "shd_train.h5")
    return tmp_path / "shd_train.h5"


@pytest.fixture(autouse=True)
def _little_time_and_memory() -> Iterator[None]:
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def replace(path: Path, name: str, make: Callable[[h5py.File], object]) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        make(file)


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_events(path)


def test_rows_without_end(path: Path) -> None:
    def make(file: h5py.File) -> None:
        file.create_dataset("spikes/times", (1 << 40,), ROWS, chunks=(64,))

    replace(path, "spikes/times", make)
    assert path.stat().st_size < 20_000
    refused(path, rf"spikes/times promises {16 << 40} bytes, the whole file has")


@pytest.mark.parametrize("shape", [(1 << 31,), (1 << 32, 1 << 32), (1 << 20, 1 << 11)])
@pytest.mark.parametrize("name", ["labels", "extra/speaker"])
def test_fill_values(path: Path, name: str, shape: tuple[int, ...]) -> None:
    def make(file: h5py.File) -> None:
        chunks = (16,) * len(shape)
        file.create_dataset(name, shape, "u2", chunks=chunks, fillvalue=1)

    with h5py.File(path, "a") as file:
        file.require_dataset(name, (2,), "i8")
    replace(path, name, make)
    refused(path, f"{name} promises .* bytes")


def test_chunk_that_becomes_large(path: Path) -> None:
    def make(file: h5py.File) -> None:
        labels = file.create_dataset(
            "labels", (2,), "u2", maxshape=(None,), chunks=(1 << 22,), compression="gzip"
        )
        labels[:] = [1, 0]

    replace(path, "labels", make)
    assert path.stat().st_size < 50_000
    refused(path, f"labels promises {2 << 22} bytes")


def test_compressed_labels_of_a_small_file(path: Path) -> None:
    def make(file: h5py.File) -> None:
        file.create_dataset("labels", data=[1, 0], maxshape=(None,), compression="gzip")

    replace(path, "labels", make)
    assert load_events(path).labels.tolist() == [1, 0]


def test_all_rows_are_one_long_one(path: Path) -> None:
    for name in ("spikes/times", "spikes/units"):

        def make(file: h5py.File, name: str = name) -> None:
            kind = np.float16 if name == "spikes/times" else np.uint16
            rows = file.create_dataset(name, (20_000,), h5py.vlen_dtype(kind))
            rows[0] = np.zeros(30_000)

        replace(path, name, make)
        with h5py.File(path) as file:
            place = file[name].id.get_offset()
        content = bytearray(path.read_bytes())
        content[place : place + 20_000 * 16] = content[place : place + 16] * 20_000
        path.write_bytes(content)  # 0.8 MB that are 1.2 GB
    refused(path, "the rows of /spikes/times are longer than the file")


@pytest.mark.parametrize("name", ["spikes/times", "spikes/units"])
def test_row_that_announces_too_much(path: Path, name: str) -> None:
    with h5py.File(path) as file:
        place = file[name].id.get_offset()
    content = bytearray(path.read_bytes())
    content[place : place + 4] = b"\xff" * 4  # HDF5 would take 8 GB for these rows
    path.write_bytes(content)
    refused(path, f"the rows of /{name} are longer than the file")


def test_heap_in_which_the_library_runs_in_circles(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"GCOL") + 16
    content[place : place + 16] = bytes(16)  # object 0 of no bytes: free space that never ends
    path.write_bytes(content)
    refused(path, "a row of /spikes/times is longer than what is there")


@pytest.mark.parametrize("filters", [{}, {"compression": "gzip"}, {"shuffle": True}])
def test_references_in_chunks(path: Path, filters: dict[str, Any]) -> None:
    def make(file: h5py.File) -> None:
        rows = file.create_dataset(
            "spikes/times", (2,), ROWS, chunks=(1,), maxshape=(9,), **filters
        )
        rows[0], rows[1] = [0.5, 1], [0.25]

    replace(path, "spikes/times", make)
    assert load_events(path).times.tolist() == [0.5, 1, 0.25]
    content = path.read_bytes()
    if not filters:
        for length in (2, 1):  # of the first and the second row
            places = [n for n in range(len(content) - 16) if is_reference(content, n, length)]
            assert places
            for place in places:
                changed = bytearray(content)
                changed[place + 3] = 0x7F
                path.write_bytes(changed)
                refused(path, "the rows of /(spikes|extra)/.* are longer than the file")


def is_reference(content: bytes, place: int, length: int) -> bool:
    number, heap, index = struct.unpack_from("<IQI", content, place)
    return number == length and content[heap : heap + 4] == b"GCOL" and 0 < index < 9


def test_long_words(path: Path) -> None:
    def make(file: h5py.File) -> None:
        file["extra/keys"] = ["a" * 30_000] + [""] * 20_000

    replace(path, "extra/keys", make)
    with h5py.File(path) as file:
        place = file["extra/keys"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[place : place + 20_000 * 16] = content[place : place + 16] * 20_000
    path.write_bytes(content)
    refused(path, "the rows of /extra/keys are longer than the file")


def test_soft_link_inside_of_the_file(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.move("extra/keys", "words")
        file["extra/keys"] = h5py.SoftLink("/extra/more")
        file["extra/more"] = h5py.SoftLink("../words")  # HDF5 knows no "..": leads nowhere
    refused(path, r"has no \.\./words")
    replace(path, "extra/more", lambda file: file.update({"extra/more": h5py.SoftLink("/words")}))
    assert load_events(path).words == ("no", "yes")


@pytest.mark.parametrize("way", ["link", "soft link", "group", "loop", "storage", "virtual"])
def test_values_outside_of_the_file(path: Path, tmp_path: Path, way: str) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["keys"] = [b"no", b"yes"]
    raw = tmp_path / "passwd"
    raw.write_bytes(b"root" * 10)

    def make(file: h5py.File) -> None:
        if way == "link":
            file["extra/keys"] = h5py.ExternalLink(str(secret), "keys")
        elif way == "soft link":
            file["door"] = h5py.ExternalLink(str(secret), "/")
            file["extra/keys"] = h5py.SoftLink("/door/keys")
        elif way == "group":
            del file["extra"]
            file["extra"] = h5py.ExternalLink(str(secret), "/")
        elif way == "loop":
            file["extra/keys"] = h5py.SoftLink("/extra/keys")
        elif way == "storage":
            file.create_dataset("extra/keys", (2,), "S4", external=[(str(raw), 0, 8)])
        else:
            layout = h5py.VirtualLayout((2,), "S4")
            layout[:] = h5py.VirtualSource(str(secret), "keys", (2,))
            file.create_virtual_dataset("extra/keys", layout)

    replace(path, "extra/keys", make)
    refused(path, "link to another file|the values of extra/keys lie in other files")
