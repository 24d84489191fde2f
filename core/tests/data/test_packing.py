"""Packed files: how much may come out, and what is not unpacked at all."""

import gzip
import lzma
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from core.data import files
from core.data.files import mismatch
from core.data.packing import MOST_AT_LEAST, Damaged, Unpacking, open_packed
from core.data.sources import SourceFile
from core.data.unpack import unpacked
from core.errors import UserError

CONTENT = bytes(range(256)) * 40


def pack(path: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
            archive.writestr("inside.h5", content)
    else:
        path.write_bytes((gzip if path.suffix == ".gz" else lzma).compress(content))
    return path


def read_all(path: Path, most: int, size: int) -> bytes:
    blocks = []
    with open_packed(path, most=most) as stream:
        while block := stream.read(size):
            blocks.append(block)
    return b"".join(blocks)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_no_more_than_the_limit_comes_out(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"a{suffix}", CONTENT)
    for size in (-1, 1000, 1 << 40):
        assert read_all(path, len(CONTENT), size) == CONTENT
        with pytest.raises(Damaged, match="it unpacks to more than 10239 bytes"):
            read_all(path, len(CONTENT) - 1, size)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_files_that_become_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / f"shd_train.h5{suffix}"
    if suffix == ".zip":
        pack(path, bytes(70 << 20))
    else:
        path.write_bytes(pack(path, bytes(1 << 20)).read_bytes() * 70)
    assert path.stat().st_size < MOST_AT_LEAST / 100
    with pytest.raises(UserError, match=f"{suffix} .* more than {MOST_AT_LEAST} bytes"):
        unpacked(path)
    assert {p.suffix for p in (tmp_path / "cache").rglob("*") if p.is_file()} <= {".lock"}


def test_the_registry_knows_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.gz", CONTENT)
    file = SourceFile(name="a.gz", sha256="0", payload_sha256="0", payload_size=100)
    limits: list[int | None] = []

    def spy(path: Path, name: str, *, most: int | None) -> AbstractContextManager[Unpacking]:
        limits.append(most)
        return open_packed(path, name, most=most)

    monkeypatch.setattr(files, "open_packed", spy)
    assert "is not the registered file" in (mismatch(path, file) or "")
    assert limits == [100]


@pytest.mark.parametrize(
    ("method", "message"),
    [(zipfile.ZIP_BZIP2, "the method bzip2"), (zipfile.ZIP_LZMA, "the method lzma")],
)
def test_zip_of_another_method(tmp_path: Path, method: int, message: str) -> None:
    path = pack(tmp_path / "a.zip", CONTENT, method)
    with pytest.raises(UserError, match=rf"{message}, expected deflate; unpack it yourself"):
        unpacked(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [(8, 1, "it needs a password"), (10, 99, "the method 99"), (10, 9, "the method 9,")],
)
def test_zip_that_python_cannot_unpack(
    tmp_path: Path, place: int, value: int, message: str
) -> None:
    path = pack(tmp_path / "a.zip", CONTENT)
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\1\2")
    content[central + place] = content[place - 2] = value
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        unpacked(path)


def test_zip_made_on_macos(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", CONTENT)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._inside.h5", b"more about it")
    with open_packed(path) as stream:
        assert stream.read() == CONTENT
