"""Rows as a table: on the terminal, as Markdown between the markers of a README, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_text_atomically
from core.outside.text import to_json
from core.records.readme import update_between_markers

Row = Mapping[str, Any]

#: Name of the block in a README.
BLOCK = "bench"

COLUMNS = (
    *("workload", "shape", "backend", "time", "reference", "speed-up", "public loop"),
    *("fastest peer", "peer", "peer / ours", "limit", "ours / limit"),
    *("peak MB", "reference MB", "spikes"),
)


def cells(row: Row) -> tuple[str, ...]:
    """A measured row, in the order of :data:`COLUMNS`."""
    about = "~" if row["public_loop"] == "extrapolated" else ""
    loop = duration(row["public_loop_seconds"])
    return (
        row["workload"],
        row["shape"],
        row["backend"],
        duration(row["seconds"]),
        duration(row["reference_seconds"]),
        _ratio(row["speedup"]),
        about + loop if loop else "",
        row["fastest_peer"] or "",
        duration(row["peer_seconds"]),
        _ratio(row["peer_speedup"]),
        duration(row["limit_seconds"]),
        _ratio(row["limit_ratio"]),
        _count(row["peak_mb"]),
        _count(row["reference_peak_mb"]),
        f"{row['spike_rate']:.1%}",
    )


def notes(rows: Iterable[Row]) -> list[str]:
    """What does not fit into columns: all peers, growth, the layer with a linear input, versions.

    One line each.
    """
    lines, versions = [], {}
    for row in rows:
        if row["workload"] == "growth":
            lines.append(growth_note(row))
        elif "contestants" in row:
            lines.append(_layer_note(row))
        elif row["peers"]:
            lines.append(peers_note(row))
        elif row.get("public_loop_points"):
            lines.append(_public_note(row))
        if "versions" in row:
            versions = row["versions"]
    if versions:
        lines.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    return lines


def peers_note(row: Row) -> str:
    """All peers of a row: times, and why others have none; whether JAX computes our spikes."""
    ran = [f"{name} {duration(t)}" for name, t in row["peers"].items() if not isinstance(t, str)]
    reasons: dict[str, list[str]] = {}
    for name, reason in row["peers"].items():
        if isinstance(reason, str):
            reasons.setdefault(reason, []).append(name)
    absent = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if row["jax_agreement"] is not None:
        ran.append(f"{row['jax_agreement']:.5%} of JAX's outputs equal ours")
    return f"{row['workload']}: {'; '.join(ran + absent)}"


def _public_note(row: Row) -> str:
    """What the public loop took, and the curve through it."""
    points = ", ".join(f"{duration(t)} at T={steps}" for steps, t in row["public_loop_points"])
    return (
        f"{row['workload']}: the public loop took {points}; time = "
        f"{1e3 * row['public_loop_a']:.3g} ms x T + {1e3 * row['public_loop_b']:.3g} ms x T^2"
    )


def growth_note(row: Row) -> str:
    """The fitted line of a growth row."""
    return (
        f"growth ({row['backend']}): time = {1e3 * row['a_seconds']:.2f} ms + "
        f"{1e3 * row['b_seconds']:.4f} ms x {row['axis']}, R^2 = {row['r2']:.5f}, from "
        f"{', '.join(row['rows'])}"
    )


def _layer_note(row: Row) -> str:
    parts = []
    for name, found in row["contestants"].items():
        if isinstance(found, str):
            parts.append(f"{name} {found}")
            continue
        memory = "" if found["peak_mb"] is None else f", {found['peak_mb']:.0f} MB"
        forward, backward = duration(found["forward_seconds"]), duration(found["backward_seconds"])
        parts.append(f"{name} forward {forward}, backward {backward}{memory}")
    return f"{row['workload']} ({row['shape']}, {row['backend']}): {'; '.join(parts)}"


def measured(rows: Iterable[Row]) -> list[Row]:
    """The rows that have the columns of the table."""
    return [row for row in rows if "limit_seconds" in row]


def text(rows: Sequence[Row]) -> str:
    """The table and its notes for a terminal."""
    lines = [COLUMNS, *map(cells, measured(rows))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    grid = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([*(grid if len(grid) > 1 else []), "", *notes(rows)]).strip()


def markdown(rows: Sequence[Row], machine: str) -> str:
    """The table and its notes for a README; ``machine`` says where it was measured."""
    body = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, measured(rows))]
    grid = "\n".join("| " + " | ".join(line) + " |" for line in body)
    listed = "\n".join(f"- {note}" for note in notes(rows))
    return f"{machine}\n\n{grid}\n\n{listed}"


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as one JSON list."""
    write_text_atomically(path, to_json(rows, indent=1, ensure_ascii=False) + "\n")


def write_readme(rows: Sequence[Row], machine: str, path: Path) -> None:
    """Put the table between ``<!-- core bench -->`` and ``<!-- end -->``.

    Raises:
        UserError: The file or its markers are missing.
    """
    update_between_markers(path, BLOCK, markdown(rows, machine))


def check_places(json_file: Path | None, readme: Path | None) -> None:
    """Refuse, before anything is measured, places that the results could not be written to.

    Raises:
        UserError: ``json_file`` exists or its folder does not; ``readme`` lacks the markers.
    """
    if json_file is not None and json_file.exists():
        raise UserError(f"--json: {json_file} exists; give another name, or move it away")
    if json_file is not None and not json_file.parent.is_dir():
        raise UserError(f"--json: the folder {json_file.parent} does not exist; create it")
    if readme is not None:
        update_between_markers(readme, BLOCK, "", write=False)


def duration(value: float | None) -> str:
    """Seconds as text, in ms below one; empty for None."""
    if value is None:
        return ""
    return f"{value:.2f} s" if value >= 1.0 else f"{1e3 * value:.3g} ms"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
