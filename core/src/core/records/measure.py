"""What is measured in a record, and which of our runs are one group.

A run belongs to a group when it is of the group's configuration, unchanged but for the seed, on the
group's data, and of a seed that ``claims.yaml`` declared. Every such run counts once it has ended,
well or not.

What is measured, at the epoch that is selected (``min_validation_loss``,
``max_validation_accuracy``, ``last`` or ``max_test``; epoch 0 is the untrained network):

- ``test_accuracy`` (%), ``test_loss``, ``sop`` (spikes per test sample), ``sop_per_step``
  (``sop`` divided by all time steps of a sample), ``test_balance_lowpass`` (how tightly
  excitation and inhibition cancel, where that is measured), ``parameters``;
- ``synaptic_operations``, which only an evaluation tells, and only where its paper counts them;
- ``epochs_to_95/98/100``: the first epoch whose test accuracy is at least that percentage of the
  test accuracy at the epoch of least validation loss;
- ``hours``: seconds per epoch times epochs done.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.records.endings import ending
from core.records.grid import counted_runs
from core.records.runs import selected
from core.records.store import Record
from core.training.selection import Selects

_SELECTS: dict[str, Selects] = {
    "min_validation_loss": "val_loss",
    "max_validation_accuracy": "val_accuracy",
}


@dataclass(frozen=True)
class Quantity:
    """A number that every run of a group has.

    Attributes:
        metric: One of :data:`core.records.claims.METRICS`.
        selection: One of :data:`core.records.claims.SELECTIONS`; None where no epoch is selected.
        steps: Time steps per sample; None where they differ.
        chance: See :class:`core.records.claims.Task`.
    """

    metric: str
    selection: str | None
    steps: int | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Group:
    """Our runs of one configuration.

    Attributes:
        ended: The runs that are over, one per seed.
        values: What was measured in those that hold it.
        died: Each run that died, and how ("seed 0 silent from epoch 38").
        notes: What else there is to know about single runs.
        selected_on_test: The epoch was chosen by the test set.
    """

    ended: Sequence[Record]
    values: Sequence[float]
    died: Sequence[str]
    notes: Sequence[str]
    selected_on_test: bool

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Standard deviation (n - 1) over the runs; None for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def runs_of(
    config: str, data: str | None, seeds: Sequence[int], records: Sequence[Record]
) -> list[Record]:
    """The runs of a configuration on a data set, changed in nothing, of declared seeds."""
    return [
        record
        for record in records
        if is_run_of(config, data, record)
        and not record.changes
        and record.fields.get("seed") in seeds
    ]


def is_run_of(config: str, data: str | None, record: Record) -> bool:
    """Whether this is a run of the configuration on the data set, perhaps with changed settings."""
    fields = record.fields
    return (
        record.kind == "train"
        and fields["config_file"] == config
        and fields["data"]["name"] == data
    )


def group(runs: Sequence[Record], quantity: Quantity, *, may_die: bool = False) -> Group:
    """Measure a group of runs.

    Args:
        runs: What :func:`runs_of` gives.
        quantity: What to measure.
        may_die: The published runs died, too, so that nothing is said of ours.
    """
    ended: dict[int, Record] = {}
    # Of two runs of a seed the later one counts, and no run that is superseded before another.
    for run in sorted(runs, key=lambda run: run.superseded is None):
        if run.status in ("finished", "failed"):
            ended[int(run.fields["seed"])] = run
    over = [ended[seed] for seed in sorted(ended)]
    known = [(run, measure(run, quantity)) for run in over]
    died: list[str] = []
    notes: list[str] = []
    for run in over:
        how = None if may_die else ending(run.curve, quantity.chance)
        if run.status == "failed" and not may_die:
            died.append(f"seed {run.fields['seed']} failed at epoch {run.fields['epochs_done']}")
        elif how is not None:
            (died if how.died else notes).append(f"seed {run.fields['seed']} {how}")
    for reason, count in Counter(run.superseded for run in over if run.superseded).items():
        notes.append(f"{count} of {counted_runs(len(over))} superseded: {reason}")
    return Group(
        ended=over,
        values=[value for _, value in known if value is not None],
        died=died,
        notes=notes,
        selected_on_test=_selected_on_test(quantity, over),
    )


def measure(record: Record, quantity: Quantity) -> float | None:
    """The quantity in a record; None where the record does not hold it."""
    fields, metric = record.fields, quantity.metric
    if metric == "parameters":
        return _number(fields.get("parameters"))
    if metric == "hours":
        seconds = _number(fields["seconds_per_epoch"])
        return None if seconds is None else seconds * fields["epochs_done"] / 3600
    if metric.startswith("epochs_to_"):
        return _epochs_to(int(metric.removeprefix("epochs_to_")) / 100, record)
    if record.kind == "evaluate":
        row = {"test_accuracy": fields["accuracy"], "test_loss": fields["loss"], **fields}
    else:
        row = dict(_selected(str(quantity.selection), record) or {})
    if metric == "sop_per_step":
        sop = _number(row.get("sop"))
        return None if sop is None or not quantity.steps else sop / quantity.steps
    return _number(row.get(metric))


def validates_on_test(run: Record) -> bool:
    """Whether validation and test gave the same numbers in every epoch."""
    return bool(run.curve) and all(
        row["val_accuracy"] == row["test_accuracy"] and row["val_loss"] == row["test_loss"]
        for row in run.curve
    )


def _selected_on_test(quantity: Quantity, runs: Sequence[Record]) -> bool:
    if quantity.selection == "max_test":
        return True
    by_validation = quantity.selection in _SELECTS or quantity.metric.startswith("epochs_to_")
    return by_validation and any(map(validates_on_test, runs))


def _selected(selection: str, record: Record) -> Mapping[str, Any] | None:
    """The metrics of the epoch that is selected, whatever the run itself selected."""
    if selection not in _SELECTS:
        row: Mapping[str, Any] | None = record.fields[selection]
        return row
    if record.fields.get("selects", "val_loss") == _SELECTS[selection]:
        best: Mapping[str, Any] | None = record.fields["best"]
        return best
    return selected(record.curve, _SELECTS[selection])


def _epochs_to(share: float, record: Record) -> float | None:
    best = record.fields["best"]
    if not best or best["test_accuracy"] is None:
        return None
    goal = share * best["test_accuracy"]
    # The curve keeps seven digits; 1e-4 of a percent point is far below one test sample.
    reached = (
        row["epoch"]
        for row in record.curve
        if row["test_accuracy"] is not None and row["test_accuracy"] >= goal - 1e-4
    )
    return next(reached, None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
