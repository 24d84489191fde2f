"""Perturbed networks: what each study does, and that no draw is made twice."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from brf.config import EcgConfig
from brf.models import RecurrentSNN, build
from brf.perturbations import LEVELS, SHAPE
from brf.robustness import perturbed
from brf.robustness_figure import published
from brf.scoring import read_rows
from core import checkpoints
from core.config import to_dict

from .scripts import call, refusal

QUICK = ("--study", "spike_deletion", "bit_precision", "--repeats", 2, "--threads", 1)


@pytest.fixture
def model() -> RecurrentSNN:
    torch.manual_seed(0)
    return build(EcgConfig(neuron="alif", hidden=6, data="embedded"), 4, 6).eval()


@pytest.fixture
def x_TBI() -> Tensor:
    return (torch.rand(60, 3, 4, generator=torch.Generator().manual_seed(1)) < 0.3).float()


@pytest.mark.parametrize("study", ["input_noise", "spike_deletion", "synaptic_noise"])
@torch.no_grad()
def test_level_0_changes_nothing_and_more_does(
    study: str, model: RecurrentSNN, x_TBI: Tensor
) -> None:
    plain = model(x_TBI)
    for level in (0.0, 0.5):
        torch.manual_seed(3)
        other, change = perturbed(model, study, level)
        found = other(x_TBI if change is None else change(x_TBI))
        assert torch.equal(found.potentials_TBC, plain.potentials_TBC) == (level == 0.0)
    assert torch.equal(model(x_TBI).potentials_TBC, plain.potentials_TBC), "the original is kept"


def test_noise_is_relative_for_weights_and_absolute_for_input(model: RecurrentSNN) -> None:
    wide = build(EcgConfig(hidden=400), 4, 6)
    noisy, _ = perturbed(wide, "synaptic_noise", 0.2)
    ours, theirs = (m.get_parameter("hidden.recurrent_weight") for m in (noisy, wide))
    assert float((ours / theirs - 1).detach().std()) == pytest.approx(0.2, rel=0.02)
    ours, theirs = (m.get_parameter("hidden.neuron.omega") for m in (noisy, wide))
    assert torch.equal(ours, theirs)
    _, add = perturbed(model, "input_noise", 0.3)
    assert add is not None
    assert float((add(torch.ones(300, 300)) - 1).std()) == pytest.approx(0.3, rel=0.02)


@torch.no_grad()
def test_many_places_are_as_good_as_all_and_few_silence_the_readout(
    model: RecurrentSNN, x_TBI: Tensor
) -> None:
    """With 2 places alpha of the readout rounds to 1, and nothing reaches it."""
    plain = model(x_TBI).potentials_TBC
    for bits, close in ((32, True), (2, False)):
        other, change = perturbed(model, "bit_precision", bits)
        assert change is not None
        found = other(change(x_TBI)).potentials_TBC
        assert torch.allclose(found, plain, atol=1e-6) == close
    assert not found.any()


def saved(model: RecurrentSNN, folder: Path) -> Path:
    config = EcgConfig(neuron="alif", hidden=6, data="embedded")
    manifest = {"paper": "brf", "task": "ecg", "model": "alif", "config": to_dict(config)}
    checkpoints.save(folder / "net.safetensors", model, manifest)
    return folder / "net.safetensors"


def test_command_goes_on_where_it_stopped(
    model: RecurrentSNN, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = saved(model, tmp_path), tmp_path / "out"
    options = (*QUICK, "--samples", 20, "--out", out)
    assert call("robustness", path, *options) == 0
    rows = read_rows(out / "net.jsonl", SHAPE)
    assert len(rows) == 1 + 9 * 2 + 6
    assert {row["samples"] for row in rows} == {20}
    assert (out / "net.png").stat().st_size > 1000
    whole = (out / "net.jsonl").read_text().splitlines(keepends=True)
    (out / "net.jsonl").write_text("".join(whole[:7]) + whole[7][:20])
    capsys.readouterr()
    assert call("robustness", path, *options) == 0
    assert (out / "net.jsonl").read_text().splitlines(keepends=True) == whole
    assert capsys.readouterr().out.count("accuracy") == len(whole) - 7
    told = refusal(capsys, "robustness", path, *QUICK, "--samples", 21, "--out", out)
    assert "is of other weights, samples or seed" in told
    assert "at least 1" in refusal(capsys, "robustness", path, *QUICK, "--samples", 0)


def test_published_means_have_a_value_per_level() -> None:
    for study, neurons in published().items():
        assert set(neurons) == {"brf", "rf"}
        for values in neurons.values():
            assert len(values["accuracy"]) == len(values["sop"]) == len(LEVELS[study])
    assert set(published()) == set(LEVELS)


def test_published_means_are_those_of_the_arrays() -> None:
    folder = Path(os.environ.get("SNN_DATA", "/nowhere")) / "published/brf/noise_robustness"
    if not folder.is_dir():
        pytest.skip("needs the published arrays in $SNN_DATA/published/brf/noise_robustness")
    stems = {
        "input_noise": "noise_input_5reps",
        "spike_deletion": "spike_deletion_5reps",
        "synaptic_noise": "noise_weights_5reps",
        "bit_precision": "bit_precision_strict",
    }
    for study, neurons in published().items():
        for neuron, values in neurons.items():
            called = {"brf": "rf", "rf": "vanilla_rf"}[neuron]
            array = np.load(folder / f"smnist_{stems[study]}_{called}.npy")
            means = array.reshape(3, array.shape[1], -1).mean(-1)[:, : len(LEVELS[study])]
            np.testing.assert_allclose(values["accuracy"], means[1], atol=0.006)
            np.testing.assert_allclose(values["sop"], means[2], atol=0.06)
