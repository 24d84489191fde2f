"""Figure 4 from records: accuracy, firing rate and balance over epochs, and its tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from bsnn.colours import BLUE, GREEN, RED, VIOLET, YELLOW
from bsnn.config import PAPER
from bsnn.series import (
    BASELINE,
    EXPERIMENTS,
    LAST,
    SERIES,
    Experiment,
    baseline_rate,
    experiments_of,
    tried,
)
from core.files import write_text_atomically
from core.plots import figure
from core.plots.curves import epoch_axis
from core.records import load_records
from core.records.grid import counted_runs, grid, rounded
from core.records.pictures import Drawn
from core.records.readme import update_between_markers

FOLDER = PAPER / "results" / "figures"
PAGE = PAPER / "results" / "figure4.md"
PUBLISHED_ACCURACY = 97.6


def draw_all(tell: Callable[[str], None]) -> Iterator[Drawn]:
    """Draw Figure 4 for every series, and write its tables.

    Args:
        tell: Is told what could not be drawn, and why.

    Raises:
        UserError: Records are damaged.
    """
    records = load_records(PAPER)
    tables: dict[str, str] = {}
    baseline = baseline_rate(experiments_of(records, SERIES["published"]))
    for name, series in SERIES.items():
        experiments = experiments_of(records, series)
        if not experiments:
            tell(f"no run of configs/{series.prefix}_*.yaml is recorded, so there is no figure")
            continue
        tables[name] = table(experiments, baseline_rate(experiments) or baseline)
        path = draw(experiments, FOLDER / f"figure4_{name}.png", title=series.title)
        yield Drawn(path, _caption(experiments, series.title))
    beside = tried(records)
    write_page(tables, table_of_tried(beside, baseline) if beside else "")


def draw(experiments: Sequence[Experiment], path: Path, *, title: str) -> Path:
    """Three panels over epochs, one above the other: mean and standard deviation over trials."""
    panels = {
        "val_accuracy": "validation accuracy (%)",
        "val_batch_rate": "spikes per neuron and step",
        "val_balance_lowpass": "balance (low-pass)",
    }
    with figure(path, width=7.5, height=9) as fig:
        axes = fig.subplots(3, sharex=True)
        for axis, (key, name) in zip(axes, panels.items(), strict=True):
            for experiment in experiments:
                color = _COLORS[experiment.label]
                _band(axis, experiment.values(key), experiment.label, color)
            axis.set_ylabel(name)
        axes[0].axhline(PUBLISHED_ACCURACY, color="black", linewidth=0.8, linestyle="--")
        axes[0].annotate("97.6 % published", (1, PUBLISHED_ACCURACY), fontsize=8, va="bottom")
        axes[0].set_title(f"cue accumulation, {title}")
        axes[1].set_yscale("log")
        axes[2].legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize=9)
        axes[2].set_xlabel("epoch")
        epoch_axis(axes[2])
    return path


_COLORS = dict(zip(EXPERIMENTS.values(), (BLUE, GREEN, VIOLET, YELLOW, RED), strict=True))


def _band(axis: Axes, values: np.ndarray, label: str, color: str) -> None:
    epochs = np.arange(1, values.shape[1] + 1)
    mean, spread = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else 0.0
    axis.plot(epochs, mean, color=color, label=label)
    lower = np.maximum(mean - spread, mean.min() * 0.1) if mean.min() > 0 else mean - spread
    axis.fill_between(epochs, lower, mean + spread, color=color, alpha=0.2, linewidth=0)


def table(experiments: Sequence[Experiment], baseline: float | None) -> str:
    """What the authors print of such a figure, and how much less each network spikes."""
    rows = [_row(experiment, baseline) for experiment in experiments]
    return grid(tuple(rows[0]), rows)


def table_of_tried(experiments: Sequence[Experiment], baseline: float | None) -> str:
    """The same with every trial named by its seed, those that died with their last epoch."""
    rows = []
    for experiment in experiments:
        trials = [str(run.fields["seed"]) for run in experiment.runs]
        trials += [
            f"{run.fields['seed']} (died after epoch {run.fields['epochs_done']})"
            for run in experiment.died
        ]
        row = _row(experiment, baseline) if experiment.runs else {"experiment": experiment.label}
        rows.append({**row, "trials": ", ".join(trials)})
    return grid(next((tuple(row) for row in rows if len(row) > 2), tuple(rows[0])), rows)


def _beside(rate: float, baseline: float | None) -> str:
    if not baseline:
        return ""
    if rate <= baseline:
        return f"{100 * (1 - rate / baseline):.1f} % fewer"
    return f"{rate / baseline:.1f} times as many"


def _row(experiment: Experiment, baseline: float | None) -> Mapping[str, str]:
    accuracy = experiment.values("val_accuracy")
    rate = experiment.last("val_batch_rate")
    tests = experiment.best_trial.fields.get("tests") or {}
    return {
        "experiment": experiment.label,
        "trials": str(len(experiment.runs)),
        "best (%)": rounded(float(accuracy.max()), 2),
        "trial mean (%)": rounded(float(accuracy.mean(0).max()), 2),
        f"last {LAST} epochs (%)": _spread(accuracy[:, -LAST:].mean(1)),
        "test of the best trial (%)": rounded(tests.get("accuracy"), 2),
        "spikes per neuron and step": f"{rate:.3g}",
        "beside the baseline": "" if experiment.label == BASELINE else _beside(rate, baseline),
        "balance": rounded(experiment.last("val_balance_lowpass"), 3),
    }


def _spread(values: np.ndarray) -> str:
    if len(values) < 2:
        return rounded(float(values.mean()), 2)
    return f"{values.mean():.2f} ± {statistics.stdev(values.tolist()):.2f}"


def write_page(tables: Mapping[str, str], tried: str) -> None:
    """Write ``results/figure4.md``, with what was tried beside it, and the block of the README."""
    shown = tables.get("published", "Nothing has been run yet.")
    update_between_markers(PAPER / "README.md", "figure 4", shown)
    parts = [
        "# Figure 4: [bsnn](../README.md)",
        f"Written by `core figures bsnn`. Published: {PUBLISHED_ACCURACY:.2f} %, the best of the "
        "paper's networks (the abstract does not say which), and up to 99.9 % fewer spikes than "
        "unbalanced networks. Best: over trials and epochs; trial mean: the highest mean over "
        f"trials; the last columns are means over trials and the last {LAST} epochs. Accuracies by "
        "the published protocol are means over batches, on the samples that select the epoch.",
    ]
    for name, text in tables.items():
        title = SERIES[name].title
        heading = title[0].upper() + title[1:]
        parts += [f"## {heading}", text, f"![Figure 4](figures/figure4_{name}.png)"]
    if tried:
        said = (
            "Runs of Figure 4's files with other settings or seeds: what was tried towards the "
            "published accuracy, every run that was made. Trials are named by seeds; the other "
            "columns are of those that finished. Published protocol where nothing else is said; "
            "all rates stand beside its baseline."
        )
        parts += ["## What was tried", said, tried]
    write_text_atomically(PAGE, "\n\n".join(parts) + "\n")


def _caption(experiments: Sequence[Experiment], title: str) -> str:
    least, most = (f(len(e.runs) for e in experiments) for f in (min, max))
    trials = counted_runs(most) if least == most else f"{least} to {counted_runs(most)}"
    return (
        f"Figure 4, {title}: validation accuracy, firing rate and low-pass "
        f"balance of the experiments over epochs, mean and standard deviation of {trials}"
    )
