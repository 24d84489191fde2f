"""Downloading: what a server gives, what it cuts off, what it gives wrongly."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from core.data import registry
from core.data.fetch import fetch
from core.errors import UserError

from .conftest import COMPLETE, PACKED, PLAIN, Server, contents


def test_cut_connection_is_continued(toy: Path, server: Server) -> None:
    server.cuts = {"/a/plain.bin": [100_000, 50_000]}
    fetch("toy")
    assert contents(toy) == COMPLETE
    assert [span for path, span in server.asked if path == "/a/plain.bin"] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
    ]


def test_partial_file_of_an_earlier_run_is_continued(toy: Path, server: Server) -> None:
    toy.mkdir(parents=True)
    (toy / "plain.bin.part").write_bytes(PLAIN[:70_000])
    fetch("toy")
    assert contents(toy) == COMPLETE
    assert server.asked[0] == ("/a/plain.bin", "bytes=70000-")


def test_interrupted_download_keeps_the_part(toy: Path, server: Server) -> None:
    server.cuts = {"/a/plain.bin": [100_000, 0]}  # the second answer brings nothing: gives up
    with pytest.raises(UserError, match="after 100000 of 204800 bytes"):
        fetch("toy")
    assert contents(toy) == {"plain.bin.part": PLAIN[:100_000]}


def test_continuation_at_another_place_is_refused(toy: Path, server: Server) -> None:
    server.files["/b/plain.bin"] = PLAIN
    server.cuts = {"/a/plain.bin": [100_000]}
    server.range_error = 1
    with pytest.raises(UserError, match="continues at another place"):
        fetch("toy")
    assert contents(toy) == {"plain.bin.part": PLAIN[:100_000]}


def test_server_is_asked_not_to_pack(toy: Path, server: Server) -> None:
    fetch("toy")
    assert server.encodings == {"identity"}


def test_server_without_range_starts_again(toy: Path, server: Server) -> None:
    server.ranges = False
    server.cuts = {"/a/plain.bin": [100_000]}
    fetch("toy")
    assert contents(toy) == COMPLETE


def test_server_without_length(toy: Path, server: Server) -> None:
    server.announce_length = False
    server.cuts = {"/a/plain.bin": [100_000]}  # looks like a clean end
    fetch("toy")
    assert contents(toy) == COMPLETE


def test_gz_file_labelled_as_encoding_is_not_unpacked(toy: Path, server: Server) -> None:
    server.headers = {"Content-Encoding": "gzip"}
    fetch("toy")
    assert contents(toy) == COMPLETE


def test_spoilt_part_is_set_aside_and_the_same_mirror_serves_again(
    toy: Path, server: Server
) -> None:
    toy.mkdir(parents=True)
    (toy / "plain.bin.part").write_bytes(b"?" * 1000)
    fetch("toy")
    assert contents(toy) == {**COMPLETE, "plain.bin.rejected": b"?" * 1000 + PLAIN[1000:]}


def test_corrupt_body_is_rejected_and_the_next_mirror_tried(toy: Path, server: Server) -> None:
    wrong = b"x" * len(PLAIN)
    server.files["/b/plain.bin"] = PLAIN
    server.files["/a/plain.bin"] = wrong
    fetch("toy")
    assert contents(toy) == {**COMPLETE, "plain.bin.rejected": wrong}


def test_rejected_files_are_not_overwritten(toy: Path, server: Server) -> None:
    server.files = {"/a/plain.bin": b"x" * len(PLAIN), "/b/plain.bin": b"y" * len(PLAIN)}
    with pytest.raises(UserError, match=r"kept as plain\.bin\.rejected\.2"):
        fetch("toy")
    assert contents(toy) == {
        "plain.bin.rejected": b"x" * len(PLAIN),
        "plain.bin.rejected.2": b"y" * len(PLAIN),
    }


@pytest.mark.parametrize("wrong", [b"<html>sign in</html>", PLAIN + b"more"])
def test_other_length_is_refused_before_it_is_downloaded(
    toy: Path, server: Server, wrong: bytes
) -> None:
    server.files["/b/plain.bin"] = PLAIN
    server.files["/a/plain.bin"] = wrong
    fetch("toy")
    assert contents(toy) == COMPLETE


def test_too_long_body_without_length_is_cut_off(toy: Path, server: Server) -> None:
    server.announce_length = False
    server.files["/b/plain.bin"] = PLAIN
    server.files["/a/plain.bin"] = PLAIN * 20
    fetch("toy")
    assert len(contents(toy)["plain.bin.rejected"]) < 2 * len(PLAIN)
    assert (toy / "plain.bin").read_bytes() == PLAIN


def test_missing_on_the_first_mirror(toy: Path, server: Server) -> None:
    server.files = {"/b/plain.bin": PLAIN, "/b/packed.gz": PACKED}
    fetch("toy")
    assert contents(toy) == COMPLETE


def forget(monkeypatch: pytest.MonkeyPatch, *, md5: bool) -> None:
    """Let the registry know no sizes and, instead of sha256, md5 or nothing."""
    entry = registry.SOURCES["toy"]
    files = tuple(
        replace(
            file,
            size=None,
            sha256=None,
            payload_sha256=None,
            md5=hashlib.md5(COMPLETE[file.name]).hexdigest() if md5 else None,
        )
        for file in entry.files
        if md5 or file.name.endswith(".gz")
    )
    monkeypatch.setitem(registry.SOURCES, "toy", replace(entry, files=files))


def test_size_that_nobody_published_is_the_announced_one(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch, md5=True)
    server.cuts = {"/a/plain.bin": [100_000, 50_000]}
    fetch("toy")
    assert contents(toy) == COMPLETE
    spans = [span for path, span in server.asked if path == "/a/plain.bin"]
    assert spans == [None, "bytes=100000-", "bytes=150000-"]


def test_wrong_md5_is_rejected(toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, md5=True)
    wrong = b"x" * len(PLAIN)
    server.files["/a/plain.bin"] = wrong
    with pytest.raises(UserError, match=r"the content is wrong, kept as plain\.bin\.rejected"):
        fetch("toy")
    (toy / "plain.bin").write_bytes(wrong)
    expected = hashlib.md5(PLAIN).hexdigest()
    with pytest.raises(UserError, match=rf"expected md5 {expected}\n  found    204800 bytes, md5 "):
        fetch("toy")


def test_neither_size_nor_digest_is_known(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch, md5=False)
    server.announce_length = False
    server.cuts = {"/a/packed.gz": [50]}  # looks like a clean end: only gzip itself can tell
    server.files["/b/packed.gz"] = PACKED
    fetch("toy")
    assert contents(toy) == {"packed.gz": PACKED, "packed.gz.rejected": PACKED[:50]}
    (toy / "packed.gz").write_bytes(PACKED[:-9])
    with pytest.raises(UserError, match=r"packed\.gz is truncated or damaged"):
        fetch("toy")


def test_whole_part_of_unknown_size_needs_nothing_more(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch, md5=True)
    toy.mkdir(parents=True)
    (toy / "plain.bin.part").write_bytes(PLAIN)  # killed before it was renamed
    fetch("toy")
    assert contents(toy) == COMPLETE
    assert [path for path, _ in server.asked] == ["/a/plain.bin", "/a/packed.gz"]
    (toy / "plain.bin").rename(toy / "plain.bin.part")
    (toy / "plain.bin.part").write_bytes(PLAIN + b"?")  # longer than the file: set aside
    fetch("toy")
    assert contents(toy) == {**COMPLETE, "plain.bin.rejected": PLAIN + b"?"}
