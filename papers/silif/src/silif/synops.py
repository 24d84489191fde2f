"""Accuracy beside synaptic operations, as in a part of the paper's Figure 3."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from core.plots import figure
from core.records import Record
from core.records.pictures import Drawn
from core.settings import evaluation_parser
from silif.evaluation import evaluate_file, find_weights

SSC = "ssc"


class Point(NamedTuple):
    """A network.

    Attributes:
        name: Of the network.
        accuracy: Percent.
        operations: Synaptic operations per sample.
    """

    name: str
    accuracy: float
    operations: float


PUBLISHED = (
    Point("S5-RF", 78.8, 250 * 21751.0),
    Point("cAdLIF", 81.68, 8.2e6),
    Point("C-SiLIF", 81.98, 1.22e7),
    Point("SiLIF", 81.94, 9.2e6),
    Point("Event-SSM", 85.3, 8000 * 64 * 64 * 2 + 1000 * 64 * 64 * 8.0),
)
"""In the order of the figure."""
DIGITISED = ("cAdLIF", "C-SiLIF", "SiLIF")
"""Read off the published figure, to 0.05 points and 3e5 operations; the others are constants of its
script, from other papers."""
LABELS = {"CadLIF": "cAdLIF", "CSiLIF": "C-SiLIF", "ResonateFire": "RF"}
TEST_SEEDS = (13, 42, 73, 128, 268)
"""Of the states before the first step, in the authors' script."""
_ACCURACY, _OPERATIONS = "#1f77b4", "#ff7f0e"


def evaluate_published(data_folder: Path | None = None) -> None:
    """Score the published networks of the figure on the test set of SSC, and record the scores.

    Args:
        data_folder: With the original files; None for those of the data set ``ssc``.

    Raises:
        UserError: Weights or data are not here, or damaged.
    """
    for model in ("CadLIF", "CSiLIF", "SiLIF"):
        path = find_weights(Path(f"ref_SSC_{model}"))
        options = evaluation_parser("").parse_args([str(path), "--record"])
        options.model_type, options.seeds, options.data_folder = model, TEST_SEEDS, data_folder
        options.init_state = options.protocol = options.nb_steps = options.max_time = None
        evaluate_file(options)


def measured_on_ssc(records: Sequence[Record]) -> dict[str, Point]:
    """Recorded evaluations of the published networks on SSC itself, by name of the network."""
    found = {}
    for record in records:
        fields = record.fields
        if record.kind == "evaluate" and fields["data"]["name"] == SSC:
            name = LABELS.get(fields["model"], fields["model"])
            if (operations := operations_of(fields)) and fields["accuracy"] is not None:
                found[name] = Point(name, fields["accuracy"], operations)
    return found


