"""What our own runs gave, whatever was published: one row per recipe, data set and protocol.

Claims show a run only where it is the claim's recipe on the claim's data. Everything else that was
recorded on purpose and finished stands here: runs on a stand-in, under another protocol, with other
settings. Three epochs of each run are shown, labelled: the one that validation selects, the last
one, and the one with the best test accuracy, which selects on the test set. A network whose state
starts at random is tested again, several times: what the weights that were kept give then, and how
much the accuracy of one and the same network varies, stands in a column of its own.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from core.records.changes import PROTOCOL
from core.records.grid import grid, mean_and_deviation, rounded
from core.records.measure import validates_on_test
from core.records.store import Record

_ON_TEST = ", on the test set"
_COLUMNS = (
    *("run of", "data", "protocol", "runs", "epochs", "test accuracy, selected (%)"),
    *("last epoch (%)", "best test epoch (%)", "tested again (%)", "spikes per sample"),
    *("spikes per neuron and step", "s per epoch"),
)
_OPTIONAL = ("protocol", "tested again (%)", "spikes per neuron and step")


def summary_markdown(records: Sequence[Record]) -> str:
    """Lay out the finished runs, grouped by configuration, changed settings, data and protocol.

    Mean and standard deviation (n-1) are over runs, which differ in their seed. The selected epoch
    is that of the run's validation; where validation is the test set itself, the cell says so.
    """
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        if record.kind == "train" and record.status == "finished" and record.fields["best"]:
            groups.setdefault(_group(record), []).append(record)
    if not groups:
        return "Nothing has been run yet."
    lines = [_cells(key, runs) for key, runs in groups.items()]
    return grid(_COLUMNS, lines, optional=_OPTIONAL)


def _group(record: Record) -> tuple[str, str, str]:
    """Recipe with what was changed in it, data set, protocol."""
    fields = record.fields
    config: Mapping[str, Any] = fields["config"]
    recipe = f"`{fields['config_file']}`" if fields["config_file"] else str(fields["model"])
    changed = [key for key in record.changes if key not in PROTOCOL]
    settings = [f"{key} {config[key]}" if key in config else key for key in changed]
    return (
        ", ".join([recipe, *settings]),
        str(fields["data"]["name"]),
        str(config.get("protocol", "")),
    )


def _cells(key: tuple[str, str, str], runs: Sequence[Record]) -> dict[str, str]:
    rows = {name: [run.fields[name] for run in runs] for name in ("best", "last", "max_test")}
    accuracy = {
        name: mean_and_deviation([row["test_accuracy"] for row in chosen], 2)
        for name, chosen in rows.items()
    }
    seconds = [s for run in runs if (s := run.fields["seconds_per_epoch"]) is not None]
    epochs = sorted({int(run.fields["epochs_done"]) for run in runs})
    return {
        "run of": key[0],
        "data": key[1],
        "protocol": key[2],
        "runs": str(len(runs)),
        "epochs": " to ".join(str(count) for count in dict.fromkeys([epochs[0], epochs[-1]])),
        "test accuracy, selected (%)": accuracy["best"]
        + (_ON_TEST if all(map(validates_on_test, runs)) else ""),
        "last epoch (%)": accuracy["last"],
        "best test epoch (%)": accuracy["max_test"],
        "tested again (%)": _tested_again(runs),
        "spikes per sample": mean_and_deviation([row["sop"] for row in rows["best"]], 1),
        "spikes per neuron and step": mean_and_deviation(
            [row.get("rate") for row in rows["best"]], 4
        ),
        "s per epoch": rounded(statistics.fmean(seconds), 1) if seconds else "",
    }


def _tested_again(runs: Sequence[Record]) -> str:
    """Mean accuracy of the repeated tests over runs, and the deviation within one run."""
    tests = [run.fields["tests"] for run in runs if run.fields.get("tests")]
    within = [test["accuracy_std"] for test in tests if test["accuracy_std"] is not None]
    if not within:
        return ""
    mean = mean_and_deviation([test["accuracy"] for test in tests], 2)
    return f"{mean}, within a run ± {statistics.fmean(within):.2f}"
