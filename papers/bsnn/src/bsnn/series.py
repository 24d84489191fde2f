"""Which recorded runs belong to one experiment of Figure 4, and to what was tried beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.records.store import Record

EXPERIMENTS = {
    "baseline_multispike": "baseline",
    "baseline_singlespike": "baseline, single spike",
    "lsm": "LSM",
    "cuba_fixed": "CUBA",
    "train_all": "train W and alpha",
}
"""Ending of the configuration's name -> what the experiment is called."""
BASELINE = "baseline"


@dataclass(frozen=True)
class Series:
    """The same experiments under one rule.

    Attributes:
        prefix: Beginning of the configurations' names.
        seeds: Declared: three trials of one command, or ten.
        title: What the rule is.
    """

    prefix: str
    seeds: tuple[int, ...]
    title: str


SERIES = {
    "published": Series("fig4", (0, 1, 3), "protocol published"),
    "intended": Series(
        "intended", (0, 1, 3), "protocol published, gradient of a single spike at the potential"
    ),
    "threshold": Series(
        "threshold", (0, 1, 3), "protocol published, spikes take off their threshold, too"
    ),
    "clean": Series("clean", tuple(range(10)), "protocol clean"),
}
"""By the name that their figure has."""
LAST = 5
"""Epochs of the end that are averaged, as the authors do it."""


@dataclass(frozen=True)
class Experiment:
    """Trials of one configuration, each as values over epochs 1, 2, ...

    Attributes:
        label: What it is called.
        runs: Finished ones of declared seeds, in their order.
        died: Those that failed.
    """

    label: str
    runs: Sequence[Record]
    died: Sequence[Record] = ()

    def values(self, key: str) -> np.ndarray:
        """``[trials, epochs]``, as far as the shortest trial goes; NaN where not measured."""
        rows = [[row for row in run.curve if row["epoch"]] for run in self.runs]
        epochs = min(map(len, rows))
        return np.array([[_number(row.get(key)) for row in trial[:epochs]] for trial in rows])

    def last(self, key: str) -> float:
        """Mean over trials and the last epochs."""
        return float(self.values(key)[:, -LAST:].mean())

    @property
    def best_trial(self) -> Record:
        """The one with the highest validation accuracy."""
        highest = self.values("val_accuracy").max(1)
        return self.runs[int(highest.argmax())]


def experiments_of(records: Sequence[Record], series: Series) -> list[Experiment]:
    """The experiments that have a run; of two runs of a seed, the later one."""
    found = []
    for stem, label in EXPERIMENTS.items():
        config = f"configs/{series.prefix}_{stem}.yaml"
        runs = {
            int(run.fields["seed"]): run
            for run in records
            if run.kind == "train"
            and run.fields["config_file"] == config
            and run.status == "finished"
            and not run.changes
            and run.fields["seed"] in series.seeds
        }
        if runs:
            found.append(Experiment(label, [runs[seed] for seed in sorted(runs)]))
    return found


def tried(records: Sequence[Record]) -> list[Experiment]:
    """Runs of Figure 4's files with other settings or seeds, each set of them as one experiment.

    Its label is ``experiment; key value, ...``, with every setting that differs from the file.

    Args:
        records: All of the paper; of two runs of a seed, the later one counts. Failed ones count.
    """
    files = {
        f"configs/{SERIES[name].prefix}_{stem}.yaml": (f"{label}{told}", SERIES[name].seeds)
        for stem, label in EXPERIMENTS.items()
        for name, told in (("published", ""), ("clean", ", clean"))
    }
    labels = [label for label, _ in files.values()]
    found: dict[tuple[int, str], dict[int, Record]] = {}
    for run in records:
        started = run.kind == "train" and run.fields["config_file"] in files
        if not started or run.status == "partial":
            continue
        label, declared = files[run.fields["config_file"]]
        changed = [f"{key} {run.fields['config'].get(key)}" for key in run.changes]
        if changed or run.fields["seed"] not in declared:
            name = f"{label}; {', '.join(changed) or 'other seeds'}"
            found.setdefault((labels.index(label), name), {})[int(run.fields["seed"])] = run
    experiments = []
    for (_, label), runs in sorted(found.items(), key=lambda item: item[0]):
        ordered = [runs[seed] for seed in sorted(runs)]
        finished, died = (
            [run for run in ordered if run.status == status] for status in ("finished", "failed")
        )
        experiments.append(Experiment(label, finished, died))
    return experiments


def baseline_rate(experiments: Sequence[Experiment]) -> float | None:
    """Spikes per neuron and step of the baseline, if it is among them."""
    return next((e.last("val_batch_rate") for e in experiments if e.label == BASELINE), None)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
