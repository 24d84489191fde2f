"""Whole networks beside the same ones of SpikingJelly's modules, and the benchmark's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from plif import bench
from plif.config import PAPER, Config
from plif.models import build
from plif.objectives import vote_loss
from plif.peer import Peer
from plif.sets import ImageTask, empty_task


def small_task(dataset: str) -> ImageTask:
    task = empty_task(dataset)
    return ImageTask(**{**vars(task), "shape": (task.shape[0], 16, 16)})


@pytest.mark.parametrize(("statistics", "mode"), [("step", "s"), ("sequence", "m")])
@pytest.mark.parametrize(
    "kind",
    [
        {"dataset_name": "DVS128Gesture", "number_layer": 2, "use_plif": True},
        {"dataset_name": "NMNIST", "number_layer": 1, "use_max_pool": True},
        {"dataset_name": "MNIST", "use_plif": True, "tau_per_neuron": True, "use_max_pool": True},
        {"dataset_name": "CIFAR10", "use_plif": True},
    ],
    ids=lambda kind: kind["dataset_name"],
)
def test_same_as_spikingjellys_network(
    kind: dict[str, Any], statistics: Literal["step", "sequence"], mode: Literal["s", "m"]
) -> None:
    task = small_task(kind["dataset_name"])
    torch.manual_seed(0)
    config = Config(
        **kind, batch_norm=statistics, dropout=0.0, detach_reset=True, channels=4, hidden=20, T=4
    )
    net = build(config, task).double()
    for parameter in net.parameters():
        parameter.data.mul_(20.0 if parameter.dim() == 2 else 1.0)  # so that every layer spikes
    frames = 1 if config.is_static else 4
    x = 2.0 * torch.rand(frames, 3, *task.shape, dtype=torch.float64)
    targets = torch.tensor([1, 0, 2])
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    found = []
    for model in (net, Peer(net, mode)):
        for name, value in net.named_buffers():
            value.copy_(buffers[name])
        output = model(x)
        counts = output if isinstance(output, torch.Tensor) else output.y
        loss = vote_loss(counts, targets, 4)
        net.zero_grad()
        loss.backward()
        gradients = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
        found.append((counts.detach(), gradients))
    (ours, ours_gradients), (theirs, theirs_gradients) = found
    assert ours.sum() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert ours_gradients.keys() == theirs_gradients.keys()
    for name, gradient in theirs_gradients.items():
        torch.testing.assert_close(ours_gradients[name], gradient, rtol=1e-8, atol=1e-12)


def test_rows_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.bench.timing.REST", 0.0)
    for per_neuron in (False, True):
        row = bench.layer_row(bench.Layer("tiny", 3, 2, (2, 3, 3), per_neuron), 1)
        assert row["results"].startswith("spikes equal, gradients to ")
        assert float(row["speed-up"]) > 0
    tiny = Config(dataset_name="DVS128Gesture", T=2)
    monkeypatch.setattr(bench, "STEPS", {"tiny": (tiny, 1)})
    monkeypatch.setattr(bench, "empty_task", small_task)
    monkeypatch.setattr(
        bench,
        "network",
        lambda config, task: build(
            Config(**{**vars(config), "channels": 2, "number_layer": 2}), task
        ),
    )
    monkeypatch.setattr(bench, "EVENTS", 2000)
    assert [row["events"] for row in bench.reader_rows(1)] == ["AEDAT 3.1", "N-MNIST", "20 frames"]
    runs = bench.contestants("tiny")
    losses = {who: run() for who, run in runs.items()}
    assert losses["ours, step"] == pytest.approx(losses["SpikingJelly, single-step"])
    assert losses["ours, sequence"] == pytest.approx(losses["SpikingJelly, multi-step"])


def test_the_page_has_a_place_for_the_tables() -> None:
    page = Path(PAPER / "docs" / "nodes.md").read_text(encoding="utf-8")
    assert f"<!-- core {bench.BLOCK} -->" in page
