"""The launch of a kernel: on which programs, how many at once, and what a device refuses."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from core.scan.gpu.geometry import Geometry
from core.scan.gpu.kernels import CARRIED, GpuVariant, before, module_text
from core.scan.gpu.meeting import APART
from core.scan.gpu.module import imported
from core.scan.gpu.products import parts

#: Steps between two kept states.
SEGMENT = 16
#: Nothing may be read ahead of the barrier before it, nor a product be contracted with the sum that
#: follows.
OPTIONS = {"num_stages": 1, "enable_fp_fusion": False}
#: Kernel, geometry and device of launches that were refused.
_refused: set[tuple[Any, Geometry, torch.device]] = set()


class Refused(RuntimeError):
    """A device cannot launch a kernel in some geometry."""


@dataclass(frozen=True)
class Launch:
    """What both directions of one scan share.

    Attributes:
        variant: Its kernels.
        shape: ``[T, B, N]``.
        cuts: Geometries in the order in which they are tried.
        segment: Steps between two kept states.
    """

    variant: GpuVariant
    shape: torch.Size
    cuts: tuple[Geometry, ...]
    segment: int

    @property
    def segments(self) -> int:
        """How many segments."""
        return -(-self.shape[0] // self.segment)

    def run(self, direction: str, arrays: dict[str, Tensor | None], **constants: bool) -> None:
        """Run a kernel on the device of its arrays, which are contiguous.

        Raises:
            Refused: The device can launch none of the geometries.
        """
        given = {name: array for name, array in arrays.items() if array is not None}
        kernel = getattr(imported(module_text(self.variant)), direction)
        device = given["x"].device
        refused: Exception = Refused("there is no geometry")
        for cut in self.cuts:
            key = (kernel, cut, device)
            if key in _refused and cut != self.cuts[-1]:
                continue
            try:
                with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                    self._run(kernel, direction, cut, given, constants)
            except Exception as error:
                # No wave has run then: none is larger than the first.
                if not (isinstance(error, _refusals()) or "cooperative" in str(error)):
                    raise
                _refused.add(key)
                refused = error
            else:
                return
        raise Refused(f"this device cannot launch the kernel: {refused}") from refused

    def _run(
        self,
        kernel: Any,
        direction: str,
        cut: Geometry,
        arrays: dict[str, Tensor],
        constants: dict[str, bool],
    ) -> None:
        steps, batch, neurons = self.shape
        arrays = arrays | {before(name): arrays[name] for name in CARRIED if name in arrays}
        programs, options = cut.programs(batch, neurons), OPTIONS
        launches = [(programs, {"begin": 0, "end": steps})]
        if cut.recurrent:
            device, tiles = arrays["x"].device, cut.tiles(neurons)
            rows = programs // tiles
            meet = tiles > 1 and not interpreted()
            counters = torch.zeros(rows, APART, dtype=torch.int32, device=device)
            arrays = arrays | {"counters": counters}
            if cut.chunks:
                if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
                    raise Refused("it has no dense products of bfloat16")
                if cut.kept_bytes > _shared(device):  # known before seconds of compiling
                    raise Refused(f"it has no {cut.kept_bytes} bytes of shared memory")
                cut_in_parts = parts(arrays["matrix"])
                # The interpreter would multiply the bits of bfloat16 as integers.
                cut_in_parts = cut_in_parts.float() if interpreted() else cut_in_parts
                arrays |= {"matrix": cut_in_parts}
            constants = constants | {"MEET": meet}
            at_once, ranges = rows, [(0, steps)]
            if tiles > 1:
                at_once = _processors(device) // tiles
                if at_once == 0:
                    raise Refused(f"it has fewer than {tiles} processors")
            if meet:
                options = options | {"launch_cooperative_grid": True}
            elif tiles > 1:
                ranges = [(t, t + 1) for t in range(steps)][:: 1 if direction == "forward" else -1]
            launches = [
                (min(at_once, rows - row) * tiles, {"begin": b, "end": e, "batch_tile": row})
                for b, e in ranges
                for row in range(0, rows, at_once)
            ]
        for programs, place in launches:
            kernel[(programs,)](
                **arrays,
                **{"T": steps, "B": batch, "N": neurons, "SEGMENT": self.segment},
                **place,
                **constants,
                **cut.constants(neurons),
                num_warps=cut.warps,
                **options,
            )


def _processors(device: torch.device) -> int:
    """Each has room for a program, so that as many can wait for each other."""
    if device.type != "cuda":
        return 1 << 16
    return torch.cuda.get_device_properties(device).multi_processor_count


def _shared(device: torch.device) -> int:
    """Bytes that a program may have; as many as you like where PyTorch does not know."""
    if device.type != "cuda":
        return 1 << 30
    properties: Any = torch.cuda.get_device_properties(device)
    return getattr(properties, "shared_memory_per_block_optin", 1 << 30)


def _refusals() -> tuple[type[Exception], ...]:
    """What says that a device cannot launch a kernel; Triton looks before it does."""
    errors: Any = import_module("triton.runtime.errors")
    return Refused, errors.OutOfResources


def interpreted() -> bool:
    """Whether Triton interprets kernels, one program after the other."""
    return os.environ.get("TRITON_INTERPRET") == "1"
