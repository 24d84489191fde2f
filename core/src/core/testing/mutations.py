"""Damaged and invented versions of a file, the same ones in every run."""

from __future__ import annotations

import copy
import io
import json
import random
import resource
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from torch import nn

from core.errors import UserError

COUNT = 200
MEMORY = 2 * 2**30
SECONDS = 20
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 7, 2**63, -(2**70), 10**400, 0.5, 1e300, float("nan"), float("inf")),
    *("", "x", "../../evil", "/dev/zero", "a\0b", "\ud800", "\x1b[2J", "9" * 5000, "x" * 10**5),
    *([], {}, [[]], [None], {"a": 1}, {"": {}}, [1, "a"], {"rows": None}, {"name": 1}),
)
BYTES = (
    *(b"\xff\xfe", b"\x00", b"[" * 3000, b"{" * 3000, b"- " * 3000, b"&a [*a, *a]", b"!!set {a}"),
    *(b'{"a":' * 3000, b"2024-01-01", b"!!python/name:os.system", b"\xed\xa0\x80", b"%YAML 9.9\n"),
    *(b'"\\UFFFFFFFF"', b"---\n", b"<<: {a: 1}", b"9" * 5000, b"1:30", b"\t", b"NaN", b"-Infinity"),
    *(b"? [a]\n: b\n", b"\xef\xbb\xbf", b"\r", b"\x85", b'"', b"'", b"}", b"]", b",", b"1e999"),
)


def damaged(content: bytes, seed: int) -> Iterator[bytes]:
    """Bytes cut, flipped, repeated, overwritten, and what no file should hold put in."""
    random_ = random.Random(seed)
    for _ in range(COUNT // 2):
        found = bytearray(content)
        for _ in range(random_.randint(1, 3)):
            start = random_.randrange(len(found) + 1)
            end = min(len(found), start + random_.randint(1, 20))
            match random_.randrange(5):
                case 0:
                    del found[start : start + random_.choice([1, 3, len(found)])]
                case 1:
                    found[start:end] = random_.randbytes(end - start)
                case 2:
                    found[start:start] = found[start:end] * random_.choice([1, 100])
                case 3:
                    found[start:start] = random_.choice(BYTES)
                case _:
                    found[start:end] = random_.choice(BYTES)
        yield bytes(found)


def invented(value: Any, seed: int, odd: Sequence[Any] = ODD) -> Iterator[Any]:
    """The value with one or two places in it left out or replaced by odd values."""
    random_ = random.Random(seed)
    for _ in range(COUNT // 2):
        found = copy.deepcopy(value)
        places = _places(found)
        for container, key in random_.sample(places, min(len(places), random_.randint(1, 2))):
            chosen = random_.choice(odd)
            if random_.random() < 0.8:
                container[key] = copy.copy(chosen) if isinstance(chosen, dict | list) else chosen
            elif isinstance(container, dict):
                container.pop(key, None)
            else:
                del container[key:]
        yield found


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with each of its keys."""
    places, left = [], [value]
    while left:
        item = left.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        places += [(item, key) for key in keys]
        left += [item[key] for key in keys if isinstance(item[key], dict | list)]
    return places


def of_json(text: str, seed: int) -> Iterator[bytes]:
    """:func:`damaged` and :func:`invented` of JSON lines."""
    yield from damaged(text.encode(), seed)
    for lines in invented([json.loads(line) for line in text.splitlines()], seed):
        yield "".join(json.dumps(line) + "\n" for line in lines).encode()


def of_yaml(text: str, seed: int) -> Iterator[bytes]:
    """:func:`damaged` and :func:`invented` of YAML, which writes all that JSON writes."""
    yield from damaged(text.encode(), seed)
    for value in invented(yaml.safe_load(text), seed):
        try:
            yield yaml.safe_dump(value, allow_unicode=True).encode(errors="surrogatepass")
        except ValueError:  # more digits than Python prints
            yield b"a: " + b"9" * 5000


def of_safetensors(
    weights: dict[str, torch.Tensor], manifest: dict[str, Any], seed: int
) -> Iterator[bytes]:
    """:func:`damaged` checkpoints, and sound ones with an :func:`invented` manifest."""
    yield from damaged(save(weights, {"manifest": json.dumps(manifest)}), seed)
    for changed in invented(manifest, seed + 1):
        try:
            text = json.dumps(changed)
        except ValueError:  # more digits than Python prints
            text = "9" * 5000
        yield save(weights, {"manifest": text})


def in_torch(content: Any) -> bytes:
    """The bytes that ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def tensors_of_others(content: dict[str, Any], seed: int) -> Iterator[bytes]:
    """:func:`damaged` and :func:`invented` of what ``torch.save`` writes."""
    yield from damaged(in_torch(content), seed)
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    wide: list[Any] = [1]
    for _ in range(60):
        wide = [wide, wide]
    loop: list[Any] = []
    loop.append(loop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantised and nested tensors are called prototypes
        odd: list[Any] = [make() for make in odd_tensors().values()]
        odd += [deep, wide, loop, None, "x", -1, {}, [], 2**80, float("nan"), torch.float32]
        odd += [torch.Size([2]), b"x", {"a": torch.zeros(1)}]
        for changed in invented(content, seed + 1, odd):
            yield in_torch(changed)


def odd_tensors() -> dict[str, Callable[[], torch.Tensor]]:
    """Tensors that are no weights, by what they are."""
    return {
        "of another rank": lambda: torch.zeros(1, 1, 1),
        "a scalar": lambda: torch.tensor(1.0),
        "without elements": lambda: torch.zeros(0, 2**40),
        "of 64 GB by expansion": lambda: torch.zeros(1).expand(2**17, 2**17),
        "of 64 GB by its strides": lambda: torch.zeros(9).as_strided((2**17, 2**17), (0, 0)),
        "on no device": lambda: torch.empty(2**40, device="meta"),
        "sparse": lambda: torch.zeros(3, 3).to_sparse(),
        "sparse, of 2^62 elements": lambda: torch.sparse_coo_tensor(
            torch.zeros(2, 1, dtype=torch.int64), torch.ones(1), (2**31, 2**31)
        ),
        "quantised": lambda: torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8),
        "complex": lambda: torch.zeros(2, dtype=torch.complex64),
        "of eight bits": lambda: torch.zeros(2).to(torch.float8_e4m3fn),
        "of whole numbers": lambda: torch.zeros(2, 2, dtype=torch.int64),
        "NaN": lambda: torch.full((2, 2), float("nan")),
        "a parameter": lambda: nn.Parameter(torch.zeros(2, 2)),
    }


def outcomes(path: Path, inputs: Iterator[bytes], read: Callable[[], object]) -> None:
    """Put each input into ``path`` and read it; some must be refused, each in one line.

    Any other exception of ``read`` fails the test, and so does one that is slow or takes memory.
    """
    count, messages = 0, []
    for content in inputs:
        path.write_bytes(content)
        count += 1
        with limits():
            try:
                read()
            except UserError as error:
                messages.append(str(error))
    assert count == COUNT
    assert len(messages) > COUNT // 4
    assert [text for text in messages if not text.isprintable() or len(text) > 1000] == []


@contextmanager
def limits() -> Iterator[None]:
    """What takes much memory or time fails a test, not the machine."""

    def hang(*_: object) -> None:
        raise TimeoutError("a reader hangs")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, hang)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, handler)
