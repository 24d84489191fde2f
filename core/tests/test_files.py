"""A file is replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import BinaryIO

import pytest

from core.files import write_atomically, write_text_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "one é\n")
    write_text_atomically(path, "two\n")
    assert path.read_bytes() == b"two\n"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_kill_left_behind_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, young = (tmp_path / f".a.txt.{digit * 16}.tmp" for digit in "ab")
    others = [".a.txt.tmp", ".a.txt.mine.tmp", f".b.txt.{'a' * 16}.tmp"]
    for path in (old, young, *(tmp_path / name for name in others)):
        path.write_bytes(b"half of something")
        if path != young:
            os.utime(path, (0, 0))
    write_text_atomically(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert names(tmp_path) == sorted(["a.txt", young.name, *others])


def test_a_planted_link_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with a name that can be guessed, nor with one that was."""
    mine = tmp_path / "precious"
    mine.write_bytes(b"mine")
    (tmp_path / ".a.txt.tmp").symlink_to(mine)
    write_text_atomically(tmp_path / "a.txt", "new")
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    (tmp_path / f".a.txt.{'0' * 16}.tmp").symlink_to(mine)
    with pytest.raises(FileExistsError):
        write_text_atomically(tmp_path / "a.txt", "newer")
    assert mine.read_bytes() == b"mine"
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def slow(file: BinaryIO) -> None:
        file.write(b"whole ")
        write_text_atomically(path, "the other")
        file.write(b"and one")

    write_atomically(path, slow)
    assert path.read_bytes() == b"whole and one"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_stopped_in_the_middle(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def half(file: BinaryIO) -> None:
        file.write(b"ne")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_a_disk_that_takes_half_keeps_nothing_of_it(tmp_path: Path) -> None:
    """Not even closing the file works then, and what was written would take room for ever."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as told:
            write_text_atomically(path, "new" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="Input/output"):
        write_text_atomically(path, "new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EACCES])
def test_a_folder_that_cannot_be_synced_is_written_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, opened = os.fsync, os.open

    def no_folders(file: int) -> None:
        if os.path.isdir(file):
            raise OSError(number, os.strerror(number))
        fsync(file)

    monkeypatch.setattr(os, "fsync", no_folders)
    write_text_atomically(tmp_path / "a.txt", "one")

    def unopened(path: Path, *rest: int) -> int:
        if os.path.isdir(path):
            raise OSError(number, os.strerror(number))
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", unopened)
    write_text_atomically(tmp_path / "b.txt", "two")
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_content_is_on_the_disk_before_it_has_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renaming first could leave an empty file after a power cut."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(file: int) -> None:
        calls.append(f"fsync of {os.fstat(file).st_size if not os.path.isdir(file) else 'folder'}")
        fsync(file)

    def noted_replace(source: Path, target: Path) -> None:
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_text_atomically(tmp_path / "a.txt", "12345")
    assert calls == ["fsync of 5", "replace", "fsync of folder"]
