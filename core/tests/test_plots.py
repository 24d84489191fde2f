from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from core import plots
from core.plots.style import figure


def metric_rows(values: list[float | None], *, best: int = 0) -> list[dict[str, object]]:
    return [
        {
            "epoch": epoch,
            "train_accuracy": None if epoch == 0 else value,
            "val_accuracy": value,
            "val_loss": 1.0 if epoch == best else 2.0,
            "test_accuracy": value,
            "sop": 10.0 * epoch,
        }
        for epoch, value in enumerate(values)
    ]


@pytest.fixture
def saved_axes(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The axes of every figure saved during the test."""
    seen: list[Axes] = []
    save: Callable[..., None] = Figure.savefig

    def spy(self: Figure, *args: object, **kwargs: object) -> None:
        seen.extend(self.axes)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return seen


def legend(axes: Axes) -> list[str]:
    box = axes.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


def heights(axes: Axes, marker: str) -> list[float]:
    """First value of every line that has this marker and any value."""
    values = [np.asarray(line.get_ydata()) for line in axes.lines if line.get_marker() == marker]
    return [float(value[0]) for value in values if len(value)]


def test_learning_curve_draws_what_the_rows_hold(tmp_path: Path, saved_axes: list[Axes]) -> None:
    rows = metric_rows([20.0, 60.0, 80.0], best=1)
    path = plots.learning_curve(
        rows, tmp_path / "deep" / "curve.png", title="ECG, BRF", published={0: 20.0, 2: 85.0}
    )
    assert imread(path).ndim == 3
    left, right = saved_axes
    assert left.get_title(loc="left") == "ECG, BRF"
    *curves, note = legend(left)
    assert curves == ["test, published", "train", "validation", "test"]
    assert note == "60.00 % at the least validation loss (epoch 1)"
    test = next(line for line in left.lines if line.get_label() == "test")
    np.testing.assert_array_equal(test.get_xydata(), [[0, 20], [1, 60], [2, 80]])
    np.testing.assert_array_equal(right.lines[0].get_xydata(), [[0, 0], [1, 10], [2, 20]])
    assert right.get_ylabel() == "spikes per test sample"


def test_learning_curve_leaves_out_missing_and_infinite_values(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    plots.learning_curve(
        metric_rows([20.0, math.nan, None]), tmp_path / "curve.png", title="diverged"
    )
    left = saved_axes[0]
    assert legend(left)[:2] == ["validation", "test"]
    test = next(line for line in left.lines if line.get_label() == "test")
    np.testing.assert_array_equal(test.get_xydata(), [[0, 20]])


def test_compare_curves_draws_mean_band_and_dot(tmp_path: Path, saved_axes: list[Axes]) -> None:
    runs = [metric_rows([60.0, 90.0, 96.0, 100.0]), metric_rows([60.0, 98.0, 96.0])]
    plots.compare_curves(
        {"BRF": runs, "RF": [metric_rows([10.0, 50.0])]},
        tmp_path / "compare.png",
        published={"BRF": {0: 10.0, 2: 96.0}},
    )
    (axes,) = saved_axes
    assert legend(axes) == ["BRF (n = 2)", "BRF, published", "RF"]
    mean = next(line for line in axes.lines if line.get_label() == "BRF (n = 2)")
    # epoch 3 is missing from the second run, so the mean ends at epoch 2
    np.testing.assert_array_equal(mean.get_xydata(), [[0, 60], [1, 94], [2, 96]])
    band = axes.collections[0].get_paths()[0].vertices
    at_1 = sorted({round(float(y), 6) for x, y in np.asarray(band) if x == 1})
    np.testing.assert_allclose(at_1, [94 - np.std([90, 98], ddof=1), 94 + np.sqrt(32)])
    assert len(axes.collections) == 1, "one run has no band"
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [tuple(np.asarray(dot.get_xydata())[0]) for dot in dots] == [(1, 94), (2, 96), (1, 50)]


def test_a_run_that_ended_early_ends_no_mean(tmp_path: Path, saved_axes: list[Axes]) -> None:
    whole = [metric_rows([10.0, 60.0, 70.0, 80.0, 90.0]) for _ in range(2)]
    died = metric_rows([10.0, 30.0])
    plots.compare_curves({"ALIF": [whole[0], died, whole[1]]}, tmp_path / "compare.png")
    (axes,) = saved_axes
    assert legend(axes) == ["ALIF (n = 2, 1 ended early)"]
    mean = next(line for line in axes.lines if str(line.get_label()).startswith("ALIF"))
    np.testing.assert_array_equal(mean.get_ydata(), [10, 60, 70, 80, 90])
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(cross.get_xydata(), [[1, 30]])


def test_learning_curve_marks_the_epoch_that_was_selected(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    rows = metric_rows([20.0, 80.0, 60.0, 80.0], best=2)
    path = tmp_path / "curve.png"
    plots.learning_curve(rows, path, title="RadLIF", selects="val_accuracy")
    assert legend(saved_axes[0])[-1] == "80.00 % at the best validation accuracy (epoch 1)"


def test_a_network_without_spikes_has_one_panel(tmp_path: Path, saved_axes: list[Axes]) -> None:
    rows = [row | {"sop": None} for row in metric_rows([20.0, 60.0])]
    plots.learning_curve(rows, tmp_path / "curve.png", title="GRU")
    assert len(saved_axes) == 1


def test_compare_curves_marks_published_values_in_view(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    runs = {"LIF": [metric_rows([60.0, 80.0])], "GRU": [metric_rows([60.0, 90.0])]}
    plots.compare_curves(
        runs,
        tmp_path / "compare.png",
        goals={"GRU": 90.4, "LIF": 40.0},
        goals_label="published, on SHD",
        bottom=50.0,
    )
    (axes,) = saved_axes
    assert legend(axes) == ["LIF", "GRU", "published, on SHD"]
    assert heights(axes, "D") == [90.4]
    assert next(line for line in axes.lines if line.get_marker() == "D").get_color() == "C1"
    assert axes.get_ylim() == (50.0, 101.0)


def test_compare_curves_tells_more_labels_apart_than_there_are_colours(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    runs = {f"net {n}": [metric_rows([60.0, 80.0])] for n in range(8)}
    plots.compare_curves(runs, tmp_path / "compare.png")
    curves = [line for line in saved_axes[0].lines if str(line.get_label()).startswith("net")]
    looks = {(line.get_color(), line.get_linestyle()) for line in curves}
    assert len(looks) == 8
    assert curves[0].get_linestyle() == "-"


def test_raster_puts_a_dot_per_spike_and_counts_them(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    counts, spikes = np.zeros((5, 3)), np.zeros((5, 2))
    counts[1, 2], counts[4, 0] = 2, 1
    spikes[3, 1] = 1
    plots.raster(
        {"input": counts, "layer 1": spikes}, tmp_path / "raster.png", title="drei", step_ms=2.0
    )
    first, second = saved_axes
    np.testing.assert_array_equal(first.collections[0].get_offsets(), [[2, 2], [8, 0]])
    np.testing.assert_array_equal(second.collections[0].get_offsets(), [[6, 1]])
    assert [axes.get_title(loc="right") for axes in saved_axes] == ["3 spikes", "1 spikes"]
    assert (first.get_ylabel(), second.get_xlabel()) == ("input", "time (ms)")


def test_raster_names_the_strongest_classes(tmp_path: Path, saved_axes: list[Axes]) -> None:
    posterior = np.full((8, 6), 0.02)
    posterior[:, [5, 1, 3, 0]] = [0.5, 0.2, 0.15, 0.1]
    plots.raster(
        {"input": np.ones((8, 2))},
        tmp_path / "raster.png",
        posterior_TC=posterior,
        classes=["null", "eins", "zwei", "drei", "vier", "f\u00fcnf"],
    )
    _, belief = saved_axes
    assert legend(belief) == ["f\u00fcnf", "eins", "drei", "null"]
    assert len(belief.lines) == 6
    assert belief.get_xlabel() == "time step"


def test_rates_count_silent_and_saturated_neurons(tmp_path: Path, saved_axes: list[Axes]) -> None:
    spread, silent = np.array([0.0, 0.1, 0.6, 1.0]), np.zeros(3)
    plots.cumulative(
        {"LIF": [spread, silent], "GRU-like": [spread]},
        tmp_path / "rates.png",
        xlabel="spikes per neuron and step",
        names=["layer 1", "layer 2"],
    )
    first, second = saved_axes
    assert legend(first) == ["LIF: 1 / 2 of 4", "GRU-like: 1 / 2 of 4"]
    assert legend(second) == ["LIF: 3 / 0 of 3"]
    curve = np.asarray(first.lines[0].get_xydata())
    assert curve[-1].tolist() == [1.0, 1.0]


def test_convergence_draws_differences_selected_epochs_and_published_values(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    curves = {
        "BRF": [metric_rows([60.0, 90.0]), metric_rows([60.0, 92.0])],
        "RF": [metric_rows([50.0, 90.0]), metric_rows([50.0, 90.5])],
    }
    plots.convergence(
        curves,
        tmp_path / "convergence.png",
        published={"BRF": {0: 60.0, 1: 93.0}, "RF": {0: 50.0, 1: 92.0}},
        goals={"RF": 91.0},
        selected={"BRF": [1, 1], "RF": [0, 1]},
    )
    above, below = saved_axes
    assert "selected epoch of a run" in legend(above)
    assert "published value" in legend(above)
    assert heights(above, "D") == [91.0]
    assert below.get_ylabel() == "minus BRF (points)"
    _, ours, published = [np.asarray(line.get_ydata()).tolist() for line in below.lines]
    assert ours == [-10.0, -0.75]
    assert published == [-10.0, -1.0]


def test_convergence_of_one_network_has_no_differences(
    tmp_path: Path, saved_axes: list[Axes]
) -> None:
    plots.convergence({"BRF": [metric_rows([60.0, 90.0])]}, tmp_path / "convergence.png")
    assert len(saved_axes) == 1


def test_the_dot_plot_has_a_dot_per_claim(tmp_path: Path, saved_axes: list[Axes]) -> None:
    near = [plots.Dot("reproduced", 0.0, in_margins=True)] * 20
    lanes = [
        plots.Lane("Table 1", [*near, plots.Dot("lower", -9.0), plots.Dot("higher", 2.0)]),
        plots.Lane("Table 2", [plots.Dot("not run", None)] * 30),
    ]
    plots.dot_plot(lanes, tmp_path / "claims.png", colors={"reproduced": "g", "lower": "r"})
    measured, others = saved_axes
    markers = [line.get_marker() for line in measured.lines]
    assert (markers.count("D"), markers.count("<"), markers.count("o")) == (20, 1, 1)
    assert [line.get_marker() for line in others.lines].count("o") == 30
    assert [label.get_text() for label in measured.get_yticklabels()] == ["Table 1", "Table 2"]
    places = {tuple(np.ravel(x.get_xydata())) for x in measured.lines if x.get_marker() == "D"}
    assert max(abs(aside) for aside, _ in places) <= 0.5
    assert len(places) == 20


def test_before_and_after_share_bins(tmp_path: Path, saved_axes: list[Axes]) -> None:
    before, after = np.array([0.0, 1.0]), np.array([1.0, 1.0, 0.5])
    plots.before_and_after(
        {
            "layer 1": {"a": (before, after), "b": (before, before)},
            "readout": {"a": (after, after)},
        },
        tmp_path / "parameters.png",
        title="adLIF",
    )
    first, second, readout, _ = saved_axes
    assert [axes.get_visible() for axes in saved_axes] == [True, True, True, False]
    untrained = [bar.get_height() for bar in first.containers[0]]
    assert (untrained[0], untrained[-1], sum(untrained)) == (1, 1, 2)
    assert len(untrained) == 24
    assert (readout.get_xlabel(), second.get_xlabel()) == ("a", "b")
    assert legend(first) == ["untrained", "trained"]


def test_an_earlier_picture_stays_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"earlier")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"), figure(path, width=1, height=1):
        pass
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("a.png", b"earlier")
    ]


def test_nothing_is_written_when_drawing_fails(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"

    def draw() -> None:
        with plots.figure(path, width=2, height=2):
            raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        draw()
    assert not path.exists()
