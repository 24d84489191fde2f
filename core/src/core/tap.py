"""Where somebody may look on: products with weights and scans are shown to whoever asked.

Hooks of modules do not see them: layers compute by functions, on weights that they prepare first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from core.scan.case import Case


class Onlooker(Protocol):
    """Who looks on."""

    def projected(self, x: Tensor, weight: Tensor) -> None:
        """``x`` ``[..., I]`` was multiplied by ``weight`` ``[N, I]``."""
        ...

    def scanned(self, case: Case, given: Any, output_TBN: Tensor, backend: str) -> None:
        """A neuron ran over time on a backend; ``given`` is the caller's state, or None."""
        ...


_onlooker: ContextVar[Onlooker | None] = ContextVar("onlooker", default=None)


def onlooker() -> Onlooker | None:
    """Who looks on in this thread."""
    return _onlooker.get()


@contextmanager
def shown_to(somebody: Onlooker) -> Iterator[None]:
    """Let somebody look on; the last one who asked does."""
    token = _onlooker.set(somebody)
    try:
        yield
    finally:
        _onlooker.reset(token)
