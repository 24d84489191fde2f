"""The HDF5 layout of SHD and SSC: plain, packed, damaged."""

import gzip
import lzma
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from core.data.events import EventData, find_events, load_events
from core.data.synthetic_events import write_events
from core.errors import UserError


def small(**changed: Any) -> EventData:
    data = EventData(
        times=np.array([0.0, 0.25, 1.5, 0.125, 0.5], np.float16),
        units=np.array([0, 699, 3, 300, 299], np.uint16),
        offsets=np.array([0, 3, 3, 5]),  # the second recording is silent
        labels=np.array([2, 0, 1]),
        speakers=np.array([4, 0, 11]),
        words=("zero", "fünf", "sechs"),
    )
    return data._replace(**changed)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_events(tmp_path / "shd_train.h5", small())
    return tmp_path / "shd_train.h5"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "snn" / "unpacked"


def assert_same(found: EventData, expected: EventData) -> None:
    assert found.words == expected.words
    for name in ("times", "units", "offsets", "labels", "speakers"):
        a, b = getattr(found, name), getattr(expected, name)
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)
    kinds = (found.times.dtype, found.units.dtype, found.offsets.dtype, found.labels.dtype)
    assert kinds == (expected.times.dtype, np.uint16, np.int64, np.int64)


def test_events_come_back(path: Path) -> None:
    assert_same(load_events(path, samples=3), small())


def test_file_without_speakers(tmp_path: Path) -> None:
    write_events(tmp_path / "ssc_train.h5", small(speakers=None))
    assert_same(load_events(tmp_path / "ssc_train.h5"), small(speakers=None))


def test_nothing_is_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        write_events(path, small())
    assert path.read_bytes() == before


@pytest.mark.parametrize("times_kind", ["f2", ">f2", "f4", "f8", ">f8"])
@pytest.mark.parametrize("units_kind", ["i8", ">u2", ">f8"])
def test_numbers_of_any_type_and_text_keys(
    tmp_path: Path, times_kind: str, units_kind: str
) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        for name, values in (("times", [[0.1, 0.2], [0.3]]), ("units", [[699, 0], [5]])):
            kind = np.dtype(times_kind if name == "times" else units_kind)
            rows = file.create_dataset(f"spikes/{name}", (2,), dtype=h5py.vlen_dtype(kind))
            for n, row in enumerate(values):
                rows[n] = row
        file["labels"] = np.array([1, 0], units_kind)
        file["extra/keys"] = ["no", "yes"]
        file["extra/speaker"] = np.array([1, 2], np.int8)
    found = load_events(other)
    times = np.array([0.1, 0.2, 0.3], np.dtype(times_kind).newbyteorder("="))
    units = np.array([699, 0, 5], np.uint16)
    expected = EventData(
        times, units, np.array([0, 2, 3]), np.array([1, 0]), np.array([1, 2]), ("no", "yes")
    )
    assert_same(found, expected)
    assert found.times.dtype.isnative


def pack(path: Path, packing: str) -> Path:
    packed = Path(f"{path}{packing}")
    if packing == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(path, path.name)
    else:
        packed.write_bytes((gzip if packing == ".gz" else lzma).compress(path.read_bytes()))
    path.unlink()
    return packed


@pytest.mark.parametrize("packing", [".gz", ".zip", ".xz"])
def test_packed_file_is_unpacked_once_into_the_cache(path: Path, cache: Path, packing: str) -> None:
    packed = pack(path, packing)
    assert find_events(path.parent, "shd_train") == packed
    for _ in range(2):
        assert_same(load_events(packed), small())
        [plain] = [p for p in cache.iterdir() if p.suffix == ".h5"]
        stamp = plain.stat().st_mtime_ns
    assert plain.stat().st_mtime_ns == stamp
    assert {p.suffix for p in cache.iterdir()} == {".h5", ".lock"}  # nothing half made
    assert plain.name.startswith("shd_train-")
    assert sorted(p.name for p in path.parent.iterdir()) == ["cache", packed.name]
    packed.unlink()
    write_events(path, small(labels=np.array([1, 1, 1])))
    changed = load_events(pack(path, packing))  # another file of the same name
    assert changed.labels.tolist() == [1, 1, 1]


def test_plain_file_is_preferred(path: Path) -> None:
    (path.parent / "shd_train.h5.gz").write_bytes(b"")
    assert find_events(path.parent, "shd_train") == path


@pytest.mark.parametrize("packing", [".gz", ".zip", ".xz"])
@pytest.mark.parametrize("kept", [10, -20])
def test_truncated_packed_file(path: Path, cache: Path, packing: str, kept: int) -> None:
    packed = pack(path, packing)
    packed.write_bytes(packed.read_bytes()[:kept])
    with pytest.raises(UserError, match=rf"shd_train\.h5\{packing} is truncated or damaged"):
        load_events(packed)
    assert [p for p in cache.iterdir() if not p.name.endswith(".lock")] == []


