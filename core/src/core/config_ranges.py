"""The range of a number in a config class, declared where the field is.

Imports nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Bound = float | tuple[float, ...] | None
"""One for all values, one per value, or none."""


@dataclasses.dataclass(frozen=True)
class Range:
    """What a number of a config may be; bounds as in :func:`number`."""

    least: Bound
    above: Bound
    most: Bound
    below: Bound
    ascending: bool

    def describe(self, index: int) -> str:
        """Such as ``at least 1 and at most 100``, for the value at ``index`` of a sequence."""
        words = {"at least": self.least, "above": self.above}
        words |= {"at most": self.most, "below": self.below}
        found = {word: _bound(bound, index) for word, bound in words.items()}
        return " and ".join(
            f"{word} {bound:.12g}" for word, bound in found.items() if bound is not None
        )

    def holds(self, value: float, index: int) -> bool:
        """Whether the value at ``index`` of a sequence, or a single one, is within."""
        least, above, most, below = (
            _bound(bound, index) for bound in (self.least, self.above, self.most, self.below)
        )
        return (
            (least is None or value >= least)
            and (above is None or value > above)
            and (most is None or value <= most)
            and (below is None or value < below)
        )


def _bound(bound: Bound, index: int) -> float | None:
    return bound[index] if isinstance(bound, tuple) else bound


def number(
    default: Any,
    *,
    least: Bound = None,
    above: Bound = None,
    most: Bound = None,
    below: Bound = None,
    ascending: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """A dataclass field that holds a number, or several, within a range; None is always within.

        lr: float = number(1e-3, above=0, most=1e4)
        omega: tuple[float, float] = number((3.0, 5.0), least=-1e3, most=1e3, ascending=True)
        tau: tuple[float, float] = number((20.0, 1.0), least=(-1e4, 0.0), most=1e4)  # mean, std

    :func:`core.config_fields.check_ranges` holds a config to it.

    Args:
        default: Of the field.
        least: Smallest value; a tuple has one bound per value, as for the next three.
        above: Value below all.
        most: Largest value.
        below: Value above all.
        ascending: No value is smaller than the one before it.
        metadata: More of the field's, such as ``{"hash": False}``.
    """
    allowed = Range(least, above, most, below, ascending)
    more = {"range": allowed, **(metadata or {})}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=more)
    return dataclasses.field(default=default, metadata=more)
