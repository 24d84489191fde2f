"""Memory that is used again, and belongs to one process."""

from __future__ import annotations

import gc
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import torch

from core import buffers
from core.neurons import BRF, LI
from core.scan import scan


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> buffers.Pool:
    pool = buffers.Pool(limit=10 << 20)
    monkeypatch.setattr(buffers, "POOL", pool)
    return pool


def test_memory_comes_back_when_the_last_view_is_gone(pool: buffers.Pool) -> None:
    pool.limit = 1 << 30
    whole = buffers.empty((3, 1 << 20), torch.float32)
    address = whole.data_ptr()
    part = whole[1].view(-1)
    part.fill_(5.0)
    del whole
    gc.collect()
    assert pool.unused() == 0
    other = buffers.empty((3, 1 << 20), torch.float32)
    assert other.data_ptr() != address
    assert float(part.sum()) == 5.0 * (1 << 20)
    del part
    assert pool.unused() == 12 << 20


def test_a_block_is_used_again_for_about_the_same_size(pool: buffers.Pool) -> None:
    first = buffers.empty((2 << 20,), torch.float32)
    address = first.data_ptr()
    del first
    assert pool.unused() == 8 << 20
    small = buffers.empty((1 << 19,), torch.float32)
    assert small.data_ptr() != address  # a quarter of it would waste the rest
    again = buffers.empty((1 << 20,), torch.float64)
    assert again.data_ptr() == address
    assert pool.unused() == 0


def test_what_lies_unused_is_limited(pool: buffers.Pool) -> None:
    tensors = [buffers.empty((1 << 20,), torch.float32) for _ in range(4)]
    tensors.clear()
    again = buffers.empty((1 << 20,), torch.float32)
    assert pool.unused() == 8 << 20
    del again
    large = buffers.empty((3 << 20,), torch.float32)
    assert pool.unused() == 8 << 20
    del large
    assert pool.unused() == 8 << 20  # what is larger than the limit is never kept


def test_small_tensors_are_plain(pool: buffers.Pool) -> None:
    tensor = buffers.empty((10, 10), torch.float64)
    assert tensor.shape == (10, 10)
    del tensor
    assert pool.unused() == 0


def test_a_training_step_keeps_no_memory_behind(pool: buffers.Pool) -> None:
    neuron, readout = BRF(64), LI(64)
    current = torch.rand(200, 32, 64, requires_grad=True)

    def step() -> None:
        spikes, _ = scan(neuron, current, backend="cpu")
        potential, _ = scan(readout, spikes, backend="cpu")
        current.grad = None
        potential.sum().backward()

    pool.limit = 1 << 30
    step()
    current.grad = None
    held = pool.unused()
    assert held > 0
    for _ in range(3):
        step()
        current.grad = None
        assert pool.unused() == held


def test_large_arrays_lie_in_huge_pages(pool: buffers.Pool) -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("this system has no transparent huge pages")

    def huge() -> int:
        smaps = Path("/proc/self/smaps").read_text()
        return sum(int(kib) for kib in re.findall(r"AnonHugePages:\s+(\d+)", smaps)) << 10

    before = huge()
    tensor = buffers.empty((32 << 20,), torch.uint8).fill_(1)
    assert huge() > before
    assert tensor[0] == 1


class Asked(Exception):
    """What the handler of a signal raises."""


@pytest.fixture
def alarms() -> Iterator[None]:
    def ask(number: int, frame: FrameType | None) -> None:
        raise Asked

    before = signal.signal(signal.SIGALRM, ask)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_signal_is_never_lost_in_a_finaliser(pool: buffers.Pool, alarms: None) -> None:
    lost = 0
    for number in range(400):
        try:
            signal.setitimer(signal.ITIMER_REAL, 2e-4 + 1e-6 * number)
            for _ in range(2000):  # far beyond the alarm
                buffers.empty((1 << 18,), torch.float32)
            lost += 1
        except Asked:
            pass
    assert lost == 0