@pytest.mark.parametrize("packing", [".gz", ".zip", ".xz"])
def test_damaged_packed_file(path: Path, packing: str) -> None:
    packed = pack(path, packing)
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 0xFF
    packed.write_bytes(content)
    with pytest.raises(UserError, match=r"is truncated or damaged .*get it again"):
        load_events(packed)


def test_zip_with_several_files(path: Path) -> None:
    packed = pack(path, ".zip")
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("more.h5", b"")
    with pytest.raises(UserError, match="holds 2 files, expected one"):
        load_events(packed)


@pytest.mark.parametrize("kept", [0, 100, 1500])
def test_truncated_hdf5_file(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"shd_train\.h5 is damaged .*get it again"):
        load_events(path)


def test_damaged_hdf5_inside_a_whole_packed_file_names_both(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])
    packed = pack(path, ".gz")
    with pytest.raises(UserError, match=r"unpacked from .*shd_train\.h5\.gz, is damaged"):
        load_events(packed)


def test_missing_file(tmp_path: Path) -> None:
    for name in ("shd_test.h5", "shd_test.h5.xz"):
        with pytest.raises(UserError, match=rf"{name} does not exist"):
            load_events(tmp_path / name)
    with pytest.raises(UserError, match=r"holds no shd_test\.h5 \(nor shd_test\.h5\.gz"):
        find_events(tmp_path, "shd_test")


@pytest.mark.parametrize("name", ["spikes/times", "spikes/units", "labels", "extra/keys"])
def test_missing_entry(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
    with pytest.raises(UserError, match=f"another layout has no {name}"):
        load_events(path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("labels", [0, 1], r"holds 3 recordings, but labels of shape \(2,\)"),
        ("labels", [0, 1, 3], "labels from 0 to 3, but /extra/keys names 3 words"),
        ("labels", [-1, 1, 2], "labels from -1 to 2"),
        ("extra/speaker", [1], r"speakers of shape \(1,\)"),
        ("spikes/units", [[0, 700, 3], [], [1, 2]], "units from 0 to 700, expected 0 to 699"),
        ("spikes/units", [[0, 1], [3], [1, 2]], "another number of times than of units"),
        ("spikes/units", [[0.5, 1, 1], [], [1, 2]], "units must be whole numbers, found 0.5"),
        ("labels", [0.0, 0.5, 1.7], "labels must be whole numbers, found 0.5"),
        ("labels", [b"0", b"1", b"2"], "labels holds .*, expected numbers"),
        ("extra/speaker", [0.0, 0.5, 1.7], "speakers must be whole numbers, found 0.5"),
        ("extra/keys", [1, 2, 3], "keys holds int64, expected text"),
        ("spikes/times", [[0.5, np.nan, 1], [], [1.0, 2]], "times that are no numbers"),
        ("spikes/times", [[0.5, 1, 1], [], [-1.0, 2]], "time -1.0, before its recording starts"),
        ("spikes/times", [[0, 800, 1], [], [3, 900]], "900 .*If these are milli.* by 1000"),
        ("spikes/times", [[0, 8e5, 1], [], [3, 9e5]], "900000 .*If these are micro.* by 1000000"),
        ("spikes/times", [1, 2, 3], "expected rows of numbers"),
    ],
)
def test_contradictions(path: Path, name: str, values: list, message: str) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        if isinstance(values[0], list):
            kind = np.asarray(values[0]).dtype
            rows = file.create_dataset(name, (len(values),), dtype=h5py.vlen_dtype(kind))
            for n, row in enumerate(values):
                rows[n] = row
        else:
            file[name] = values
    with pytest.raises(UserError, match=message):
        load_events(path)


def test_other_size_than_the_published_one(path: Path) -> None:
    with pytest.raises(UserError, match="holds 3 recordings, expected 8156"):
        load_events(path, samples=8156)


UNPACK = """
import sys
from pathlib import Path
from core.data.unpack import unpacked
print(unpacked(Path(sys.argv[1])))
"""


def test_two_processes_unpack_the_same_file(path: Path, cache: Path) -> None:
    packed = pack(path, ".xz")
    runs = [
        subprocess.Popen([sys.executable, "-c", UNPACK, str(packed)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    found = {run.communicate(timeout=30)[0].decode().strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(found) == 1
    assert_same(load_events(Path(found.pop())), small())


def test_what_a_kill_left_is_made_anew(path: Path, cache: Path) -> None:
    packed = pack(path, ".gz")
    load_events(packed)
    [plain] = [p for p in cache.iterdir() if p.suffix == ".h5"]
    os.rename(plain, cache / f".{plain.name}.making")
    (cache / f".{plain.name}.making").write_bytes(b"half")
    assert_same(load_events(packed), small())


def test_cache_that_cannot_be_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.raises(UserError, match=r"cannot write .*XDG_CACHE_HOME"):
        load_events(pack(path, ".gz"))
