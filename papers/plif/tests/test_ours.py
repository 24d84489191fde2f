"""Our runs in tables and figures, with made-up records of all small networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config import load_yaml, to_dict
from core.records import Record, load_orders, order_table
from plif import figures, ours, redrawn
from plif.config import PAPER, Config
from plif.ours import Kept, accuracy_table, recorded
from plif.paper import network
from plif.sets import empty_task

STEMS = sorted(path.stem for path in (PAPER / "configs").glob("small_*.yaml"))
LEVEL = {"lif": 80.0, "plif": 90.0, "neuron": 90.5, "reg": 85.0}
LOSSES = {"train_loss": 0.1, "val_loss": 0.1, "test_loss": 0.1}
DATA = {"mnist": "mnist", "fashion": "fashion_mnist", "nmnist": "nmnist-subset"}


def record(stem: str, seed: int, level: float) -> Record:
    """A finished run of three epochs."""
    rows: list[dict[str, Any]] = [
        {"epoch": epoch, "val_accuracy": value, "test_accuracy": value, "sop": 9.0, **LOSSES}
        for epoch, value in enumerate((10.0, level - 5, level - 1, level))
    ]
    fields = {
        **{"id": f"{stem}-seed{seed}", "kind": "train", "paper": "plif", "status": "finished"},
        **{"config_file": f"configs/{stem}.yaml", "seed": seed, "selects": "val_accuracy"},
        **{"data": {"name": DATA[stem.split("_")[1]], "digest": "sha256:0"}},
        **{"task": load_yaml(Config, PAPER / "configs" / f"{stem}.yaml").task},
        **{"epochs_planned": 3, "epochs_done": 3, "best": rows[-1], "last": rows[-1]},
        **{"max_test": rows[-1], "config": to_dict(Config())},
    }
    return Record(fields, rows)


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Five runs of each small network; a tau of 16 takes off ten points."""
    made = []
    for stem in STEMS:
        level = LEVEL[stem.removesuffix("_tau16").split("_")[-1]] - 10 * stem.endswith("_tau16")
        spread = (-0.6, -0.2, 0.1, 0.2, 0.5)
        made += [record(stem, seed, level + shift) for seed, shift in enumerate(spread)]
    monkeypatch.setattr(ours, "load_records", lambda paper: made)
    return made


def test_the_table_of_the_readme(records: list[Record]) -> None:
    lines = [line.split(" | ") for line in accuracy_table(recorded()).splitlines()[2:]]
    assert [line[0].strip("| ") for line in lines] == list(ours._SETS)
    for line in lines[:3]:
        assert [cell.split()[0] for cell in line[1:]] == ["80.00", "90.00", "90.50", "85.00"]
        assert all(cell.removesuffix(" |").endswith("± 0.42 (5 runs)") for cell in line[1:])
    assert [cell.split()[0] for cell in lines[3][1:]] == ["70.00", "80.00", "80.50", "75.00"]
    unfinished = [replace(r, fields={**r.fields, "status": "partial"}) for r in records]
    records[:] = unfinished[:3]
    assert accuracy_table(recorded()).count("not run") == 16
    records[:] = [replace(r, changes=["T"]) for r in unfinished]
    assert recorded() == []


def test_verdicts_on_every_question(records: list[Record]) -> None:
    rows = order_table(load_orders(PAPER / "claims.yaml"), records)
    verdicts = {row.claim.id.removeprefix("order-"): row.verdict for row in rows}
    assert {key: value for key, value in verdicts.items() if "plif-lif" in key} == {
        **{"mnist-plif-lif": "holds", "fashion-plif-lif": "holds", "nmnist-plif-lif": "holds"},
        "fashion-plif-lif-tau16": "holds",
    }
    assert verdicts["fashion-lif-tau"] == "does not hold"
    places = ("mnist", "fashion", "nmnist")
    neuron = [*[f"{name}-neuron-layer" for name in places], "fashion-neuron-layer-tau16"]
    assert [verdicts[key] for key in neuron] == ["undecided"] * 4
    penalty = [*[f"{name}-regulariser" for name in places], "fashion-regulariser-tau16"]
    assert [verdicts[key] for key in penalty] == ["does not hold"] * 4
    assert len(rows) == 13
    asked = {path for row in rows for path in (row.claim.lower, row.claim.higher)}
    assert asked == {f"configs/{stem}.yaml" for stem in STEMS}


def weights_of(stem: str) -> Kept:
    config = load_yaml(Config, PAPER / "configs" / f"{stem}.yaml")
    model = network(config, empty_task(config.dataset_name))
    return Kept(stem, f"{stem}-seed0", 3, config, model.state_dict())


@pytest.mark.parametrize("runs", [True, False])
def test_figures_with_runs_and_without(
    runs: bool, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not redrawn.published_folder().is_dir():
        pytest.skip("the published logs are not here")
    if not runs:
        records.clear()
    stems = ("small_fashion_plif", "small_mnist_plif_neuron_reg", "small_nmnist_plif_neuron")
    weights = [weights_of(stem) for stem in stems] if runs else []
    for module in (figures, redrawn):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(figures, "kept", lambda: weights)
    written: dict[str, str] = {}
    monkeypatch.setattr(
        figures, "update_between_markers", lambda page, block, text: written.update({block: text})
    )
    told: list[str] = []
    drawn = {one.path.name: one.caption for one in figures.draw_all(told.append)}
    assert all((tmp_path / name).stat().st_size > 5000 for name in drawn)
    assert written[ours.BLOCK].count("(5 runs)") == 16 * runs
    logs = ["published_accuracy.png", "published_tau.png", "published_thesis.png"]
    assert list(drawn)[:3] == logs
    if not runs:
        assert list(drawn) == logs
        assert "no weights" in told[0]
        assert "no runs of ours yet" in drawn[logs[0]]
        return
    assert "5 runs each" in drawn[logs[0]]
    assert "Circles" in drawn[logs[1]]
    taus = [name for name in drawn if name.startswith("tau_")]
    assert taus == [f"tau_{stem}-seed0.png" for stem in stems[1:]]


def test_means_are_over_the_epochs_that_all_runs_have(records: list[Record]) -> None:
    first = records[0]
    records[:] = [first, replace(first, curve=first.curve[:3])]
    (group,) = recorded()
    assert group.accuracy.shape == (2, 2)
    assert group.epochs.tolist() == [1, 2]
    np.testing.assert_array_equal(group.accuracy[0], group.accuracy[1])
