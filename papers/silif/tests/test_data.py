"""The data sets in the layouts in which they are published, and where they are looked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from core.data.batches import RowBatches
from core.data.speech import SpeechData, embedded_folder, load_utterance_split
from core.paper import Task
from silif.config import Config
from silif.task import load_task, shape_of

SPLITS = {"train": 40, "valid": 8, "test": 12}


def write_ssc(folder: Path) -> dict[str, list[np.ndarray[Any, Any]]]:
    """SSC as it is published: times in half precision, units of 16 bits, labels 0 to 34."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    times = {}
    for split, count in SPLITS.items():
        lengths = generator.integers(50, 90, count)
        times[split] = [generator.uniform(0, 1.1, n).astype(np.float16) for n in lengths]
        units = [generator.integers(0, 700, n).astype(np.uint16) for n in lengths]
        with h5py.File(folder / f"ssc_{split}.h5", "w") as file:
            for name, rows, kind in (("times", times[split], "f2"), ("units", units, "u2")):
                data = file.create_dataset(
                    f"spikes/{name}", (count,), dtype=h5py.vlen_dtype(np.dtype(kind))
                )
                for row, values in enumerate(rows):
                    data[row] = values
            file["labels"] = (np.arange(count) % 35).astype(np.uint16)
            file["extra/keys"] = np.array([f"word{n}".encode() for n in range(35)])
    return times


def first(batches: RowBatches) -> torch.Tensor:
    return next(iter(batches.epoch(0)))[0]


def test_ssc(tmp_path: Path) -> None:
    """Steps of 4 ms of five channels each; the official validation set; nothing is cut off."""
    times = write_ssc(tmp_path / "ssc")
    config = Config(
        dataset_name="ssc", nb_steps=300, max_time=1.2, data_folder=tmp_path / "ssc", batch_size=256
    )
    task = load_task(config)
    assert (task.data, task.inputs, task.classes) == ("ssc-unverified", 140, 35)
    assert (task.inputs, task.classes) == shape_of(config)
    sizes = (task.train.samples, task.validation.samples, task.test.samples)
    assert sizes == tuple(SPLITS.values())
    assert not task.test_is_validation
    x_TBI = first(task.test)
    assert x_TBI.shape == (300, 12, 140)
    assert not x_TBI[0].any()
    assert x_TBI.sum((0, 2)).tolist() == [len(row) for row in times["test"]]
    edges = np.linspace(0, 1.2, 300)
    for b, row in enumerate(times["test"]):
        expected = np.bincount(np.digitize(row.astype(np.float64), edges), minlength=300)
        assert x_TBI[:, b].sum(1).tolist() == expected.tolist()
    assert task.remark == ""
    late = load_task(replace(config, nb_steps=100, max_time=1.0))
    lost = sum(int((row >= 1.0).sum()) for split in ("train", "test") for row in times[split])
    assert late.remark == f"{lost} spikes after 1.0 s left out"


def test_where_the_authors_keep_their_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ssc(tmp_path / "data" / "SSC")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNN_DATA", raising=False)
    task: Task = load_task(Config(dataset_name="ssc"))
    assert task.data == "ssc-unverified"
    assert load_task(Config(dataset_name="ssc", data="embedded")).data == "synthetic-ssc"


def test_splits_of_speech_commands_whatever_the_folder_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the authors' code a leading ``./`` puts validation and test into the training set."""
    folder = embedded_folder("sc")
    monkeypatch.chdir(folder.parent)
    found = []
    for place in (folder, Path(folder.name), Path("./") / folder.name):
        data = SpeechData("sc", "sc", place, "")
        splits = {s: load_utterance_split(data, s) for s in ("train", "valid", "test")}
        names = {s: [f"{p.parent.name}/{p.name}" for p in u.paths] for s, u in splits.items()}
        found.append(names)
    assert found[0] == found[1] == found[2]
    everything = [name for names in found[0].values() for name in names]
    assert len(everything) == len(set(everything)) == 805
    assert not any("background" in name for name in everything)


def test_the_penalty_trains_unless_published(capsys: pytest.CaptureFixture[str]) -> None:
    from silif.models import SNN
    from silif.paper import objective_of

    losses = {}
    for protocol in ("published", "held-out"):
        config = Config(use_regularizers=True, protocol=protocol)
        torch.manual_seed(0)
        network = SNN((2, None, 6), [5, 4, 3])
        result = objective_of(config)(network, torch.rand(9, 2, 6), torch.tensor([0, 1]))
        losses[protocol] = (float(result.loss.detach()), float(result.value))
    assert losses["published"][0] == losses["published"][1]
    assert losses["held-out"][0] > losses["held-out"][1]
