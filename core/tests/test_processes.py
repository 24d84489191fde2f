"""Forked processes, and several threads in one: each computes what it computes alone."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from core import buffers, once
from core.neurons import LIF
from core.scan import scan
from core.scan.cpu import workers

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
#: Seconds after which a child that waits for a thread or a lock is killed.
PATIENCE = 20


def forked(work: Callable[[], bool]) -> bool:
    """What ``work`` returns in a forked child; False when that fails or hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: there are threads
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        right = False
        try:
            right = work()
        finally:
            os._exit(0 if right else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@forks
def test_a_child_changes_nothing_of_its_parent() -> None:
    tensor = buffers.empty((1 << 20,), torch.float32).fill_(1.0)

    def work() -> bool:
        kept = bool((tensor == 1.0).all())
        tensor.zero_()
        return kept and buffers.POOL.unused() == 0

    assert forked(work)
    assert bool((tensor == 1.0).all())


@forks
def test_a_child_scans_and_multiplies_after_its_parent_did_in_threads(two_threads: None) -> None:
    torch.manual_seed(0)
    neuron, current = LIF(64), 3.0 * torch.rand(400, 64, 64)
    large = torch.rand(500, 500)

    def work() -> Tensor:
        return torch.stack((scan(neuron, current)[0].sum(), (large @ large).add_(1.0).sum()))

    expected = work()
    torch.rand(1 << 20).add_(1.0)  # PyTorch's threads are there by now
    assert forked(lambda: torch.allclose(work(), expected))

    def in_threads_again() -> bool:
        torch.set_num_threads(2)
        spikes, _ = scan(neuron, current)
        torch.set_num_threads(1)
        return bool(spikes.sum() == expected[0])

    assert forked(in_threads_again)


@forks
def test_a_fork_waits_for_what_another_thread_compiles_or_takes() -> None:
    """The child would find a lock that nobody opens."""
    held = threading.Event()

    def hold() -> None:
        with buffers.POOL._lock:
            with once.LOCK:
                held.set()
                time.sleep(0.1)
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def work() -> bool:
        large = buffers.empty((1 << 20,), torch.float32)
        return once.LOCK.acquire(timeout=1) and large.numel() > 0

    assert forked(work)
    thread.join()


FIRST_SCAN = """
import threading, torch
from core.neurons import BRF
from core.layers import Layer
from core.layers.dropout import Dropout
barrier, done = threading.Barrier(8), []
layer, drop = Layer(64, BRF(128), recurrent=True), Dropout(0.1)
def work():
    barrier.wait()
    drop(layer((torch.rand(50, 32, 64) < 0.05).float())[0])
    done.append(1)
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(done) == 8
"""


def test_the_first_scan_in_several_threads() -> None:
    code = [sys.executable, "-c", FIRST_SCAN]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_made_on_first_use_is_made_once(two_threads: None) -> None:
    made = []

    def make(key: int) -> int:
        time.sleep(0.02)
        made.append(key)
        return -key

    kept = once.once(make)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(kept, [1, 2] * 4)) == [-1, -2] * 4
    assert sorted(made) == [1, 2]


def test_own_threads_are_waited_for_when_ctrl_c_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would write to memory that is freed."""
    monkeypatch.setattr(workers, "openmp", lambda: None)
    finished = []

    def kernel(slots: object) -> None:
        main = threading.current_thread() is threading.main_thread()
        time.sleep(0.0 if main else 0.2)
        finished.append(main)
        if main:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.run(kernel, (ctypes.c_int64 * 1)(0), 3)
    assert len(finished) == 3


def test_pools_of_several_sizes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "openmp", lambda: None)
    monkeypatch.setattr(workers, "_pool", None)
    monkeypatch.setattr(workers, "_size", 0)
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda n: workers.run(lambda slots: None, None, n), [2, 3, 4, 5, 6] * 40))
