"""Where the spikes are: counted against the arrays themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from brf.config import EcgConfig, SmnistConfig
from brf.inspection import SpikeCount
from brf.models import Output, build
from core import checkpoints
from core.config import to_dict

from .scripts import call, refusal


def output(spikes_TBH: torch.Tensor, classes: int) -> Output:
    return Output(torch.zeros(*spikes_TBH.shape[:2], classes), spikes_TBH, (None, None))


def test_spikes_belong_to_sample_class_neuron_and_step() -> None:
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(7, 5, 3, generator=generator) < 0.4).float()
    labels = torch.tensor([0, 1, 1, 3, 0])
    count = SpikeCount()
    count.add(output(spikes[:, :2], 4), labels[:2])
    count.add(output(spikes[:, 2:], 4), labels[2:])
    assert torch.equal(count.by_sample, spikes.double().sum((0, 2)))
    assert torch.equal(count.by_neuron, spikes.double().sum((0, 1)))
    for label in range(4):
        of_class = spikes[:, labels == label].double()
        assert torch.equal(count.spikes_TC[:, label], of_class.sum((1, 2)))
    assert count.places_TC[0].tolist() == [2, 2, 0, 1]
    assert count.facts()["spikes_per_step_by_class"][2] is None
    assert count.facts()["sop_per_step"] == pytest.approx(float(spikes.sum()) / 35)
    assert count.facts()["firing_rate"] == pytest.approx(float(spikes.mean()))


def test_a_label_of_a_step_holds_for_that_step() -> None:
    spikes = torch.ones(3, 2, 4)
    count = SpikeCount()
    count.add(output(spikes, 2), torch.tensor([[0, 1], [1, 1], [0, 0]]))
    assert count.places_TC.tolist() == [[1, 1], [0, 2], [2, 0]]
    assert count.spikes_TC.tolist() == [[4, 4], [0, 8], [8, 0]]


@pytest.mark.parametrize("task", ["ecg", "smnist"])
def test_command(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It scores as evaluate.py does, and the figure is not overwritten."""
    config: EcgConfig | SmnistConfig
    if task == "ecg":
        config, inputs, classes = EcgConfig(neuron="alif", hidden=6, data="embedded"), 4, 6
    else:
        config, inputs, classes = SmnistConfig(neuron="alif", hidden=6, data="embedded"), 1, 10
    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    manifest = {"paper": "brf", "task": task, "model": config.neuron, "config": to_dict(config)}
    checkpoints.save(path, build(config, inputs, classes), manifest)
    monkeypatch.chdir(tmp_path)
    assert call("inspect_sop", path, "--json") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-2] == "figure: sop_mine.png"
    assert (tmp_path / "sop_mine.png").stat().st_size > 1000
    result = json.loads(told[-1])
    steps = 260 if task == "ecg" else 64
    assert result["sop"] == pytest.approx(result["sop_per_step"] * steps)
    assert result["sop"] > 0
    assert "already" in refusal(capsys, "inspect_sop", path)
