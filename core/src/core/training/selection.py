"""Which epoch of a run is the best one.

Imports nothing heavy: whoever reads the records of a run has to name the same epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

Selects = Literal["val_loss", "val_accuracy"]
"""What the best epoch is chosen by: the least validation loss, or the highest accuracy."""

RowT = TypeVar("RowT", bound=Mapping[str, Any])


def best_row(
    rows: Sequence[RowT],
    *,
    selects: Selects = "val_loss",
    on_ties: Literal["first", "last"] = "first",
) -> RowT:
    """The row of ``metrics.jsonl`` whose weights are in ``best.safetensors``.

    Args:
        rows: In order of epochs.
        selects: ``val_loss`` for the least, ``val_accuracy`` for the highest.
        on_ties: Which of equal rows.
    """
    sign = -1.0 if selects == "val_accuracy" else 1.0
    ordered = rows if on_ties == "first" else rows[::-1]
    return min(ordered, key=lambda row: sign * row[selects])


def selection_name(selects: Selects) -> str:
    """``validation loss`` or ``validation accuracy``, for messages."""
    return selects.replace("val_", "validation ")
