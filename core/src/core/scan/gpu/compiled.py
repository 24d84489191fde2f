"""What a GPU's compiler makes of a kernel, without a GPU: registers, spilled bytes, shared memory.

``python -m core.scan.gpu.compiled`` prints a table of the kernels of every size that a paper of
this project uses, for compute capability 8.0 (A100) and 9.0 (H100, H200).
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from core import neurons
from core.neurons import Neuron
from core.scan.gpu import geometry, kernels, launch, module
from core.scan.kinds import graph_of

Direction = Literal["forward", "backward"]
#: Compute capability -> bytes of shared memory that a program may have.
SHARED = {80: 163 << 10, 90: 227 << 10}
#: Neuron -> sizes, with recurrence and without, of the networks of the papers.
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "BRF": ((36, 128, 256), ()),
    "RF": ((36, 128, 256), ()),
    "ALIF": ((36, 128, 256), ()),
    "HRF": ((36, 128, 256), ()),
    "BoundedLIF": ((128, 512, 1024), (128, 512, 1024)),
    "AdLIF": ((128, 512, 1024), (128, 512, 1024)),
    "SiLIF": ((), (128, 512)),
    "CSiLIF": ((), (128, 512)),
    "PLIF": ((), (512,)),
    "LI": ((), (20,)),
}


@dataclass(frozen=True)
class Compiled:
    """One kernel, compiled.

    Attributes:
        capability: Of the GPU, such as 80.
        registers: Of a thread.
        spilled: Bytes that a thread keeps in memory because registers are too few.
        shared: Bytes of a program.
        ptx: Its assembly.
    """

    capability: int
    registers: int
    spilled: int
    shared: int
    ptx: str

    @property
    def fits(self) -> bool:
        """Nothing spills, and shared memory is enough."""
        return self.spilled == 0 and self.shared <= SHARED[self.capability]


def compiled(
    variant: kernels.GpuVariant,
    direction: Direction,
    cut: geometry.Geometry,
    neurons: int,
    capability: int,
    ones: str = "",
) -> Compiled:
    """Compile a kernel.

    Args:
        variant: Of a neuron.
        direction: Of the kernel.
        cut: Into tiles.
        neurons: Of the layer.
        capability: Such as 80.
        ones: Those of ``T``, ``B`` and ``N`` that are one, which Triton makes constants.

    Raises:
        ImportError: Triton is not installed.
    """
    # By name: Triton has no types and may be missing where types are checked.
    compiler: Any = importlib.import_module("triton.compiler")
    target = importlib.import_module("triton.backends.compiler").GPUTarget("cuda", capability, 32)
    kernel = getattr(module.imported(kernels.module_text(variant)), direction)
    fixed = {"KEEP": True, "WANTS_CURRENT": True, "SEGMENT": launch.SEGMENT} | cut.constants(
        neurons
    )
    fixed |= {"MEET": cut.tiles(neurons) > 1, "N": neurons} if cut.recurrent else {}
    fixed |= dict.fromkeys(ones, 1)
    fixed = {key: value for key, value in fixed.items() if key in kernel.arg_names}
    kinds = dict.fromkeys(kernel.arg_names, "*fp64" if variant.double else "*fp32")
    kinds |= dict.fromkeys(("T", "B", "N", *kernels.PLACES), "i32") | {"counters": "*i32"}
    kinds |= {"matrix": "*bf16"} if cut.chunks else {}
    kinds = {key: kinds[key] for key in kernel.arg_names} | dict.fromkeys(fixed, "constexpr")
    places = {(kernel.arg_names.index(key),): value for key, value in fixed.items()}
    # As a launch tells it: arrays begin at multiples of 16 bytes.
    even = [
        key for key, kind in kinds.items() if kind[0] == "*" or (key == "N" and neurons % 16 == 0)
    ]
    hints = {(kernel.arg_names.index(key),): [["tt.divisibility", 16]] for key in even}
    source = compiler.ASTSource(kernel, kinds, constexprs=places, attrs=hints)
    options = {**launch.OPTIONS, "num_warps": cut.warps}
    made = compiler.compile(source, target=target, options=options)
    registers, spilled = _resources(made.asm["ptx"], capability)
    return Compiled(capability, registers, spilled, made.metadata.shared, made.asm["ptx"])


def _resources(ptx: str, capability: int) -> tuple[int, int]:
    """Registers and spilled bytes of a thread, as NVIDIA's assembler reports them."""
    nvidia: Any = importlib.import_module("triton.backends.nvidia.compiler")
    assembler = nvidia.get_ptxas(capability).path
    name = f"sm_{capability}" + ("a" if capability >= 90 else "")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx, encoding="utf-8")
        command = [assembler, "-v", f"--gpu-name={name}", source, "-o", source.with_suffix(".o")]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    (registers,) = re.findall(r"Used (\d+) registers", told)
    (spilled,) = re.findall(r"(\d+) bytes spill stores", told)
    return int(registers), int(spilled)


def kernels_of_papers() -> Iterator[tuple[str, int, bool]]:
    """Name of the neuron, size and recurrence of every layer of a paper that a kernel takes."""
    for name, both in SIZES.items():
        for recurrent, sizes in zip((True, False), both, strict=True):
            for size in sizes:
                if geometry.candidates(recurrent, 128, size, torch.float32):
                    yield name, size, recurrent


def of_layer(
    name: str, size: int, recurrent: bool, direction: Direction, capability: int
) -> Compiled:
    """The kernel of a layer in single precision whose coefficients are trained.

    In the geometry that a device of this capability takes: the first whose shared memory it has.
    """
    make: Callable[[int], Neuron] = getattr(neurons, name)
    graph = graph_of(make(size), torch.float32, masked=False)
    variant = kernels.GpuVariant(graph, False, recurrent, parameters=True)
    cuts = geometry.candidates(recurrent, 128, size, torch.float32)
    cuts = [cut for cut in cuts if cut.kept_bytes <= SHARED[capability]]
    tried = (compiled(variant, direction, cut, size, capability) for cut in cuts)
    return next(one for one in tried if one.shared <= SHARED[capability])


def main() -> int:
    """Print the table; 1 where a kernel does not fit."""
    print("neuron      N     recurrent direction  sm  registers  spilled  shared  fits")
    right = True
    directions: tuple[Direction, ...] = ("forward", "backward")
    for name, size, recurrent in kernels_of_papers():
        for direction in directions:
            for capability in SHARED:
                one = of_layer(name, size, recurrent, direction, capability)
                right = right and one.fits
                print(
                    f"{name:<11} {size:<5} {recurrent!s:<9} {direction:<10} {capability:<3} "
                    f"{one.registers:<10} {one.spilled:<8} {one.shared:<7} {one.fits}",
                    flush=True,
                )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
