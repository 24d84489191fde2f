"""The registry is complete and consistent; reading it costs no heavy import."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import core.data
from core.data.digests import digest, digest_arrays, digest_files
from core.data.digits import load_digits
from core.data.fetch import fetch, is_present
from core.data.packing import SUFFIXES
from core.data.registry import SOURCES, DataSource, SourceFile
from core.errors import UserError

FILES = [(entry, file) for entry in SOURCES.values() for file in entry.files]


@pytest.mark.parametrize(("entry", "file"), FILES, ids=[file.name for _, file in FILES])
def test_entry(entry: DataSource, file: SourceFile) -> None:
    assert SOURCES[entry.name] is entry
    assert entry.licence
    assert entry.citation
    assert file.size is None or file.size > 0
    for digits, value in (
        (64, file.sha256),
        (64, file.payload_sha256),
        (32, file.md5),
        (32, file.payload_md5),
    ):
        assert value is None or re.fullmatch(f"[0-9a-f]{{{digits}}}", value)
    packed = file.name.endswith(SUFFIXES)
    assert file.sha256 or file.md5 or packed  # else nothing could be checked
    assert packed or not (file.payload_sha256 or file.payload_md5)
    assert file.urls or entry.by_hand
    numbered = r"https://ndownloader\.figshare\.com/files/\d+"
    named = rf"https?://\S+/{re.escape(file.name)}"
    pinned = r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/\S+"
    assert all(re.fullmatch(f"{named}|{numbered}|{pinned}", url) for url in file.urls)
    assert all(size > 0 and re.fullmatch("[0-9a-f]{64}", value) for size, value in file.copies)


def test_command_line_modules_import_no_heavy_package() -> None:
    code = (
        "import sys, core.data.registry, core.data.fetch\n"
        "print(*{'torch', 'numpy', 'requests', 'rich', 'filelock'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_package_offers_its_names() -> None:
    for name in core.data._MODULE_OF:
        assert name in dir(core.data)
        assert getattr(core.data, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        core.data.nonsense  # noqa: B018


def test_digest_names_the_data() -> None:
    names = ["mnist", "qtdb", "shd", "shd_regen", "digits", "synthetic_ecg"]
    digests = [digest(name) for name in names]
    assert all(re.fullmatch("sha256:[0-9a-f]{16}", text) for text in digests)
    assert len(set(digests)) == len(names)
    assert digests == [digest(name) for name in names]
    assert digests[:2] == [
        "sha256:148ddb9c76d6b7bd",
        "sha256:a9d3dbcfa4830deb",
    ]  # as existing records have it
    with pytest.raises(UserError, match=r"'mnis'.*'mnist'"):
        digest("mnis")
    with pytest.raises(ValueError, match=r"hd_audio\.tar\.gz"):
        digest("hd")


def test_digest_of_files_sees_names_and_contents(tmp_path: Path) -> None:
    def write(folder: str, **files: str) -> str:
        (tmp_path / folder / "deep").mkdir(parents=True)
        paths = [tmp_path / folder / name.replace("_", "/") for name in files]
        for path, text in zip(paths, files.values(), strict=True):
            path.write_text(text)
        return digest_files(tmp_path / folder, paths)

    first = write("a", one="1", deep_two="2")
    assert first == write("b", deep_two="2", one="1")  # neither the place nor the order
    others = [write("c", one="2", deep_two="1"), write("d", one="1", deep_three="2")]
    assert len({first, *others}) == 3


def test_digest_of_arrays_sees_values_types_and_shapes() -> None:
    images, labels, _ = load_digits("test")
    changed = images.copy()
    changed[0, 0, 0] += 1
    variants = [images, changed, images.astype("int16"), images.reshape(-1, 64)]
    assert len({digest_arrays(array, labels) for array in variants}) == len(variants)
    wide = labels.astype("<i4")
    assert digest_arrays(wide) != digest_arrays(wide.byteswap())
    assert digest_arrays(wide) == digest_arrays(wide.astype(">i4").astype("<i4"))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_real_files_are_the_registered_ones(name: str) -> None:
    if not os.environ.get("SNN_DATA"):
        pytest.skip("SNN_DATA is not set: no real data to test against")
    if not is_present(name):
        pytest.skip(f"{name} is not in the folder that SNN_DATA names")
    fetch(name)  # raises when a digest differs
