"""On lesser machines a feature is missing, and the rest works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.layers.dropout import Dropout
from core.neurons import LIF
from core.projection import project
from core.scan import Case, choose
from core.scan.cpu import backend, machine

#: A network is trained and a run kept without what other systems lack.
ELSEWHERE = """
import sys
for name in ("fcntl", "resource", "grp", "pwd", "llvmlite", "llvmlite.binding", "llvmlite.ir"):
    sys.modules[name] = None
import logging, os, torch
for name in ("register_at_fork", "geteuid", "fork", "sysconf", "fchmod"):
    delattr(os, name)
from pathlib import Path
from core import cli
from core.layers import Network, SoftmaxSumReadout, SpikingLayer
from core.neurons import AdLIF
from core.training.devices import choose_device, peak_memory_mb
from core.training.run_folder import RunFolder
logging.basicConfig(format="%(message)s", stream=sys.stdout)
device = choose_device("cpu")
layer = SpikingLayer(100, 64, AdLIF, normalization="batchnorm", dropout=0.1)
network = Network([layer], SoftmaxSumReadout(64, 5))
network((torch.rand(20, 100, 100) < 0.05).float()).y.sum().backward()
assert peak_memory_mb(device) is None
with RunFolder.create(Path("run"), "a: 1", {"status": "running"}):
    pass
cli.main(["doctor"])
"""


def test_without_llvm_and_what_posix_alone_has(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "runs on the reference backend, which is slower (cpu: LLVM makes no kernels here" in (
        done.stdout
    )
    assert "cpu here: LLVM makes no kernels here (ModuleNotFoundError" in done.stdout
    assert "cannot tell" not in done.stdout


@pytest.fixture
def unknown_processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def unknown() -> None:
        raise RuntimeError("Unable to find target for this triple")

    monkeypatch.setattr(machine, "compiler", unknown)
    backend._missing.cache_clear()
    yield
    backend._missing.cache_clear()


def test_a_machine_that_llvm_cannot_serve(unknown_processor: None) -> None:
    case = Case(LIF(4), torch.rand(3, 2, 4))
    assert "Unable to find target" in str(backend.unsupported(case))
    assert choose(case).name == "reference"
    assert Dropout(0.5)(torch.ones(100)).sum() < 200
    x, weight = torch.zeros(50, 40, 100), torch.rand(64, 100)
    x[0, 0, 0] = 1.0
    assert torch.allclose(project(x, weight), torch.nn.functional.linear(x, weight))


def test_a_processor_whose_features_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> None:
        raise RuntimeError("failed to get host cpu features")

    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", unknown)
    found = machine.this_machine._make()
    assert found.features == ""
    assert found.vector_bytes == 16
