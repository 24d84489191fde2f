"""The GPU backend: its kernels, compiled for a GPU that need not be there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from core.scan.gpu import function, geometry, kernels, module
from core.scan.kinds import graph_of

from .gpu_cases import NEURONS, needs_triton, outside


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
        ("LIF", True, False, 512),
        ("LIF", True, True, 256),
    ],
)
def test_kernels_compile_and_round_every_operation(
    name: str, recurrent: bool, double: bool, neurons: int, direction: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # For an NVIDIA GPU (compute capability 8.0) that need not be there. One neuron stands for a
    # batch and a sequence of one as well, which Triton makes constants.
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    # By name: Triton has no types and may be missing where types are checked.
    compiler = importlib.import_module("triton.compiler")
    target = importlib.import_module("triton.backends.compiler").GPUTarget("cuda", 80, 32)
    dtype = torch.float64 if double else torch.float32
    graph = graph_of(NEURONS[name](neurons).to(dtype), dtype, masked=False)
    traces = tuple(range(graph.states)) if recurrent or neurons == 1 else ()
    variant = kernels.GpuVariant(graph, double, recurrent, parameters=True, traces=traces)
    kernel = getattr(module.imported(kernels.module_text(variant)), direction)
    launch = geometry.candidates(recurrent, 1, neurons, dtype)[0]
    fixed = {"KEEP": True, "WANTS_CURRENT": True, "SEGMENT": 16} | launch.tile
    fixed |= dict.fromkeys("TBN", 1) if neurons == 1 else {}
    fixed = {key: value for key, value in fixed.items() if key in kernel.arg_names}
    kinds = dict.fromkeys(kernel.arg_names, "*fp64" if double else "*fp32")
    kinds |= dict.fromkeys("TBN", "i32") | dict.fromkeys(fixed, "constexpr")
    places = {(kernel.arg_names.index(key),): value for key, value in fixed.items()}
    options = {**function.OPTIONS, "num_warps": launch.warps}
    source = compiler.ASTSource(kernel, kinds, constexprs=places)
    compiled = compiler.compile(source, target=target, options=options)
    assert compiled.asm["cubin"]
    # What every GPU since Turing has.
    assert compiled.metadata.shared <= 64 << 10
    ptx = compiled.asm["ptx"]
    approximate = [word for word in ("div.full", "div.approx", "sqrt.approx") if word in ptx]
    assert not approximate
    # Double precision's quotient and elementary functions are made of such instructions.
    assert recurrent or double or name == "EveryFunction" or "fma." not in ptx
