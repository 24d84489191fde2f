"""The GPU backend: its kernels, compiled for a GPU that need not be there."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from core.scan.gpu import compiled, geometry, kernels
from core.scan.kinds import graph_of

from .gpu_cases import NEURONS, needs_triton, outside

#: Triton that the geometries were chosen with; each brings its own assembler.
TUNED = "3.7.1"


@outside
@needs_triton
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("name", "recurrent", "double", "neurons"),
    [
        ("LIF", False, False, 256),
        ("EveryOperation", False, False, 1),
        ("EveryOperation", False, True, 256),
        ("EveryFunction", False, False, 256),
        ("BRF", True, False, 17),
        ("LIF", True, False, 256),
        ("LIF", True, True, 256),
    ],
)
def test_kernels_compile_and_round_every_operation(
    name: str, recurrent: bool, double: bool, neurons: int, direction: compiled.Direction,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # For an NVIDIA GPU (compute capability 8.0) that need not be there. One neuron stands for a
    # batch and a sequence of one as well, which Triton makes constants.
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    dtype = torch.float64 if double else torch.float32
    graph = graph_of(NEURONS[name](neurons).to(dtype), dtype, masked=False)
    traces = tuple(range(graph.states)) if recurrent or neurons == 1 else ()
    variant = kernels.GpuVariant(graph, double, recurrent, parameters=True, traces=traces)
    launch = geometry.candidates(recurrent, 1, neurons, dtype)[0]
    made = compiled.compiled(variant, direction, launch, neurons, 80, "TBN" if neurons == 1 else "")
    assert made.shared <= compiled.SHARED[80]
    ptx = made.ptx
    approximate = [word for word in ("div.full", "div.approx", "sqrt.approx") if word in ptx]
    assert not approximate
    # Double precision's quotient and elementary functions are made of such instructions.
    assert recurrent or double or name == "EveryFunction" or "fma." not in ptx


@outside
@needs_triton
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(("name", "size", "recurrent"), [*compiled.kernels_of_papers()])
def test_no_kernel_of_a_papers_size_spills(
    name: str, size: int, recurrent: bool, direction: compiled.Direction,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    # Another assembler may be two or three addresses short; more is a change of the kernels.
    spilled = 0 if version("triton") == TUNED else 32
    for capability in sorted(compiled.SHARED):
        made = compiled.of_layer(name, size, recurrent, direction, capability)
        assert made.spilled <= spilled, f"bytes of a thread, on {capability}"
        assert made.shared <= compiled.SHARED[capability]
        assert made.fits == (made.spilled == 0)
