"""The examples of core/CONVENTIONS.md run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from core.neurons import GeneralLIF

from .parity import library

PAGE = (Path(__file__).parents[2] / "CONVENTIONS.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(compile(block, "core/CONVENTIONS.md", "exec"), names)
    return names


def test_a_neuron_of_snntorch() -> None:
    library("snntorch")
    assert len(BLOCKS) == 2
    names = run(BLOCKS[0])
    assert isinstance(names["neuron"], GeneralLIF)
    assert names["spikes_TBN"].shape == (50, 4, 100)
    assert names["spikes_TBN"].sum() > 0


def test_a_graph_of_nir() -> None:
    nir = library("nir")
    if not hasattr(nir.LIF, "v_reset"):
        pytest.skip("the example resets to a value, which older versions cannot say")
    names = run(BLOCKS[1])
    x = 20.0 * torch.rand(30, 2, 3)
    assert names["network"](x).y.sum() > 0
    assert torch.equal(names["network"](x).y, names["again"](x).y)
