"""Fetching: what is there already, mirrors, files fetched by hand, folders that refuse."""

import errno
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from core.data import fetch as fetch_module
from core.data import registry
from core.data.fetch import data_root, fetch, is_present
from core.errors import UserError

from .conftest import COMPLETE, PACKED, PAYLOAD, PLAIN, Server, contents, make_toy


def test_data_root_is_snn_data_else_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNN_DATA", "~/somewhere")
    assert data_root() == Path.home() / "somewhere"
    monkeypatch.setenv("SNN_DATA", "")
    assert data_root().name == "snn"


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'mnist'"):
        fetch("minst")


def test_download_then_nothing_more_to_do(toy: Path, server: Server) -> None:
    assert not is_present("toy")
    assert fetch("toy") == toy
    assert contents(toy) == COMPLETE
    assert is_present("toy")
    asked = list(server.asked)
    assert asked == [("/a/plain.bin", None), ("/a/packed.gz", None)]
    stamps = {p: p.stat().st_mtime_ns for p in [toy, *toy.iterdir()]}
    fetch("toy")
    assert server.asked == asked
    assert {p: p.stat().st_mtime_ns for p in [toy, *toy.iterdir()]} == stamps


def test_all_mirrors_fail_names_the_three_ways_out(toy: Path, server: Server) -> None:
    server.files = {}
    with pytest.raises(UserError) as caught:
        fetch("toy")
    message = str(caught.value)
    for needed in (
        f"{server.url}/a/plain.bin: HTTP 404",
        f"{server.url}/b/plain.bin: HTTP 404",
        "plain.bin, packed.gz",
        "core fetch toy --from FOLDER",
        "SNN_DATA",
        "SNN_MIRROR",
        "--mirror",
        "toy/plain.bin",
        "--data embedded",
    ):
        assert needed in message
    assert len(server.asked) == 2  # the second file's timeouts are not waited for


