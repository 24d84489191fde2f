"""How far times are from what the device allows, and from what was set as the goal.

The limit of a row is the time in which its bytes move at the rate of a large copy, plus the time of
its dense products at the rate of a large one in IEEE float32 (faster ones may beat it):

- bytes: :data:`core.bench.limits.ARRAYS` arrays ``[T, B, N]`` of a scan or a layer, five: the
  current (input) read and the output written; on the way back current, the output's gradient read,
  the current's gradient written. Of the Open Neuromorphic networks, whose inputs need no gradient
  and whose outputs' gradient is one number, three: the input read, twice, the output written;
- products, each ``2 T B N^2`` operations: recurrence takes three (forwards, back through the
  weight, the weight's gradient), so does the input of a layer; an LSTM has four gates with six
  each, an RNN six; the Open Neuromorphic networks take two.
"""

from __future__ import annotations

from typing import Any

from core.bench.limits import ARRAYS

Rows = list[dict[str, Any]]
#: Products of contestants, without and with recurrence.
PRODUCTS = {
    "fused": (0, 3),
    "eager": (0, 3),
    "fused layer": (3, 6),
    "RNN": (6, 6),
    "LSTM": (24, 24),
}
#: A layer's step in those of its LSTM; a scan without recurrence in five arrays over bandwidth.
RECURRENT_GOAL, FEED_FORWARD_GOAL = 1.0, 2.0


def add_limits(parts: dict[str, Any]) -> None:
    """Every timed row gets ``us_per_step``, ``limit_seconds`` and ``limit_ratio``."""
    rates = (_rows(parts, "machine") or [{}])[0]
    for row in _rows(parts, "speed") + _rows(parts, "tiles"):
        if "seconds" in row:
            products = PRODUCTS[row.get("what", "fused")][row["recurrent"]]
            row |= _against(row, row["seconds"], _limit(row, ARRAYS, products, rates))
            if row["queued_seconds"] is not None and row["limit_ratio"] is not None:
                row["queued_limit_ratio"] = row["queued_seconds"] / row["limit_seconds"]
    for row in _rows(parts, "networks"):
        for found in row.values():
            if isinstance(found, dict) and "forward_seconds" in found:
                taken = found["forward_seconds"] + found["backward_seconds"]
                found |= _against(row, taken, _limit(row, 3, 2, rates))


def _rows(parts: dict[str, Any], name: str) -> Rows:
    rows: Rows = parts.get(name, {}).get("rows", [])
    return rows


def _limit(row: dict[str, Any], arrays: int, products: int, rates: dict[str, Any]) -> float | None:
    if "bytes_per_second" not in rates:
        return None
    elements = row["steps"] * row["batch"] * row["size"]
    moving = arrays * 4 * elements / rates["bytes_per_second"]
    return float(moving + products * 2 * elements * row["size"] / rates["flop_per_second"])


def _against(row: dict[str, Any], seconds: float, limit: float | None) -> dict[str, Any]:
    ratio = None if limit is None else seconds / limit
    per_step = 1e6 * seconds / row["steps"]
    return {"us_per_step": per_step, "limit_seconds": limit, "limit_ratio": ratio}


def comparison(parts: dict[str, Any]) -> list[str]:
    """A line per shape of the speed part: microseconds a step of all, and ratios; then the goals.

    Behind a slash stands the time of the device alone, without that in which the host asks.
    """
    shapes: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in _rows(parts, "speed"):
        key = (row["steps"], row["batch"], row["size"], row["recurrent"])
        shapes.setdefault(key, {})[row["what"]] = row
    lines, layers, scans = [], list[tuple[str, float]](), list[tuple[str, float]]()
    for (steps, batch, size, recurrent), rows in shapes.items():
        shape = f"T={steps} B={batch} H={size}"
        named = [f"{what} {_step(row)}" for what, row in rows.items()]
        ratios = []
        for what, other in (("fused layer", "LSTM"), ("fused layer", "RNN"), ("eager", "fused")):
            if (ratio := _ratio(rows.get(what), rows.get(other))) is not None:
                ratios.append(f"{what} / {other} {ratio:.3g}")
                if other == "LSTM":
                    layers.append((shape, ratio))
        if (limit := rows.get("fused", {}).get("limit_ratio")) is not None:
            ratios.append(f"fused / limit {limit:.3g}")
            if not recurrent:
                scans.append((shape, limit))
        kind = " recurrent" if recurrent else ""
        lines.append(f"{shape}{kind}: {', '.join(named)}; {', '.join(ratios) or 'no ratios'}")
    return [
        *lines,
        _goal("a recurrent layer's step costs no more than its LSTM's", layers, RECURRENT_GOAL),
        _goal("feed-forward within 2x of five arrays over bandwidth", scans, FEED_FORWARD_GOAL),
    ]


def _step(row: dict[str, Any]) -> str:
    if "us_per_step" not in row:
        return "none"
    queued = row["queued_seconds"]
    alone = "" if queued is None else f"/{1e6 * queued / row['steps']:.3g}"
    return f"{row['us_per_step']:.3g}{alone} us a step"


def _ratio(row: dict[str, Any] | None, other: dict[str, Any] | None) -> float | None:
    if row is None or other is None or "seconds" not in row or "seconds" not in other:
        return None
    return float(row["seconds"] / other["seconds"])


def _goal(text: str, ratios: list[tuple[str, float]], most: float) -> str:
    missed = [f"{shape} ({ratio:.3g})" for shape, ratio in ratios if not ratio <= most]
    if not ratios:
        return f"goal, {text}: not measured"
    return f"goal, {text}: {'met' if not missed else 'not met at ' + ', '.join(missed)}"
