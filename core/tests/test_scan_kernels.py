"""Compiled kernels on disk, and the threads that run them."""

from __future__ import annotations

import ctypes
import logging
import sys
from pathlib import Path

import pytest
import torch

from core.neurons import BRF
from core.scan import scan
from core.scan.cpu import cache, machine, workers
from core.scan.cpu.geometry import plan

TEXT = """
define void @answer(ptr %place) {
  store i64 VALUE, ptr %place
  ret void
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "kernels")
    return tmp_path / "kernels"


def answer(value: int) -> int:
    run = machine.function("answer", TEXT.replace("VALUE", str(value)), "a kernel")
    place = ctypes.c_int64(0)
    run(ctypes.byref(place))
    return place.value


def test_a_kernel_is_compiled_once_and_loaded_ever_after(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "core.scan")
    assert answer(41) == 41
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("a kernel: compiled in ")
    assert answer(41) == 41
    assert caplog.records[1].levelname == "DEBUG"  # a user sees nothing
    assert caplog.messages[1].startswith("a kernel: loaded from the cache in ")
    assert answer(42) == 42  # other code, another file
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_file_is_compiled_again(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer(7)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    broken = {"truncated": whole[:-9], "changed": whole[:-1] + b"?", "empty": b""}[damage]
    file.write_bytes(broken)
    assert answer(7) == 7
    assert "compiled" in caplog.messages[-1]
    assert file.read_bytes() == whole


def test_without_a_folder_to_write_kernels_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "file" / "kernels")
    assert answer(3) == 3
    assert answer(4) == 4
    compiled, reason, again = caplog.messages
    assert compiled.endswith(", not kept")
    assert again.endswith(", not kept")
    assert reason.startswith("kernels are not kept: ")
    assert str(tmp_path / "file") in reason


@pytest.mark.parametrize("image", [b"", b"no object file", "another function"])
def test_a_whole_file_that_cannot_be_loaded_is_compiled_again(
    folder: Path, image: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    answer(8)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    if isinstance(image, str):
        image = machine.compiler().compile(TEXT.replace("answer", "question").replace("VALUE", "8"))
    assert cache.keep(file.name, image) is None
    assert answer(8) == 8
    assert "compiled" in caplog.messages[-1]
    assert file.read_bytes() == whole


COUNT = """
define void @count(ptr %slots) {
  %old = atomicrmw add ptr %slots, i64 1 monotonic
  ret void
}
"""


@pytest.mark.parametrize("team", ["PyTorch's threads", "own threads"])
def test_a_kernel_runs_in_as_many_threads_as_asked(
    team: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if team == "own threads":
        monkeypatch.setattr(workers, "openmp", lambda: None)
    kernel = machine.function("count", COUNT, "a kernel")
    for threads in (1, 3, 2, 5):
        slots = (ctypes.c_int64 * 1)(0)
        workers.run(kernel, slots, threads)
        assert slots[0] == threads


def test_threads_of_pytorch_are_found_on_linux() -> None:
    if sys.platform != "linux":
        pytest.skip("only looked for on Linux")
    assert workers.openmp() is not None


def test_results_are_equal_without_the_threads_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    neuron, current = BRF(64), 60.0 * torch.rand(100, 32, 64)
    expected, _ = scan(neuron, current, backend="cpu")
    monkeypatch.setattr(workers, "openmp", lambda: None)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(scan(neuron, current, backend="cpu")[0], expected)
    finally:
        torch.set_num_threads(before)


def test_tasks_do_not_depend_on_threads_and_cover_everything() -> None:
    for recurrent in (False, True):
        for steps, batch, neurons in ((1, 1, 1), (100, 128, 512), (7, 33, 5000), (784, 250, 256)):
            found = plan(steps, batch, neurons, states=4, coupled=int(recurrent), lanes=16, real=4)
            assert found.row_blocks == -(-batch // found.rows)
            assert found.column_blocks == -(-neurons // found.columns)
            assert found.padded % 16 == 0
            assert found.padded >= found.columns
            assert (found.segments - 1) * found.segment < steps <= found.segments * found.segment
            assert not recurrent or found.column_blocks == 1
