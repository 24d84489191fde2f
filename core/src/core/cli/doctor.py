"""``core doctor``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version

from core.cli.command import Command


def add(command: Command) -> None:
    """Let the parser know it."""
    command("doctor", _doctor)


def _doctor(arguments: argparse.Namespace) -> None:
    """Say what this machine offers: versions, devices, data sets, backends, papers."""
    for name, probe in (
        ("python", lambda: [platform.python_version()]),
        ("core", lambda: [version("core")]),
        ("torch", lambda: [version("torch")]),
        ("numpy", lambda: [version("numpy")]),
        ("cpu", _cpu),
        ("gpu", _gpu),
        ("denormals", _denormals),
        ("data", _data),
        ("backends", _backends),
        ("papers", _papers),
    ):
        try:
            lines = list(probe())
        except Exception as error:  # one broken part must not hide the state of the others
            lines = [f"cannot tell: {type(error).__name__}: {error}"]
        for index, line in enumerate(lines):
            print(f"{'' if index else name:<10} {line}")


def _cpu() -> Iterable[str]:
    import torch

    from core.outside.text import counted

    return [f"{os.cpu_count()} cores, torch uses {counted(torch.get_num_threads(), 'thread')}"]


def _gpu() -> Iterable[str]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return names or ["none"]


def _denormals() -> Iterable[str]:
    import torch

    supported = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    return [
        "can be flushed to zero" if supported else "cannot be flushed to zero: expect slow runs"
    ]


def _data() -> Iterable[str]:
    from core.data.fetch import data_root, is_present
    from core.data.registry import SOURCES

    chosen = "from SNN_DATA" if os.environ.get("SNN_DATA") else "the default; SNN_DATA sets another"
    yield f"{data_root()} ({chosen})"
    for name, source in SOURCES.items():
        here = "here" if is_present(name) else f"not here, get it with: core fetch {name}"
        yield f"{name} {here}; {source.title}"


def _backends() -> Iterable[str]:
    from core.scan import BACKENDS

    chosen = os.environ.get("SNN_BACKEND", "auto")
    yield f"{chosen} ({'from SNN_BACKEND' if 'SNN_BACKEND' in os.environ else 'the default'})"
    for backend in BACKENDS:
        yield f"{backend.name}: {backend.note}"
        yield f"{backend.name} here: {backend.here()}"
    yield f"fused: {', '.join(_fused())}; the other cases: see core/README.md"


def _fused() -> Iterable[str]:
    """Names of the neurons whose step has a kernel."""
    import torch

    from core import neurons
    from core.scan.fused import has_kernels

    kinds = [getattr(neurons, name) for name in neurons.__all__]
    for kind in kinds:
        known = isinstance(kind, type) and issubclass(kind, neurons.Neuron)
        if known and kind is not neurons.Neuron and has_kernels(kind(1), torch.float32):
            yield kind.__name__


def _papers() -> Iterable[str]:
    from core.records import find_papers

    return [str(paper) for paper in find_papers()] or ["none found"]
