"""A small registered data set, a loopback web server to get it from, and the real data."""

import contextlib
import gzip
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.data import registry
from core.data.registry import DataSource, SourceFile

PLAIN = bytes(range(256)) * 800  # 204800 bytes: several reads on either side
PAYLOAD = b"payload of a packed file " * 400
PACKED = gzip.compress(PAYLOAD, mtime=0)
COMPLETE = {"plain.bin": PLAIN, "packed.gz": PACKED}


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, but for the lock."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".lock"}


@dataclass
class Server:
    """What the loopback server serves, how it misbehaves, and what it was asked for."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    announce_length: bool = True
    cuts: dict[str, list[int]] = field(default_factory=dict)  # path -> bytes until each cut
    raw: dict[str, bytes] = field(default_factory=dict)  # path -> whole answer, however wrong
    headers: dict[str, str] = field(default_factory=dict)
    range_error: int = 0  # a 206 answer starts this many bytes off
    encodings: set[str | None] = field(default_factory=set)  # Accept-Encoding headers seen
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range header


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SNN_MIRROR", raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            state.asked.append((self.path, span))
            state.encodings.add(self.headers.get("Accept-Encoding"))
            if self.path in state.raw:
                self.close_connection = True
                with contextlib.suppress(OSError):  # the client has heard enough
                    self.wfile.write(state.raw[self.path])
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            body = state.files[self.path]
            start = 0
            if span and state.ranges:
                start = int(span.removeprefix("bytes=").removesuffix("-")) + state.range_error
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if state.announce_length:
                self.send_header("Content-Length", str(len(body) - start))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            cuts = state.cuts.get(self.path)
            self.wfile.write(body[start : start + cuts.pop(0)] if cuts else body[start:])

        def log_message(self, format: str, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{web.server_address[1]}")
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    web.shutdown()
    thread.join()
    web.server_close()


def make_toy(*bases: str) -> DataSource:
    """An entry with a plain and a packed file that lie under each of the base addresses."""

    def one(name: str, content: bytes, payload: bytes | None = None) -> SourceFile:
        return SourceFile(
            name=name,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            urls=tuple(f"{base}/{name}" for base in bases),
            payload_sha256=hashlib.sha256(payload).hexdigest() if payload else None,
        )

    files = (one("plain.bin", PLAIN), one("packed.gz", PACKED, PAYLOAD))
    return DataSource(name="toy", title="toy", files=files, licence="none", citation="none")


@pytest.fixture
def toy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register the toy set with two mirrors, /a (complete) and /b (empty); return its folder."""
    entry = make_toy(f"{server.url}/a", f"{server.url}/b")
    monkeypatch.setitem(registry.SOURCES, "toy", entry)
    monkeypatch.setenv("SNN_DATA", str(tmp_path / "root"))
    server.files = {"/a/plain.bin": PLAIN, "/a/packed.gz": PACKED}
    return tmp_path / "root" / "toy"


@pytest.fixture
def real_data(request: pytest.FixtureRequest) -> Path:
    """The data root with the real files; skips when it is not named or lacks them."""
    root = os.environ.get("SNN_DATA")
    names = re.findall("mnist|qtdb", request.node.name) or ["mnist", "qtdb"]
    if not root:
        pytest.skip("SNN_DATA is not set: no real data to test against")
    for name in names:
        if not (Path(root) / name).is_dir():
            pytest.skip(f"{name} is not in the folder that SNN_DATA names")
    return Path(root)


@pytest.fixture(scope="session")
def look_alikes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def speech_cache(look_alikes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for all tests, in which the look-alikes are generated once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(look_alikes))
    monkeypatch.delenv("SNN_MIRROR", raising=False)
    return look_alikes


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def register(monkeypatch: pytest.MonkeyPatch, name: str, *files: SourceFile) -> None:
    """Let other files be the registered ones of a data set."""
    folder = registry.SOURCES[name].folder
    entry = DataSource(
        name=name, title="", files=files, licence="", citation="", folder=folder, by_hand="Ask."
    )
    monkeypatch.setitem(registry.SOURCES, name, entry)
