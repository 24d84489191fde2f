"""What a worker does for each item of a part; it runs on the GPU, in a rehearsal on the CPU."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

from core.bench.gpu import open_neuromorphic
from core.bench.limits import COPIED_BYTES, copy_bandwidth, product_rate
from core.scan import reference
from core.scan.contract import NEURONS, Run
from core.scan.gpu import backend, geometry
from core.scan.gpu.verified import kernel

#: The contract: gradients to this share of the largest of their kind.
TOLERANCE = 1e-5
REPEATS = 7


def _device() -> torch.device:
    return torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")


def settle() -> None:
    """Wait for the device, which raises what it has against the item, and free its memory."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def machine() -> dict[str, Any]:
    """Name and versions of everything, or why there is nothing to measure."""
    found: dict[str, Any] = {"torch": str(torch.__version__), "cuda": torch.version.cuda}
    with suppress(metadata.PackageNotFoundError):
        found["triton"] = metadata.version("triton")
    if _device().type == "cuda":
        if missing := backend.missing():
            return {"missing": missing}
        properties = torch.cuda.get_device_properties(0)
        found |= {"device": properties.name, "processors": properties.multi_processor_count}
        found |= {"capability": f"{properties.major}.{properties.minor}"}
    return found


def rates() -> dict[str, float]:
    """Bytes per second of a copy, and operations per second of a dense product (IEEE float32)."""
    device = _device()
    small = device.type == "cpu"
    copied = copy_bandwidth(device, COPIED_BYTES // 64 if small else 4 * COPIED_BYTES)
    products = product_rate(64 if small else 4096, 64 if small else 4096, device)
    return {"bytes_per_second": copied, "flop_per_second": products}


def correctness_items(rehearse: bool) -> list[dict[str, Any]]:
    """Every kernel: the sizes that matter most first."""
    found = []
    for dtype in ("float32", "float64"):
        for size in (8,) if rehearse else (128, 512, 36, 256, 1024, 8):
            for name in ("BRF", "AdLIF") if rehearse else NEURONS:
                for recurrent in (False, True):
                    if name != "LI" or not recurrent:
                        found.append(
                            {"name": name, "size": size, "recurrent": recurrent, "dtype": dtype}
                        )
    return found


def correctness(name: str, size: int, recurrent: bool, dtype: str) -> dict[str, Any]:
    """Whether one kernel keeps the contract of scan: two segments, two tiles of samples."""
    run = Run(
        name,
        (18, 17, size),
        recurrent=recurrent,
        dtype=getattr(torch, dtype),
        device=_device(),
    )
    if reason := backend.not_taken(run.case):
        return {"verdict": "refused", "why": reason}
    named = {"kernel": kernel(run.case)}
    outputs, wanted = run.differentiate(_outputs(run, reference))
    try:
        found = _outputs(run, backend)
        settle()
        ours, gradients = run.differentiate(found)
        settle()
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        return {**named, "verdict": "failed", "why": f"{type(error).__name__}: {text}"}
    unequal = int((ours[0] != outputs[0]).sum())
    state = max(_relative(a, b) for a, b in zip(ours[1:], outputs[1:], strict=True))
    worst = max(_relative(gradients[key], wanted[key]) for key in wanted)
    spiking = run.neuron.spiking
    right = (unequal == 0 or not spiking) and state <= TOLERANCE and worst <= TOLERANCE
    return {
        **named,
        **{"verdict": "right" if right else "wrong", "unequal_outputs": unequal},
        **{"state_difference": state, "gradient_difference": worst},
        "rate": float(outputs[0].mean()),
    }


def _outputs(run: Run, module: Any) -> list[Tensor]:
    output, final, traces = module.run(run.case, run.state)
    return [output, *final, *traces.values()]


def _relative(found: Tensor, expected: Tensor) -> float:
    scale = float(expected.abs().max())
    worst = float((found - expected).abs().max())
    return worst / scale if scale else worst


def timed_items(rehearse: bool) -> list[dict[str, Any]]:
    """Neurons, shapes and contestants of the speed part."""
    shapes = [(8, 2, 16)] if rehearse else [(100, 128, 512), (784, 256, 256), (1300, 16, 36)]
    shapes += [] if rehearse else [(250, 128, 128), (100, 128, 1024)]
    return [
        {"what": what, "shape": shape, "recurrent": recurrent}
        for shape in shapes
        for recurrent in (True, False)
        for what in ("scan", "eager", *(("LSTM", "RNN") if recurrent else ()))
    ]


def timed(what: str, shape: tuple[int, int, int], recurrent: bool) -> dict[str, Any]:
    """Seconds forward and backward of AdLIF, fused or eager, or of the vendor's layer."""
    if what in ("LSTM", "RNN"):
        torch.backends.cudnn.allow_tf32 = False  # the vendor's default, of another precision
        layer = getattr(nn, what)(shape[2], shape[2]).to(_device())
        x = torch.randn(shape, device=_device(), requires_grad=True)
        return _times(lambda: layer(x)[0])
    run = Run("AdLIF", shape, recurrent=recurrent, device=_device())
    module = backend if what == "scan" else reference
    if what == "scan" and (reason := backend.not_taken(run.case)):
        return {"error": reason}
    return _times(lambda: _outputs(run, module)[0])


def network_items(rehearse: bool) -> list[dict[str, Any]]:
    """Sizes of the Open Neuromorphic benchmark; the largest one ranks dense products alone."""
    return [{"size": size} for size in ((16,) if rehearse else (512, 4096))]


def network(size: int) -> dict[str, Any]:
    """A linear layer and a LIF, beside SpikingJelly's where that is installed."""
    device = _device()
    if device.type == "cuda":  # whatever has been verified so far
        os.environ["SNN_BACKEND"] = "gpu"
    shape = {"steps": 8, "batch": 2} if device.type == "cpu" else {}
    repeats = 1 if device.type == "cpu" else REPEATS
    found = open_neuromorphic(size, device, repeats, **shape)
    return {"shape": found["shape"], "backend": found["backend"], **found["contestants"]}


def tile_items(rehearse: bool) -> list[dict[str, Any]]:
    """Every geometry that a recurrent layer may have."""
    found = []
    for size in (16,) if rehearse else (128, 256, 512, 1024):
        for batch in (2,) if rehearse else (16, 64, 256):
            count = len(geometry.candidates(True, batch, size, torch.float32))
            found += [{"size": size, "batch": batch, "place": i} for i in range(count)]
    return found


def tile(size: int, batch: int, place: int) -> dict[str, Any]:
    """Seconds of one geometry, and whether its spikes are the reference's."""
    steps = 4 if _device().type == "cpu" else 100
    run = Run("AdLIF", (steps, batch, size), recurrent=True, device=_device())
    cut = geometry.candidates(True, batch, size, torch.float32)[place]
    expected = _outputs(run, reference)[0]
    with geometry.forced(cut):
        unequal = int((_outputs(run, backend)[0] != expected).sum())
        found = _times(lambda: _outputs(run, backend)[0])
    return {"geometry": str(cut), "unequal_outputs": unequal, "steps": steps, **found}


def _times(forward: Callable[[], Tensor]) -> dict[str, Any]:
    rounds = [_round(forward) for _ in range(REPEATS if _device().type == "cuda" else 1)][-5:]
    return {
        "forward_seconds": statistics.median(ahead for ahead, _ in rounds),
        "backward_seconds": statistics.median(back for _, back in rounds),
    }


def _round(forward: Callable[[], Tensor]) -> tuple[float, float]:
    """Between events on the device; gradients add up, which every contestant pays."""
    if _device().type == "cpu":
        start = time.perf_counter()
        output = forward()
        middle = time.perf_counter()
        output.sum().backward()
        return middle - start, time.perf_counter() - middle
    events = [torch.cuda.Event(enable_timing=True) for _ in range(3)]
    events[0].record()
    output = forward()
    events[1].record()
    output.sum().backward()
    events[2].record()
    torch.cuda.synchronize()
    return (
        events[0].elapsed_time(events[1]) / 1e3,
        events[1].elapsed_time(events[2]) / 1e3,
    )
