"""Small networks learn to tell gestures apart, with every kind of neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.training.loop import backpropagation_step, evaluate, train_one_epoch
from plif.config import Config
from plif.layers import neurons_of
from plif.models import build
from plif.paper import objective_of
from plif.sets import ImageTask, empty_task

SIDE, STEPS, CLASSES = 16, 5, 3
CPU = torch.device("cpu")


class Bars:
    """96 recordings of a bar that moves: to the right, downwards, or not at all."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.labels = torch.arange(96) % CLASSES
        frames = generator.poisson(0.02, (STEPS, 96, 2, SIDE, SIDE)).astype(np.float32)
        for sample, label in enumerate(self.labels.tolist()):
            start = generator.integers(2, 7)
            for step in range(STEPS):
                place = start + (2 * step if label < 2 else 0)
                window = frames[step, sample, 0]
                bar = window[place] if label == 1 else window[:, place]
                bar += 2.0
        self.frames = torch.from_numpy(frames)

    def epoch(self, epoch: int) -> list[tuple[Tensor, Tensor]]:
        order = torch.randperm(96, generator=torch.Generator().manual_seed(epoch))
        return [(self.frames[:, rows], self.labels[rows]) for rows in order.split(16)]


def train(epochs: int, **settings: Any) -> tuple[nn.Module, float, list[float]]:
    """Network, accuracy at the end, and the mean deviation of ``w`` in a layer by epoch."""
    torch.manual_seed(0)
    small: dict[str, Any] = {"T": STEPS, "channels": 6, "number_layer": 2, "hidden": 32}
    small |= {"use_max_pool": True, "detach_reset": True, "dropout": 0.1}
    config = Config(dataset_name="DVS128Gesture", **{**small, **settings})
    task = empty_task("DVS128Gesture")
    net = build(config, ImageTask(**{**vars(task), "shape": (2, SIDE, SIDE), "classes": CLASSES}))
    objective, data, spreads = objective_of(config), Bars(), []
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for epoch in range(epochs):
        step = backpropagation_step(objective, None)
        train_one_epoch(net, data.epoch(epoch), step, optimizer, device=CPU)
        w = [n.w.detach() for n in neurons_of(net) if "w" in n.state_dict() and n.w.numel() > 1]
        spreads.append(float(torch.stack([value.std() for value in w]).mean()) if w else 0.0)
    return net, evaluate(net, data.epoch(0), objective, device=CPU).accuracy, spreads


NEURON = {"use_plif": True, "tau_per_neuron": True, "tau_std_dev": 0.1}


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_plif": True}, NEURON, {**NEURON, "reg_lambda": 0.01}],
    ids=["LIF", "PLIF", "per neuron", "regularised"],
)
def test_learns(settings: dict[str, Any]) -> None:
    _, accuracy, _ = train(15, **settings)
    assert accuracy > 80


def test_the_regulariser_draws_time_constants_together() -> None:
    _, _, free = train(6, **NEURON)
    _, _, drawn = train(6, **NEURON, reg_lambda=10.0)
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[-1] < 0.5 * drawn[0]
    assert free[-1] > 0.8 * free[0]


def test_mixed_precision_keeps_neurons_and_loss_in_full_precision() -> None:
    """On the processor, which has the same switch as a GPU."""
    torch.manual_seed(0)
    task = empty_task("NMNIST")
    config = Config(dataset_name="NMNIST", use_plif=True, channels=4, hidden=16, T=3, amp=True)
    net = build(config, task)
    x, targets = 3.0 * torch.rand(3, 2, *task.shape), torch.tensor([3, 4])
    seen: list[torch.dtype] = []
    handle = net.conv[3].register_forward_pre_hook(lambda m, given: seen.append(given[0].dtype))
    result = objective_of(config)(net, x, targets)
    handle.remove()
    result.loss.backward()
    assert result.loss.dtype == torch.float32
    assert seen == [torch.float32], "spikes"
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    exact = objective_of(Config(**{**vars(config), "amp": False}))(net, x, targets)
    assert float(result.loss.detach()) == pytest.approx(float(exact.loss.detach()), rel=0.1)