def trained_here(records: Sequence[Record]) -> dict[str, list[Point]]:
    """Recorded runs that have finished and were counted: means over seeds, by data and protocol."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for record in records:
        fields = record.fields
        if record.kind != "train" or record.status != "finished" or record.superseded:
            continue
        accuracy = (fields.get("tests") or {}).get("accuracy")
        if accuracy is None or (operations := operations_of(fields)) is None:
            continue
        protocol = fields.get("config", {}).get("protocol")
        place = f"{fields['data']['name']}, {protocol}" if protocol else fields["data"]["name"]
        size = fields.get("config", {}).get("nb_hiddens", "")
        name = f"{LABELS.get(fields['model'], fields['model'])} {size}".strip()
        groups.setdefault((place, name), []).append((float(accuracy), operations))
    by_place: dict[str, list[Point]] = {}
    for (place, name), values in sorted(groups.items()):
        accuracy, operations = map(statistics.fmean, zip(*values, strict=True))
        by_place.setdefault(place, []).append(
            Point(f"{name} (n={len(values)})", accuracy, operations)
        )
    return by_place


def operations_of(fields: Mapping[str, Any]) -> float | None:
    """Exact synaptic operations per sample.

    Of runs, which do not have the paper's count, the effective operations of :mod:`core.counting`:
    without recurrence they are the same.
    """
    if (exact := fields.get("synaptic_operations_exact")) is not None:
        return float(exact)
    found = (fields.get("counts") or {}).get("synaptic_operations")
    return found["effective_macs"] + found["effective_acs"] if found else None


def figure3(records: Sequence[Record], path: Path) -> Drawn:
    """What is published on SSC, and at its side what was measured here.

    Args:
        records: Of the paper.
        path: PNG to write.
    """
    ours, here = measured_on_ssc(records), trained_here(records)
    width = 6.0 + 4.5 * len(here)
    with figure(path, width=width, height=4.4) as fig:
        panels = fig.subplots(
            1, 1 + len(here), squeeze=False, width_ratios=[6.0, *[4.5] * len(here)]
        )
        _published(panels[0, 0], ours)
        for axes, (place, points) in zip(panels[0, 1:], here.items(), strict=True):
            _measured(axes, place, points)
    missing = [name for name in DIGITISED if name not in ours]
    not_run = (
        f" Not run here, for SSC was not at hand: {', '.join(missing)} "
        "(python partial_figure3_synops.py runs them)."
        if missing
        else ""
    )
    trained = (
        " At the right our own trained networks, means over seeds of the tests at their end, and "
        "exactly counted."
        if here
        else " No training with counted operations is recorded yet."
    )
    return Drawn(
        path,
        "Accuracy and synaptic operations per sample: published values on SSC at 4 ms. S5-RF and "
        "Event-SSM are constants of the authors' script, from other papers; hollow points were "
        "read off the published figure (one network each; 80/79 too many operations, for the "
        f"authors divide the sum of 80 batches by 79).{not_run}{trained}",
    )


def _published(axes: Axes, ours: Mapping[str, Point]) -> None:
    places = range(len(PUBLISHED))
    other = axes.twinx()
    other.grid(visible=False)
    other.spines["right"].set_visible(True)
    for each, color, key in ((axes, _ACCURACY, 1), (other, _OPERATIONS, 2)):
        values = [float(point[key]) for point in PUBLISHED]
        each.plot(places, values, color=color, linewidth=1.2, zorder=2)
        for place, point in zip(places, PUBLISHED, strict=True):
            face = "white" if point.name in DIGITISED else color
            each.plot(place, point[key], "o", color=color, markerfacecolor=face, zorder=3)
            if point.name in ours:
                each.plot(place, ours[point.name][key], "s", color=color, zorder=4)
    for place, point in zip(places, PUBLISHED, strict=True):
        if point.name in DIGITISED and point.name not in ours:
            axes.annotate(
                "here:\nnot run",
                (place, 79.6),
                ha="center",
                va="bottom",
                fontsize=8,
                color="#777777",
            )
    axes.set(ylabel="Accuracy (%)", ylim=(77.0, 87.0), title="SSC, 4 ms bins")
    axes.set_xticks(places, [point.name for point in PUBLISHED], rotation=30)
    axes.yaxis.label.set_color(_ACCURACY)
    other.set_ylabel("Synaptic operations", color=_OPERATIONS)
    other.ticklabel_format(axis="y", style="sci", scilimits=(7, 7))
    markers = {
        "constant of the script": {"marker": "o"},
        "read off the figure": {"marker": "o", "markerfacecolor": "white"},
        "measured here": {"marker": "s"},
    }
    handles = [_marker(label, **looks) for label, looks in markers.items()]
    axes.legend(handles=handles, loc="upper left", fontsize=8)


def _measured(axes: Axes, place: str, points: Sequence[Point]) -> None:
    for point in points:
        axes.plot(point.operations, point.accuracy, "s", label=point.name)
    axes.set(xscale="log", xlabel="Synaptic operations", ylabel="Accuracy (%)", title=place)
    axes.legend(loc="best", fontsize=8)


def _marker(label: str, **looks: Any) -> Line2D:
    return Line2D([], [], color="#555555", linestyle="", label=label, **looks)
