"""The registry is complete and consistent; reading it costs no heavy import."""

import re
import subprocess
import sys

import pytest

import core.data
from core.data.digests import digest, digest_arrays
from core.data.digits import load_digits
from core.data.fetch import fetch
from core.data.registry import SOURCES, DataSource, SourceFile
from core.errors import UserError

FILES = [(entry, file) for entry in SOURCES.values() for file in entry.files]


@pytest.mark.parametrize(("entry", "file"), FILES, ids=[file.name for _, file in FILES])
def test_entry(entry: DataSource, file: SourceFile) -> None:
    assert SOURCES[entry.name] is entry
    assert entry.licence
    assert entry.citation
    assert file.size > 0
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
    assert (file.payload_sha256 is not None) == file.name.endswith(".gz")
    assert file.urls
    assert all(re.fullmatch(rf"https?://\S+/{re.escape(file.name)}", url) for url in file.urls)


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
    names = ["mnist", "qtdb", "digits", "synthetic_ecg"]
    digests = [digest(name) for name in names]
    assert all(re.fullmatch("sha256:[0-9a-f]{16}", text) for text in digests)
    assert len(set(digests)) == len(names)
    assert digests == [digest(name) for name in names]
    with pytest.raises(UserError, match=r"'mnis'.*'mnist'"):
        digest("mnis")


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
def test_real_files_are_the_registered_ones(name: str, real_data: object) -> None:
    fetch(name)  # raises when a digest differs
