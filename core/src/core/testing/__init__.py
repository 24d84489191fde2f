"""For the tests of training scripts: call them in this process, read and compare what they wrote.

Importing PyTorch anew for each call would take long. Nothing here is used outside tests.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch import Tensor

from core import checkpoints
from core.errors import run_main
from core.training.progress import RunProgress

if TYPE_CHECKING:
    import pytest


def call_script(paper_folder: Path, script: str, *arguments: object) -> int:
    """Run ``<paper_folder>/<script>.py`` and return its exit code."""
    spec = importlib.util.spec_from_file_location(script, paper_folder / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    with mock.patch.object(sys, "argv", [f"{script}.py", *map(str, arguments)]):
        try:
            run_main(module.main)
        except SystemExit as leaving:
            return int(leaving.code or 0)
        finally:  # settings of a whole process
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)
            torch.set_deterministic_debug_mode("default")
    return 0


def stop_at(step: int) -> Callable[[RunProgress, int, float], None]:
    """In place of :meth:`RunProgress.step`: Ctrl-C at this training step of a run."""

    def count(self: RunProgress, epoch: int, value: float) -> None:
        self.done += 1
        if self.done == step:
            raise KeyboardInterrupt

    return count


def message(capsys: pytest.CaptureFixture[str]) -> str:
    """The one message on standard error."""
    error = without_notices(capsys.readouterr().err)
    assert error.startswith("error: ")
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    return error.removeprefix("error: ").rstrip("\n")


def without_notices(error: str) -> str:
    """Standard error without the lines on kernels that were compiled or loaded."""
    lines = error.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("CPU kernel of "))


def run_json(**changes: Any) -> dict[str, Any]:
    """``run.json`` of a run of an invented paper that has just started."""
    return {
        **{"paper": "toy", "task": "ecg", "model": "brf", "config_file": "configs/ecg_brf.yaml"},
        **{"config_hash": "0123456789ab", "command": "python train.py --out /mnt/big/runs/1"},
        **{"seed": 0, "commit": "c0ffee00", "dirty": False, "versions": {"torch": "2"}},
        **{"device": "cpu", "device_name": "a CPU", "threads": 1, "backend": "reference"},
        **{"data": {"name": "qtdb", "digest": "d"}, "parameters": 1734, "started": "today"},
        **{"finished": None, "status": "running", "epochs_planned": 3, "epochs_done": 0},
        **{"seconds_per_epoch": None, "peak_memory_mb": None},
        **changes,
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, to show that none was touched."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rows(folder: Path) -> list[dict[str, Any]]:
    """``metrics.jsonl`` without what no two runs share."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def facts(folder: Path) -> dict[str, Any]:
    """``run.json``."""
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


def assert_same_run(folder: Path, whole: Path) -> None:
    """Weights, optimiser, scheduler, random state and metrics are equal to the bit."""
    assert rows(folder) == rows(whole)
    for name in ("best", "last"):
        ours, theirs = (checkpoints.load(f / f"{name}.safetensors") for f in (folder, whole))
        _assert_same_bits(ours.weights, theirs.weights)
        assert ours.manifest["epoch"] == theirs.manifest["epoch"]
    states = [checkpoints.load_resume_state(f / "resume.pt") for f in (folder, whole)]
    _assert_same_bits(*states)
    assert facts(folder)["status"] == "finished"


def _assert_same_bits(ours: Any, theirs: Any) -> None:
    if isinstance(ours, Tensor):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"seconds"}:
            _assert_same_bits(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            _assert_same_bits(our, their)
    else:
        assert ours == theirs


def assert_numbers(run: Path, expected: list[float], *, relative: float) -> None:
    """A tiny run of one epoch gives the losses it gave when its paper's runs were recorded.

    Args:
        run: Its folder.
        expected: Test loss before the epoch, training loss in it, test loss after it.
        relative: Far above what rounding does in an epoch, below what other random numbers do.
    """
    before, after = rows(run)
    found = [before["test_loss"], after["train_loss"], after["test_loss"]]
    same = (abs(o - e) <= relative * e for o, e in zip(found, expected, strict=True))
    assert all(same), (
        f"losses are {found}, and were {expected}: recorded runs give other numbers today. If that "
        "is meant, run them again or mark them (core supersede), and write the new losses here"
    )
