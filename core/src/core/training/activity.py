"""Layers that fall silent or saturate pass nothing on: training says so in the epoch they do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SATURATED = 0.95
"""Spikes per neuron and step from which a layer is called saturated."""


def warnings_of(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What happened to the layers in the last epoch and was not so in the one before.

    Untrained networks may well be silent: that is told only when an epoch of training has not
    changed it.

    Args:
        history: Rows of ``metrics.jsonl``, in order. Where the objective does not tell layers
            apart, the network counts as one.

    Returns:
        Entries of ``warnings`` in ``run.json``: ``epoch``, and ``what`` happened.
    """
    if len(history) < 2:
        return []
    *_, before, now = history
    known = _states(before) if before["epoch"] else {}
    return [
        {"epoch": now["epoch"], "what": f"{layer} {state}"}
        for layer, state in _states(now).items()
        if state and state != known.get(layer)
    ]


def _states(row: Mapping[str, Any]) -> dict[str, str | None]:
    """What is wrong with each layer, if anything, by its name."""
    if rates := row.get("layer_rates"):
        return {f"hidden layer {n}": _state(rate) for n, rate in enumerate(rates, start=1)}
    silent = 0.0 if row["sop"] == 0 else None
    return {"the network": _state(row.get("rate", silent))}


def _state(rate: float | None) -> str | None:
    if rate == 0:
        return "is silent: no neuron spikes on the test set; a lower learning rate may help"
    if rate is not None and rate >= SATURATED:
        return (
            "is saturated: its neurons spike at nearly every step; a lower learning rate may help"
        )
    return None
