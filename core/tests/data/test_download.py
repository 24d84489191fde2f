"""Downloading: what a server gives, what it cuts off, what it gives wrongly."""

import hashlib
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.data import download, registry
from core.data import fetch as fetch_module
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


def answer(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(["HTTP/1.1 " + lines[0], *lines[1:], "", ""]).encode("latin-1") + body


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (answer("200 OK", "Content-Length: many"), "it announces a length of 'many'"),
        (answer("200 OK", "Content-Length: -5"), "it announces a length of '-5'"),
        (answer("200 OK", "Content-Length: \xb2"), "it announces a length of '\xb2'"),
        (answer("200 OK", "Content-Length: " + "9" * 5000), "it announces a length of '999"),
        (answer("206 OK", "Content-Range: bytes 0-4/" + "9" * 5000), "continues at another place"),
        (answer("206 OK", "Content-Range: bytes 5-4/204800"), "continues at another place"),
        (answer("206 OK"), "continues at another place"),
        (answer("302 Found", "Location: file:///etc/passwd"), "it sends to file:///etc/passwd, no"),
        (answer("302 Found", "Location: ftp://127.0.0.1/a"), "it sends to ftp://127.0.0.1/a, no"),
        (answer("302 Found", "Location: http://[::1"), "Invalid IPv6 URL"),
        (answer("302 Found", "Location: http://[zz]/"), "does not appear to be an IPv4 or IPv6"),
        (answer("302 Found", "Location: http://127.0.0.1:99999/"), "Failed to parse"),
        (answer("302 Found", "Location: http://" + "a" * 300), "Failed to parse"),
        (answer("302 Found", "Location: \xff\xfe"), "codec can't decode"),
        (answer("302 Found", "Location: plain.bin"), "it redirects without end"),
        (answer("302 Found", "Location: /", body=bytes(1 << 20)), "HTTP 404"),
        (answer("404 \x1b[31mred"), r"HTTP 404 \?\[31mred"),
        (answer("200 OK", "Transfer-Encoding: chunked", body=b"-5\r\nhello\r\n"), "non-negative"),
        (answer("200 OK", "Transfer-Encoding: chunked", body=b"zz\r\nhello\r\n"), "broken"),
        (b"garbage", "Connection aborted"),
    ],
)
def test_answers_that_make_no_sense(toy: Path, server: Server, raw: bytes, message: str) -> None:
    server.raw["/a/plain.bin"] = raw
    with pytest.raises(UserError, match=rf"/a/plain\.bin: .*{message}"):
        fetch("toy")
    assert set(contents(toy)) <= {"plain.bin.part"}
    server.files["/b/plain.bin"] = PLAIN  # the next mirror serves
    fetch("toy")
    assert contents(toy)["plain.bin"] == PLAIN


def test_redirects_are_followed(toy: Path, server: Server) -> None:
    server.raw["/a/plain.bin"] = answer("301 Moved", f"Location: {server.url}/c")
    server.raw["/c"] = answer("307 Temporary", "Location: d/pl\xc3\xa4in", body=b"elsewhere")
    server.files["/d/pl%C3%A4in"] = PLAIN
    server.cuts = {"/d/pl%C3%A4in": [100_000]}
    fetch("toy")
    assert contents(toy) == COMPLETE
    spans = [span for path, span in server.asked if path.startswith("/d")]
    assert spans == [None, "bytes=100000-"]


def test_body_of_a_redirect_is_not_read(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    server.raw["/a/plain.bin"] = answer("302 Found", "Location: /d", body=bytes(20 << 20))
    server.files["/d"] = PLAIN
    real = socket.socket.recv_into

    def counted(self: socket.socket, *args: Any) -> int:
        read.append(real(self, *args))
        return read[-1]

    monkeypatch.setattr(socket.socket, "recv_into", counted)
    fetch("toy")
    assert sum(read) < 2 << 20


@pytest.mark.parametrize("announced", [False, True])
def test_size_that_nobody_published_has_a_limit(
    toy: Path, server: Server, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    forget(monkeypatch, md5=True)
    monkeypatch.setattr(download, "MOST_BYTES", len(PLAIN) - 100_000)
    server.announce_length = announced
    message = "it offers 204800 bytes, at most 104800" if announced else "sends more than 104800"
    with pytest.raises(UserError, match=message):
        fetch("toy")


@pytest.mark.parametrize("kind", ["link", "dangling", "second name", "pipe", "folder"])
def test_part_that_is_no_plain_file(toy: Path, server: Server, tmp_path: Path, kind: str) -> None:
    toy.mkdir(parents=True)
    victim, part = tmp_path / "victim", toy / "plain.bin.part"
    victim.write_bytes(b"precious")
    if kind == "second name":
        os.link(victim, part)
    elif kind == "pipe":
        os.mkfifo(part)
    elif kind == "folder":
        part.mkdir()
    else:
        part.symlink_to(victim if kind == "link" else tmp_path / "nothing")
    with pytest.raises(UserError, match=r"plain\.bin\.part is a link or no plain file.*Move it"):
        fetch("toy")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()
    assert server.asked == []


def test_part_that_becomes_a_link_is_not_followed(
    toy: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and the writing: the file is opened without following links."""
    toy.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (toy / "plain.bin.part").symlink_to(victim)
    for module in (download, fetch_module):
        monkeypatch.setattr(module, "file_size", lambda part: 0)
    with pytest.raises(UserError, match=r"plain\.bin\.part"):
        fetch("toy")
    assert victim.read_bytes() == b"precious"
