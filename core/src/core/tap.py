"""Where somebody may look on: products with weights, scans and dropout are shown to whoever asked.

Hooks of modules do not see them: layers compute by functions, on weights that they prepare first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from core.scan.case import Case


class Onlooker:
    """Who looks on, at whatever it overrides."""

    def projected(self, x: Tensor, weight: Tensor, product: str) -> None:
        """``x`` ``[..., I]`` is multiplied by ``weight`` ``[N, I]``; by which product, in words."""

    def dropped(self, module: nn.Module, kernel: str) -> None:
        """A module drops values out, in training at least; by which kernel, in words."""

    def scanned(self, case: Case, given: Any, output_TBN: Tensor, backend: str) -> None:
        """A neuron ran over time on a backend; ``given`` is the caller's state, or None."""


_onlooker: ContextVar[Onlooker | None] = ContextVar("onlooker", default=None)


def onlooker() -> Onlooker | None:
    """Who looks on in this thread."""
    return _onlooker.get()


@contextmanager
def shown_to(somebody: Onlooker) -> Iterator[None]:
    """Let somebody look on; the last one who asked does.

    Compiled models run eagerly meanwhile: nobody sees into their graphs.
    """
    token = _onlooker.set(somebody)
    # PyTorch's compiler takes seconds to import, and who has not does not compile.
    compiles = "torch._dynamo" in sys.modules
    try:
        with torch.compiler.set_stance("force_eager") if compiles else nullcontext():
            yield
    finally:
        _onlooker.reset(token)


def layer_names(model: nn.Module) -> dict[int, str]:
    """Which layer modules and their parameters belong to, by identity.

    The parts of a layer or readout (what runs ``over_time``) belong to it; every other module is a
    layer of its own.
    """
    names: dict[int, str] = {}
    prefix, owner = None, ""
    for path, module in model.named_modules():
        if prefix is None or not path.startswith(prefix):
            prefix, owner = None, path or type(model).__name__
            if hasattr(module, "over_time"):
                prefix = f"{path}." if path else ""
        names[id(module)] = owner
        names.update((id(p), owner) for p in module.parameters(recurse=False))
    return names
