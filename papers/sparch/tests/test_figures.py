"""Figures from records: of an empty paper, and of tiny networks trained on look-alikes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.config import to_yaml
from core.data.events import EventData, load_events
from core.records import keep_weights, load_claims, load_records, record_run
from core.records.pictures import draw_convergence
from sparch import figures
from sparch.config import PAPER, Config
from sparch.experiment import run
from sparch.paper import SPARCH


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A paper folder of its own, with the claims and nothing recorded."""
    folder = tmp_path / "sparch"
    (folder / "configs").mkdir(parents=True)
    shutil.copy(PAPER / "claims.yaml", folder)
    monkeypatch.setattr("sparch.experiment.SPARCH", replace(SPARCH, folder=folder))
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)
    monkeypatch.setattr(figures, "PAPER", folder)
    monkeypatch.setattr(figures, "FOLDER", folder / "results" / "figures")
    return folder


@pytest.fixture
def saved_axes(monkeypatch: pytest.MonkeyPatch) -> list[list[Axes]]:
    """The axes of every figure saved during the test."""
    seen: list[list[Axes]] = []
    save = Figure.savefig

    def spy(self: Figure, *args: Any, **kwargs: Any) -> None:
        seen.append(list(self.axes))
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return seen


def record(paper: Path, recipe: str, **settings: Any) -> None:
    """Train as ``configs/<recipe>.yaml`` says, record it and keep the weights."""
    config = Config(**{"nb_hiddens": 6, "nb_epochs": 1, "evaluations": 1, "threads": 1, **settings})
    base = paper / "configs" / f"{recipe}.yaml"
    base.write_text(to_yaml(replace(config, data_folder=None)))
    out = paper.parent / f"{recipe}-{config.protocol}-{config.seed}"
    run(replace(config, out=out), base)
    keep_weights(out, paper, record_run(out, paper, trial=True))


def drawn(told: list[str]) -> list[str]:
    return [path.name for path, _ in figures.draw_all(told.append)]


def test_an_empty_paper_says_what_is_missing(paper: Path) -> None:
    told: list[str] = []
    assert drawn(told) == []
    assert "no weights of a spiking network on shd or ssc are kept yet" in told[0]
    assert len(told) == 1


def test_figures_are_drawn_from_records(paper: Path) -> None:
    record(paper, "shd_adlif_128", model_type="adLIF", data="embedded")
    told: list[str] = []
    all_drawn = list(figures.draw_all(told.append))
    assert [path.name for path, _ in all_drawn] == [
        "rates_synthetic-shd_held-out.png",
        "raster_synthetic-shd.png",
        "parameters.png",
    ]
    assert told == []
    for path, caption in all_drawn:
        assert path.parent == paper / "results" / "figures"
        assert path.stat().st_size > 5000
        assert len(caption) > 40


def test_curves_are_parted_by_protocol_and_named(
    paper: Path, tiny_shd: Path, saved_axes: list[list[Axes]]
) -> None:
    folder = str(tiny_shd)
    for seed in (0, 1):
        record(paper, "shd_lif_128", data_folder=folder, seed=seed, protocol="published")
    record(paper, "shd_gru_128", data_folder=folder, model_type="GRU", protocol="published")
    record(paper, "shd_adlif_128", data_folder=folder, model_type="adLIF")
    claims = load_claims(paper / "claims.yaml")
    curves = list(draw_convergence(claims, load_records(paper), paper / "results"))
    assert [path.name for path, _ in curves] == [
        "convergence_shd_shd-unverified_published.png",
        "convergence_shd_shd-unverified_held-out.png",
    ]
    assert "(n = 1 to 2; 1 epochs)" in curves[0].caption
    published = saved_axes[0][0]
    box = published.get_legend()
    assert box is not None
    labels = [text.get_text() for text in box.get_texts()]
    assert labels == [
        *("LIF 3x128 (n = 2)", "GRU 3x128"),
        *("selected epoch of a run", "published value, on SHD itself"),
    ]
    diamonds = [np.asarray(x.get_ydata()) for x in published.lines if x.get_marker() == "D"]
    assert [float(y[0]) for y in diamonds if len(y)] == [87.04, 90.4]
    told: list[str] = []
    assert drawn(told) == ["parameters.png"]
    absent = "shd-unverified is not here, so there are no figures of rates and spikes on it"
    assert told == [absent] * 2


def test_a_changed_recipe_is_no_curve_of_its_own_name(paper: Path, tiny_shd: Path) -> None:
    record(paper, "shd_lif_128", data_folder=str(tiny_shd))
    recipe = paper / "configs" / "shd_lif_128.yaml"
    recipe.write_text(recipe.read_text().replace("lr: 0.01", "lr: 0.02"))
    claims = load_claims(paper / "claims.yaml")
    assert list(draw_convergence(claims, load_records(paper), paper / "results")) == []


# ---- the parts


@pytest.fixture
def recordings(tiny_shd: Path) -> EventData:
    return load_events(tiny_shd / "shd_test.h5")


@pytest.fixture
def untrained(paper: Path, tiny_shd: Path) -> figures.Kept:
    """A network kept before its first training step, whose states start at zero."""
    settings = {"model_type": "RadLIF", "nb_epochs": 0, "init_state": "zeros", "seed": 3}
    record(paper, "shd_radlif_128", data_folder=str(tiny_shd), **settings)
    (kept,) = figures._kept_networks()
    return kept


def test_rates_are_those_of_the_whole_test_set(
    untrained: figures.Kept, recordings: EventData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, binned = untrained.network(), figures._binned(recordings)
    monkeypatch.setattr(figures, "_BATCH", 7)
    rates = figures._rates(model, binned)
    whole = model.run(binned.take(np.arange(binned.samples)))
    assert [len(rate) for rate in rates] == [6, 6]
    np.testing.assert_allclose(np.concatenate(rates), whole.firing_rates.detach(), rtol=1e-5)
    assert np.concatenate(rates).max() > 0


def test_the_running_decision_ends_at_the_output(
    untrained: figures.Kept, recordings: EventData
) -> None:
    model = untrained.network()
    output = model.run(figures._binned(recordings).take([0, 3]))
    potential_TBC = figures._readout_potential(model, output.outputs_TBN[-1])
    torch.testing.assert_close(potential_TBC.softmax(-1).sum(0), output.y)


def test_the_untrained_network_is_drawn_again_from_its_seed(
    untrained: figures.Kept, saved_axes: list[list[Axes]]
) -> None:
    before, after = untrained.network(trained=False), untrained.network()
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(old, new)
    figures.parameters(untrained)
    shown = [axes.get_xlabel() for axes in saved_axes[-1] if axes.get_visible()]
    assert {"alpha", "beta", "a", "b"} <= set(shown)


@pytest.mark.parametrize("data", ["shd", "shd-regenerated", "shd-unverified", "hd"])
def test_nothing_is_fetched_for_a_figure(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNN_DATA", str(tmp_path))
    monkeypatch.setattr(figures, "find_speech", pytest.fail)
    assert figures._test_set("shd", data) is None
