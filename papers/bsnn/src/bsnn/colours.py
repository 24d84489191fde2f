"""The colours of the authors' figures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

RED, YELLOW, GREEN, BLUE = "#D17171", "#F3A451", "#7B9965", "#5E7DAF"
DARK_BLUE, DARK_RED, VIOLET, GREY = "#3C5E8A", "#A84646", "#886A9B", "#636363"


def cycle() -> Iterator[str]:
    """Colours of lines that have no meaning of their own."""
    return itertools.cycle((BLUE, RED, GREEN, YELLOW, VIOLET, DARK_BLUE, DARK_RED, GREY))