def test_refused_connection_is_said_in_few_words(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.SOURCES, "toy", make_toy("http://127.0.0.1:1"))
    with pytest.raises(UserError, match=r"plain\.bin: Connection refused\n"):
        fetch("toy")


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_own_mirror_comes_first(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    server.files["/mine/toy/plain.bin"] = PLAIN  # has only one of the files
    if way == "environment":
        monkeypatch.setenv("SNN_MIRROR", f"{server.url}/mine")
        fetch("toy")
    else:
        fetch("toy", mirror=f"{server.url}/mine/")
    assert contents(toy) == COMPLETE
    assert [path for path, _ in server.asked] == [
        "/mine/toy/plain.bin",
        "/mine/toy/packed.gz",
        "/a/packed.gz",
    ]


def test_set_in_a_folder_of_another_name(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(registry.SOURCES["toy"], folder="toys")
    monkeypatch.setitem(registry.SOURCES, "toy", entry)
    server.files = {"/mine/toys/plain.bin": PLAIN, "/a/packed.gz": PACKED}
    assert not is_present("toy")
    assert fetch("toy", mirror=f"{server.url}/mine") == toy.parent / "toys"
    assert contents(toy.parent / "toys") == COMPLETE
    assert is_present("toy")


def test_files_in_folders_of_their_own(
    toy: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make_toy(f"{server.url}/a")
    plain, packed = entry.files
    inside = replace(plain, name="deep/er/plain.bin", urls=(f"{server.url}/a/deep/er/plain.bin",))
    entry = replace(entry, files=(inside, packed), stands_in="")
    monkeypatch.setitem(registry.SOURCES, "toy", entry)
    with pytest.raises(UserError) as caught:
        fetch("toy")
    assert "deep/er/plain.bin" in str(caught.value)
    assert "no download at all" not in str(caught.value)  # nothing stands in for it
    server.files["/a/deep/er/plain.bin"] = PLAIN
    fetch("toy")
    assert (toy / "deep/er/plain.bin").read_bytes() == PLAIN
    monkeypatch.setenv("SNN_DATA", str(tmp_path / "other"))
    assert (fetch("toy", source=toy) / "deep/er/plain.bin").read_bytes() == PLAIN


def test_set_without_an_address(
    toy: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(make_toy(), by_hand="Ask the zoo.", folder="toys")
    files = tuple(replace(file, urls=()) for file in entry.files)
    monkeypatch.setitem(registry.SOURCES, "toy", replace(entry, files=files))
    with pytest.raises(UserError) as caught:
        fetch("toy")
    for needed in ("no address", "Ask the zoo.", "core fetch toy --from", "toys/plain.bin"):
        assert needed in str(caught.value)
    assert server.asked == []
    fetch("toy", source=by_hand(tmp_path / "mine", plain_bin=PLAIN, packed_gz=PACKED))
    assert contents(toy.parent / "toys") == COMPLETE


def test_folder_as_mirror_is_pointed_to_from(toy: Path) -> None:
    with pytest.raises(UserError, match="core fetch toy --from FOLDER"):
        fetch("toy", mirror="/some/folder")


@pytest.mark.parametrize("size", [len(PLAIN), 1000])
def test_wrong_existing_file_is_left_untouched(toy: Path, server: Server, size: int) -> None:
    toy.mkdir(parents=True)
    (toy / "plain.bin").write_bytes(b"z" * size)
    with pytest.raises(UserError) as caught:
        fetch("toy")
    expected = registry.SOURCES["toy"].files[0]
    for needed in (
        str(toy / "plain.bin"),
        f"expected {expected.size} bytes, sha256 {expected.sha256}",
        f"found    {size} bytes, sha256 ",
        "Move it away",
        "core fetch toy --from FOLDER",
    ):
        assert needed in str(caught.value)
    assert contents(toy) == {"plain.bin": b"z" * size}
    assert server.asked == []


def test_file_packed_by_another_tool_is_right(toy: Path, server: Server) -> None:
    toy.mkdir(parents=True)
    other = gzip.compress(PAYLOAD, compresslevel=1, mtime=1)
    assert other != PACKED
    (toy / "packed.gz").write_bytes(other)
    fetch("toy")
    assert contents(toy) == {"plain.bin": PLAIN, "packed.gz": other}


def test_registered_copy_is_right(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a mirror that serves it, although it has another length than the file."""
    plain, packed = registry.SOURCES["toy"].files
    copied = replace(plain, copies=((3, hashlib.sha256(b"abc").hexdigest()),))
    entry = replace(registry.SOURCES["toy"], files=(copied, packed))
    monkeypatch.setitem(registry.SOURCES, "toy", entry)
    server.files |= {"/mine/toy/plain.bin": b"abc", "/mine/toy/packed.gz": PACKED}
    fetch("toy", mirror=f"{server.url}/mine")
    assert contents(toy) == {"plain.bin": b"abc", "packed.gz": PACKED}
    (toy / "plain.bin").write_bytes(b"abd")
    with pytest.raises(UserError, match="not the registered file"):
        fetch("toy")


def test_either_line_joins_the_words_of_a_name() -> None:
    assert registry.find_source("brf-published") is registry.SOURCES["brf_published"]


def by_hand(folder: Path, **files: bytes) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def test_from_folder(toy: Path, server: Server, tmp_path: Path) -> None:
    mine = by_hand(tmp_path / "mine", plain_bin=PLAIN, packed_gz=PACKED)
    fetch("toy", source=mine)
    assert contents(toy) == contents(mine) == COMPLETE
    assert server.asked == []


@pytest.mark.parametrize("name", ["packed", "packed_gz"])  # browsers unpack and keep the name
def test_from_folder_takes_an_unpacked_file(
    toy: Path, server: Server, tmp_path: Path, name: str
) -> None:
    mine = by_hand(tmp_path / "mine", plain_bin=PLAIN, **{name: PAYLOAD})
    fetch("toy", source=mine)
    assert gzip.decompress((toy / "packed.gz").read_bytes()) == PAYLOAD
    assert fetch("toy") == toy
    assert server.asked == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"plain_bin": PLAIN[:-1], "packed_gz": PACKED}, "found    204799 bytes"),
        ({"plain_bin": PLAIN, "packed_gz": PACKED[:-1]}, r"packed\.gz is not the registered"),
        ({"packed_gz": PACKED}, r"plain\.bin does not exist"),
    ],
)
def test_from_folder_with_a_truncated_or_missing_file(
    toy: Path, server: Server, tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    mine = by_hand(tmp_path / "mine", **files)
    before = contents(mine)
    with pytest.raises(UserError, match=message):
        fetch("toy", source=mine)
    assert contents(mine) == before
    assert set(contents(toy)) <= {"plain.bin"} & set(before)
    assert server.asked == []


@pytest.mark.parametrize("content", [PACKED, PAYLOAD])
def test_nothing_is_written_through_a_link(
    toy: Path, server: Server, tmp_path: Path, content: bytes
) -> None:
    mine = by_hand(tmp_path / "mine", plain_bin=PLAIN, packed_gz=content)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    toy.mkdir(parents=True)
    for name in ("plain.bin.copying", "packed.gz.copying"):
        (toy / name).symlink_to(victim)
    fetch("toy", source=mine)
    assert victim.read_bytes() == b"precious"
    assert not any(path.is_symlink() for path in toy.iterdir())


def test_link_that_leads_nowhere_is_kept(toy: Path, server: Server, tmp_path: Path) -> None:
    toy.mkdir(parents=True)
    (toy / "plain.bin").symlink_to(tmp_path / "unmounted" / "plain.bin")
    with pytest.raises(UserError, match=r"No such file.*toy/plain\.bin.*Check this path"):
        fetch("toy")
    assert (toy / "plain.bin").is_symlink()
    assert server.asked == []


def test_copy_that_fails_leaves_nothing_behind(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = by_hand(tmp_path / "mine", plain_bin=PLAIN, packed_gz=PACKED)

    def fill_the_disk(source: BinaryIO, target: BinaryIO, length: int) -> NoReturn:
        target.write(PLAIN[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", fill_the_disk)
    with pytest.raises(
        UserError, match=r"put plain\.bin.*root/toy: No space left.*Free some space"
    ):
        fetch("toy", source=mine)
    assert contents(toy) == {}


def test_read_only_root_with_right_files_is_enough(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch("toy")
    (toy / ".lock").unlink(missing_ok=True)

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for module, names in ((os, ("mkdir", "replace", "rename")), (fetch_module, ("_locked",))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    assert fetch("toy") == toy
    assert contents(toy) == COMPLETE


def test_read_only_root_with_missing_files(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_bytes(b"")
    monkeypatch.setenv("SNN_DATA", str(blocked / "root"))
    with pytest.raises(UserError, match=r"plain\.bin, packed\.gz, missing so far.*SNN_DATA"):
        fetch("toy")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "you may read and write")],
)
def test_disk_that_cannot_be_written(
    toy: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise OSError(number, os.strerror(number), "plain.bin.part")

    monkeypatch.setattr(fetch_module, "download", fail)
    with pytest.raises(UserError, match=rf"{os.strerror(number)}.*{advice}"):
        fetch("toy")


PROCESS = """
import json, sys
from core.data import registry
from core.data.registry import DataSource, SourceFile
from core.data.fetch import fetch
files = tuple(SourceFile(**file) for file in json.loads(sys.argv[1]))
registry.SOURCES["toy"] = DataSource(name="toy", title="", files=files, licence="", citation="")
sys.stdin.readline()
print(fetch("toy"))
"""


def test_two_processes_download_once(toy: Path, server: Server) -> None:
    files = json.dumps([vars(file) for file in registry.SOURCES["toy"].files])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdin
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        out, err = run.communicate(timeout=30)
        assert (run.returncode, out.strip()) == (0, str(toy)), err
    assert contents(toy) == COMPLETE
    assert sorted(path for path, _ in server.asked) == ["/a/packed.gz", "/a/plain.bin"]


def test_progress_bar_on_a_terminal(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch("toy")
    shown = capsys.readouterr().err
    assert "plain.bin" in shown
    assert "204.8/204.8 kB" in shown
