"""Which cases the GPU backend takes, on which machines; and the modules that it writes."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import core.scan as scan_package
from core.neurons import LIF, BalancedLIF, Neuron
from core.scan import BACKENDS, Case
from core.scan.gpu import backend, module


def test_core_imports_no_triton() -> None:
    sources = list(Path(scan_package.__file__).parent.parent.rglob("*.py"))
    assert len(sources) > 30
    pattern = re.compile(r"^\s*(import|from) triton", re.MULTILINE)
    assert [file for file in sources if pattern.search(file.read_text())] == []


def case(size: int = 3, neuron: Neuron | None = None, **more: Any) -> Case:
    return Case(neuron or LIF(size), torch.ones(2, 1, size), **more)


class Remainder(LIF):
    def step(self, coefficients: Any, state: Any, current: Tensor) -> Any:
        return super().step(coefficients, state, torch.fmod(current, 0.7))


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (case(2049, recurrent_weight=torch.eye(2049)), "at most 2048 neurons, not 2049"),
        (Case(LIF(1 << 15), torch.ones(1).expand(1, 1 << 16, 1 << 15)), "at most 21474835"),
        (case(neuron=LIF(3).double()), "tau_mem is torch.float64 on cpu, the current torch.float3"),
        (case(neuron=LIF(3).to("meta")), "tau_mem is torch.float32 on meta, .* on cpu"),
        (case(recurrent_weight=torch.eye(3).half()), "recurrent weight is torch.float16"),
        (case(pathways={"potential": torch.eye(3)}), r"no further recurrent pathway \(potential"),
        (case(spike_mask_TBN=torch.ones(2, 1, 3).requires_grad_()), "no gradient of the spike mas"),
        (case(neuron=BalancedLIF(3, firing="single_published")), "compares no neurons"),
        (case(neuron=Remainder(3)), r"no exact remainder \(fmod\)"),
        (Case(LIF(3).half(), torch.ones(2, 1, 3).half()), "float32 and float64, not torch.float16"),
    ],
)
def test_reasons(refused: Case, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(backend.not_taken(refused))


def test_what_the_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert backend.unsupported(case()) == "Triton is not installed"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert backend.unsupported(case()) == "no CUDA device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert backend.unsupported(case()) is None
    assert BACKENDS[0].refuses(case()) == "it takes tensors on cuda, not on cpu"


def test_a_module_is_made_once_and_python_finds_its_source() -> None:
    found = module.imported("def one():\n    return 1\n")
    assert found is module.imported("def one():\n    return 1\n")
    assert found.one() == 1
    assert inspect.getsource(found.one) == "def one():\n    return 1\n"
