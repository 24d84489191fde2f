"""How a run ended, read off its learning curve: some networks die, and their means must say so.

==========  ========================================================================================
ending      from some epoch on, to the last one
==========  ========================================================================================
silent      no neuron spikes any more
at chance   the test accuracy is not above that of naming one and the same class always
frozen      the spikes of the test set stay the same over twenty epochs of training or more:
            the spiking layers learn nothing any more, whatever the readout does
==========  ========================================================================================

A silent network and one at chance are dead; a frozen one may still be good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CHANCE_SLACK = 0.5
"""Points above chance that a network without any knowledge may reach by luck."""
SAME_SPIKES = 1e-4
"""Relative difference of two counts of spikes that are called the same."""
FROZEN_EPOCHS = 20

MetricRow = Mapping[str, float | None]


@dataclass(frozen=True)
class Ending:
    """What a run was from ``epoch`` to its last one."""

    what: Literal["silent", "at chance", "frozen"]
    epoch: int

    @property
    def died(self) -> bool:
        """Nothing that the network gives depends on its input any more, as far as one can tell."""
        return self.what != "frozen"

    def __str__(self) -> str:
        return f"{self.what} from epoch {self.epoch}"


def ending(curve: Sequence[MetricRow], chance: float | None = None) -> Ending | None:
    """How a run ended; None where it ended well, or before its first epoch of training.

    Args:
        curve: Rows of metrics, one per epoch, in order.
        chance: Test accuracy of naming the most frequent class, in percent; None to not look.
    """
    if not curve or not curve[-1]["epoch"]:
        return None
    if silent := _tail(curve, "sop", lambda spikes: spikes == 0):
        return Ending("silent", _epoch(silent))
    if chance is not None:
        reached = chance + CHANCE_SLACK
        if lost := _tail(curve, "test_accuracy", lambda accuracy: accuracy <= reached):
            return Ending("at chance", _epoch(lost))
    final = curve[-1]["sop"]
    if final is None:
        return None
    same = _tail(curve, "sop", lambda spikes: abs(spikes - final) <= SAME_SPIKES * final)
    # At a learning rate of zero nothing is expected to move.
    trained = sum(row.get("learning_rate") != 0 for row in same[1:])
    return Ending("frozen", _epoch(same)) if trained >= FROZEN_EPOCHS else None


def _tail(
    curve: Sequence[MetricRow], key: str, holds: Callable[[float], bool]
) -> Sequence[MetricRow]:
    """The last rows of the curve in all of which ``holds`` is true."""
    start = len(curve)
    while start and (value := curve[start - 1][key]) is not None and holds(value):
        start -= 1
    return curve[start:]


def _epoch(rows: Sequence[MetricRow]) -> int:
    return int(rows[0]["epoch"] or 0)
