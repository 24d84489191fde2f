"""Devices are found or refused; seeds decide and random states come back; why a loss diverged."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import UserError
from core.neurons import BRF, Uniform
from core.training.devices import choose_device, device_name, peak_memory_mb
from core.training.loop import likely_cause
from core.training.seeding import random_state, restore_random_state, seed_everything


@pytest.fixture(autouse=True)
def same_process_settings() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    torch.set_deterministic_debug_mode("default")


def test_cpu() -> None:
    device = choose_device("cpu", threads=1)
    assert device == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert device_name(device)
    assert 10 < (peak_memory_mb(device) or 0) < 1e6


def test_denormal_numbers_are_flushed() -> None:
    choose_device("cpu")
    assert (torch.tensor([1e-38]) * 0.01).item() == 0.0


def test_auto_takes_what_there_is() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "meta", "vulkan", "cuda:99"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UserError, match=rf"--device {name}: .*use .*cpu"):
        choose_device(name)


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002


def test_one_seed_one_sequence() -> None:
    seed_everything(7)
    first = draw()
    seed_everything(7)
    assert draw() == first
    seed_everything(8)
    assert all(ours != theirs for ours, theirs in zip(draw(), first, strict=True))


def test_random_state_comes_back() -> None:
    seed_everything(1)
    np.random.standard_normal()  # noqa: NPY002  leaves half a pair in NumPy's state
    state = random_state()
    expected = [*draw(), float(np.random.standard_normal())]  # noqa: NPY002
    seed_everything(2)
    restore_random_state(state)
    assert [*draw(), float(np.random.standard_normal())] == expected  # noqa: NPY002


def test_cause_of_a_divergence() -> None:
    linear = nn.Linear(2, 2)
    network = nn.Sequential(linear)
    assert "a potential overflowed" in likely_cause(network)
    network.append(BRF(4, omega=Uniform(150.0, 160.0), b_offset=Uniform(0.1, 1.0)))
    assert "omega" in likely_cause(network)
    with torch.no_grad():
        linear.bias[0] = float("inf")
    assert "parameters 0.bias are not finite" in likely_cause(network)
