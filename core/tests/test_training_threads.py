"""Threads are chosen for the size of the work and the load of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from core.data.batches import Batches
from core.layers import SoftmaxSumReadout, SpikingLayer
from core.neurons import LIF
from core.training.threads import SMALL_STEP, choose_threads, settle_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.2, 0.2, 0.2), raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)


@pytest.mark.parametrize(
    ("updates", "cores", "load", "chosen"),
    [
        (SMALL_STEP - 1, 8, 0.0, 1),
        (SMALL_STEP, 8, 0.0, 8),
        (SMALL_STEP, 8, 0.4, 8),
        (SMALL_STEP, 8, 3.0, 5),
        (SMALL_STEP, 2, 1.0, 1),
        (SMALL_STEP, 2, 9.0, 1),
        (SMALL_STEP, 1, 0.0, 1),
    ],
)
def test_small_work_takes_one_and_large_work_the_idle_cores(
    updates: int, cores: int, load: float, chosen: int
) -> None:
    threads, why = choose_threads(updates, cores=cores, load=load)
    assert threads == chosen
    assert why.startswith("small work" if updates < SMALL_STEP else ("load", "1.0e+07"))


def batches(steps: int, samples: int, batch_size: int) -> Batches:
    return Batches(
        torch.zeros(samples, steps, 3),
        torch.zeros(samples),
        batch_size=batch_size,
        shuffle=True,
        transform=lambda inputs, targets: (inputs.movedim(1, 0), targets),
    )


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(("batch_size", "chosen"), [(100, 2), (99, 1)])
def test_a_step_is_as_large_as_its_neurons_samples_and_time_steps(
    batch_size: int, chosen: int
) -> None:
    network = nn.Sequential(SpikingLayer(3, 90, LIF), SoftmaxSumReadout(90, 10))
    assert network  # 90 hidden and 10 readout neurons
    why = settle_threads(network, batches(1000, 120, batch_size), CPU)
    assert torch.get_num_threads() == chosen
    assert ("small work, 9.9e+06 neuron updates a step" in why) == (chosen == 1)


@pytest.mark.usefixtures("idle")
def test_networks_without_spikes_count_their_rows() -> None:
    settle_threads(nn.Linear(3, 100), batches(1000, 200, 100), CPU)
    assert torch.get_num_threads() == 2
    settle_threads(nn.Linear(3, 99), batches(1000, 200, 100), CPU)
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("idle")
def test_no_more_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    settle_threads(nn.Linear(3, 100), batches(1000, 200, 100), CPU)
    assert torch.get_num_threads() == 1


def test_threads_are_left_alone_on_a_gpu() -> None:
    assert settle_threads(nn.Linear(3, 1), batches(1, 1, 1), torch.device("cuda")) == ""
    assert torch.get_num_threads() == 2
