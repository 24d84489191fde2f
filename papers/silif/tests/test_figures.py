"""The paper's figures: their numbers against the authors', and what is said where data lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.neurons import CAdLIF, CSiLIF, Neuron, SiLIF, SoftResetRF
from core.records import Record
from silif import figures, synops
from silif.eigenvalues import (
    PUBLISHED,
    Eigenvalues,
    Which,
    eigenvalues,
    growing,
    oscillating,
    published_weights,
    summary,
)
from silif.synops import figure3, measured_on_ssc, trained_here

from .arrays import golden, need

COUNTS = {
    ("CadLIF", "figure"): [(28, 248), (110, 219)],
    ("CadLIF", "step"): [(303, 0), (377, 0)],
    ("CSiLIF", "figure"): [(512, 0), (512, 0)],
    ("CSiLIF", "step"): [(512, 0), (512, 0)],
    ("SiLIF", "figure"): [(44, 0), (3, 0)],
    ("SiLIF", "step"): [(239, 0), (314, 0)],
    ("ResonateFire", "figure"): [(512, 0), (512, 0)],
    ("ResonateFire", "step"): [(512, 62), (512, 33)],
}
"""Neurons of both layers that oscillate, and that grow."""
KINDS: dict[str, type[Neuron]] = {
    "CadLIF": CAdLIF,
    "CSiLIF": CSiLIF,
    "SiLIF": SiLIF,
    "ResonateFire": SoftResetRF,
}


def in_order(values: Eigenvalues) -> Eigenvalues:
    """Each pair by its imaginary, then its real part."""
    return np.array([sorted(pair, key=lambda z: (z.imag, z.real)) for pair in values])


@pytest.mark.parametrize(("model", "which"), COUNTS)
def test_eigenvalues_are_the_authors(model: str, which: Which) -> None:
    need("silif_published")
    weights, arrays = published_weights(model), golden("figure2_eigenvalues")
    prefix = "" if which == "figure" else "true_step/"
    for layer in (0, 1):
        ours = eigenvalues(model, weights, layer, which)
        theirs = arrays[f"{prefix}{model}/layer{layer}"].numpy()
        assert ours.shape == (512, 2)
        assert np.abs(in_order(ours) - in_order(theirs)).max() < 1e-6
        assert (oscillating(ours), growing(ours)) == COUNTS[model, which][layer]
        assert f"{oscillating(ours)} of 512" in summary(ours)


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_step_is_what_the_neuron_does(model: str) -> None:
    """The eigenvalues are those of the derivative of a step by the state, at rest."""
    torch.manual_seed(3)
    neuron = KINDS[model](6).double()
    for parameter in neuron.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # also out of the intervals
    weights = {f"snn.0.{name}": tensor.detach() for name, tensor in neuron.state_dict().items()}
    found = eigenvalues(model, weights, 0, "step")
    for n in range(6):

        def step(state_2: torch.Tensor, n: int = n) -> torch.Tensor:
            fields = neuron.State._fields
            state = {"spike": torch.zeros(1, 6).double()}
            for place, field in enumerate(fields[1:]):
                state[field] = torch.zeros(1, 6).double().index_fill(1, torch.tensor(n), 1.0)
                state[field] = state[field] * state_2[place]
            after, _ = neuron.step(
                neuron.coefficients(), neuron.State(**state), torch.zeros(1, 6).double()
            )
            return torch.stack([getattr(after, field)[0, n] for field in fields[1:]])

        matrix = torch.autograd.functional.jacobian(step, torch.zeros(2).double())
        expected = torch.linalg.eigvals(matrix).numpy()
        np.testing.assert_allclose(in_order(found[n : n + 1])[0], in_order(expected[None])[0])


def record(kind: str, **fields: Any) -> Record:
    operations = {"effective_macs": 1e5, "effective_acs": 2e5}
    counts = {"synaptic_operations": operations}
    return Record({"id": "x", "kind": kind, "status": "finished", "counts": counts, **fields})


def test_operations_are_drawn_from_records(tmp_path: Path) -> None:
    trained: dict[str, Any] = {
        "model": "SiLIF",
        "data": {"name": "shd-regenerated"},
        "config": {"nb_hiddens": 128, "protocol": "published"},
    }
    records = [
        record("train", **trained, tests={"accuracy": 90.0}),
        record("train", **trained, tests={"accuracy": 92.0}),
        record("train", **{**trained, "counts": None}, tests={"accuracy": 50.0}),
        record("train", **trained, superseded="other numbers", tests={"accuracy": 50.0}),
        record("evaluate", model="CadLIF", data={"name": "ssc"}, accuracy=81.0),
        record("evaluate", model="SiLIF", data={"name": "synthetic-ssc"}, accuracy=3.0),
    ]
    here = trained_here(records)
    assert here == {"shd-regenerated, published": [("SiLIF 128 (n=2)", 91.0, 3e5)]}
    assert measured_on_ssc(records) == {"cAdLIF": ("cAdLIF", 81.0, 3e5)}
    path, caption = figure3(records, tmp_path / "3.png")
    assert path.stat().st_size > 10_000
    assert "Not run here, for SSC was not at hand: C-SiLIF, SiLIF (" in caption
    _, caption = figure3([], tmp_path / "empty.png")
    assert "cAdLIF, C-SiLIF, SiLIF" in caption
    assert "No training" in caption


def test_published_networks_are_scored_where_ssc_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("silif_published")
    asked: list[Any] = []
    monkeypatch.setattr(synops, "evaluate_file", asked.append)
    synops.evaluate_published(tmp_path)
    assert [options.checkpoint.parts[-3] for options in asked] == [
        "ref_SSC_CadLIF",
        "ref_SSC_CSiLIF",
        "ref_SSC_SiLIF",
    ]
    for options in asked:
        assert options.record
        assert options.data_folder == tmp_path
        assert options.seeds == (13, 42, 73, 128, 268)


def test_missing_weights_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNN_DATA", str(tmp_path))
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    told: list[str] = []
    names = [path.name for path, _ in figures.draw_all(told.append)]
    assert names == ["figure3_synops.png"]
    assert "core fetch silif_published" in told[0]


def test_eigenvalues_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("silif_published")
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    path, caption = figures.figure2()
    assert path.stat().st_size > 50_000
    assert "first hidden layer" in caption
