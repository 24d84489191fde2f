"""Dynamics, rasters, convergence and speed: what stands behind the pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from brf import dynamics, figures, landscape, speed
from brf.config import PAPER, EcgConfig, SmnistConfig
from brf.figure5 import figure5
from brf.models import build
from brf.perturbations import LEVELS
from brf.rasters import by_time_scale, side_by_side
from brf.robustness_orders import orders, points_lost
from brf.scoring import Row
from core import checkpoints
from core.config import to_dict
from core.records import Record
from core.records.claims import load_claims

from .scripts import call, refusal

PERIOD = 2 * math.pi / dynamics.OMEGA / dynamics.DT


@pytest.mark.parametrize("kind", dynamics.KINDS)
def test_pulses_in_phase_make_spikes_and_others_none(kind: str) -> None:
    neuron = dynamics.one_neuron(kind)
    u, threshold, spikes, _ = dynamics.membrane(neuron, dynamics.pulses(PERIOD))
    assert spikes.sum() > 0
    assert torch.equal(spikes > 0, u > threshold)
    assert dynamics.membrane(neuron, dynamics.pulses(1.5 * PERIOD))[2].sum() == 0


def test_a_brf_neuron_needs_fewer_spikes() -> None:
    counts = [
        float(dynamics.membrane(dynamics.one_neuron(kind), dynamics.pulses(PERIOD))[2].sum())
        for kind in ("RF", "BRF")
    ]
    assert counts[0] > 10 * counts[1]


def test_a_resonator_answers_its_own_frequency() -> None:
    frequencies_F = np.array([7.0, 10.0, 14.0])
    amplitude_F = dynamics.response(10.0, frequencies_F, seconds=8.0)
    assert amplitude_F.argmax() == 1
    assert amplitude_F[1] > 2 * amplitude_F[2]


def kept(folder: Path, neuron: str) -> Path:
    config = EcgConfig(neuron=neuron, hidden=6, data="embedded")  # type: ignore[arg-type]
    torch.manual_seed(0)
    path = folder / f"{neuron}.safetensors"
    manifest = {"paper": "brf", "task": "ecg", "model": neuron, "config": to_dict(config)}
    checkpoints.save(path, build(config, 4, 6), manifest)
    return path


def test_raster_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kept(tmp_path, "alif")
    monkeypatch.chdir(tmp_path)
    assert call("raster", path, "--sample", 1) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "figure: raster_alif-1.png"
    assert (tmp_path / "raster_alif-1.png").stat().st_size > 5000
    assert "already" in refusal(capsys, "raster", path, "--sample", 1)
    assert "no sample 9999" in refusal(capsys, "raster", path, "--sample", 9999)


def test_networks_side_by_side(tmp_path: Path) -> None:
    files = [kept(tmp_path, "brf"), kept(tmp_path, "alif")]
    drawn = side_by_side(files, tmp_path / "both.png")
    assert "(BRF, ALIF)" in drawn.caption
    assert drawn.path.stat().st_size > 5000


@pytest.mark.parametrize("neuron", ["brf", "rf", "hrf", "alif"])
def test_neurons_stand_by_their_time_scale(neuron: str) -> None:
    config = EcgConfig(neuron=neuron, hidden=9, data="embedded")  # type: ignore[arg-type]
    model = build(config, 4, 6)
    order_H = by_time_scale(model)
    parameter = model.hidden.neuron.get_parameter("tau_mem" if neuron == "alif" else "omega")
    values = parameter.detach().abs()[order_H]
    assert bool((values.diff() <= 0).all() if neuron == "alif" else (values.diff() >= 0).all())
    assert sorted(order_H.tolist()) == list(range(9))


def test_figure5_without_runs_shows_what_was_published(tmp_path: Path) -> None:
    drawn = figure5(load_claims(PAPER / "claims.yaml"), [], tmp_path / "figure5.png")
    assert drawn.path.stat().st_size > 20000


def test_speed_of_a_training_step() -> None:
    config = EcgConfig(hidden=6, data="embedded", batch_size=64, epochs=2)
    found = speed.measure(config, repeats=1)
    assert found.shape == "T=260 B=64 4-6-6"
    assert 0 < found.step < found.loop
    assert found.steps == 2 * math.ceil(config_samples() / 64)
    lines = speed.markdown([found], "a machine").splitlines()
    assert lines[2].startswith("| ecg (T=260 B=64 4-6-6) | 8.5 h | 3.5 h |")


def config_samples() -> int:
    from brf.task import load_task

    return load_task(EcgConfig(data="embedded")).train.samples


def test_recipes_of_the_table() -> None:
    permuted = speed.of_task("psmnist")
    assert isinstance(permuted, SmnistConfig)
    assert permuted.permuted
    assert speed.of_task("shd", regenerated=True).data == "regenerated"


def test_bad_numbers_are_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for flags in (("--repeats", 0), ("--threads", 0)):
        assert call("bench", *flags) == 2
        assert "must be at least 1" in capsys.readouterr().err


def test_recorded_hours() -> None:
    def run(seconds: float, done: int) -> Record:
        fields = {"kind": "train", "config_file": "configs/ecg_brf.yaml", "epochs_planned": 400}
        return Record({**fields, "seconds_per_epoch": seconds, "epochs_done": done})

    assert speed.recorded([], "configs/ecg_brf.yaml") == "not run"
    assert speed.recorded([run(9.0, 40)], "configs/ecg_brf.yaml") == "1 h, from 40 epochs"
    runs = [run(9.0, 400), run(18.0, 400), run(90.0, 400)]
    assert speed.recorded(runs, "configs/ecg_brf.yaml") == "2 h (3 runs)"


def perturbed_rows(lost: float) -> list[Row]:
    """A network that loses so many points at every level but the one that changes nothing."""
    rows = []
    for study, levels in LEVELS.items():
        rest = levels[-1 if study == "bit_precision" else 0]
        for level in levels:
            accuracy = 90.0 if level == rest else 90.0 - lost
            rows += [{"study": study, "level": level, "accuracy": accuracy + d} for d in (-1, 1)]
    return rows


def test_which_neuron_stands_a_perturbation_better() -> None:
    assert points_lost(perturbed_rows(12.0), "spike_deletion") == pytest.approx(12.0)
    few, many = ([perturbed_rows(a + b) for b in (0.0, 1.0, 2.0)] for a in (10.0, 30.0))
    told = orders({"brf": few, "rf": many})
    assert len(told) == len(LEVELS)
    assert all(
        "BRF 11.0 ± 1.0 points lost, RF 31.0 ± 1.0; that BRF loses less: holds" in t for t in told
    )
    assert all("does not hold" in line for line in orders({"brf": many, "rf": few}))
    assert orders({"brf": few[:2], "rf": many}) == []


def test_a_landscape_is_not_drawn_anew_without_the_published_surfaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    monkeypatch.setattr(landscape, "published", dict)
    axis = (-1.0, 0.0, 1.0)
    rows: list[Row] = [
        {"alpha": a, "beta": b, "loss": a * a + b, "points": 3, "bound": 1.0, "samples": 1}
        | {"model": "brf", "task": "smnist"}
        for a in axis
        for b in axis
    ]
    said: list[str] = []
    picture = figures.landscapes({"one": rows}, said.append).path
    assert picture.stat().st_size > 1000
    assert said == []
    picture.write_bytes(b"with surfaces")
    figures.landscapes({"one": rows}, said.append)
    assert picture.read_bytes() == b"with surfaces"
    assert said == [
        "landscape.png stays as it is, for lack of published surfaces (core fetch brf_landscapes)"
    ]


def test_networks_of_ours_and_of_the_authors_are_not_averaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[Row]] = {}
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    monkeypatch.setattr(figures, "draw", lambda measured, path: drawn.update(measured) or path)
    row = {"model": "brf", "samples": 5, "study": "input_noise", "level": 0.0, "accuracy": 1.0}
    networks = {"orig_smnist_brf": [row], "smnist_brf-seed0": [row], "smnist_brf-seed1": [row]}
    figures.robustness("smnist", networks)
    assert {label: len(rows) for label, rows in drawn.items()} == {
        "brf (authors')": 1,
        "brf (ours, 2 networks)": 2,
    }
