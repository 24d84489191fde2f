"""What TensorBoard's own reader finds in the events of a run."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from core.layers import SpikingLayer
from core.metrics import BatchResult, Metrics
from core.neurons import LIF, Uniform
from core.training.events import EventLog
from core.training.logged import HISTOGRAMS, log_epoch, log_settings

from .training_toy import STEPS, at_step, make_job, stop, train

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 2, 3)
SEEN = Metrics(1.0, 50.0, sop=7.0, samples=2, layer_rates=(0.25, 0.5))


def test_tensorboard_shows_settings_rates_and_neurons(tmp_path: Path) -> None:
    job = make_job()
    job.manifest["config"] = {"lr": 0.5, "omega": [3.0, 5.0], "clip_norm": None}
    job.model = nn.Sequential(SpikingLayer(3, 5, lambda n: LIF(n, tau_mem=Uniform(2.0, 9.0))))
    row = {"epoch": 0, "learning_rate": 0.5}
    with EventLog(tmp_path) as events:
        log_settings(events, job)
        log_epoch(events, job, row, None, {"val": SEEN, "test": SEEN})
        events.picture("Learning curve", PNG, 3)
    found = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0, "images": 0})
    found.Reload()
    assert [event.value for event in found.Scalars("Firing rate/layer 2")] == [0.5]
    (histogram,) = found.Histograms("Neurons/0.neuron.tau_mem")
    assert histogram.histogram_value.num == 5
    (image,) = found.Images("Learning curve")
    assert (image.width, image.height, image.step) == (2, 3, 3)
    data = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    asked = HParamsPluginData.FromString(data).session_start_info.hparams
    assert asked["lr"].number_value == 0.5
    assert asked["omega"].string_value == "[3.0, 5.0]"


def test_a_long_run_has_few_histograms(tmp_path: Path) -> None:
    job = make_job()
    job.model = nn.Sequential(SpikingLayer(3, 5, lambda n: LIF(n, tau_mem=Uniform(2.0, 9.0))))
    job.epochs = 10 * HISTOGRAMS + 7
    with EventLog(tmp_path) as events:
        for epoch in range(job.epochs + 1):
            row = {"epoch": epoch, "learning_rate": 0.5}
            log_epoch(events, job, row, SEEN, {"val": SEEN, "test": SEEN})
    found = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})
    found.Reload()
    steps = [event.step for event in found.Histograms("Neurons/0.neuron.tau_mem")]
    assert steps == [*range(0, job.epochs, 10), job.epochs]
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 1e6


class Noted:
    """A paper's own points: what it is asked for."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.epochs: list[tuple[int, int]] = []

    def step(self, events: EventLog, result: BatchResult, step: int) -> None:
        assert result.predictions > 0
        events.scalar("own", float(result.value), step)
        self.steps.append(step)

    def epoch(self, events: EventLog, row: dict[str, Any], model: nn.Module, steps: int) -> None:
        self.epochs.append((row["epoch"], steps))


def test_a_paper_logs_points_of_its_own_and_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    job = make_job()
    first, second = Noted(), Noted()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", replace(make_job(wrap=at_step(2, 2, stop)), log=first))
    train(tmp_path / "run", replace(job, log=second), resume=True)
    assert first.steps == list(range(STEPS + 1))
    assert first.epochs == [(1, STEPS)]
    assert second.steps == list(range(STEPS, job.epochs * STEPS))
    assert second.epochs[-1] == (job.epochs, job.epochs * STEPS)
    found = EventAccumulator(str(tmp_path / "run" / "steps")).Reload()
    points = {point.step: point.value for point in found.Scalars("own")}
    assert sorted(points) == list(range(job.epochs * STEPS)), "none is hidden"
