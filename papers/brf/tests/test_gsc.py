"""Google Speech Commands: features, the files that are used, and the seed repository's networks."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from brf.config import GscConfig
from brf.gsc import features, sampled, standardised
from brf.paper import BRF, objective_of
from core.data.audio import Utterances
from core.data.speech_trees import tree
from core.data.utterances import audio_batches
from core.data.words import WORDS
from core.training.loop import evaluate

from .test_published import needs_published, read, rebuilt

Golden = Callable[[str], dict[str, dict[str, Tensor]]]


def test_features_are_those_of_the_seed_repository(golden: Golden) -> None:
    """A second, a shorter and a longer recording; then the batch of the three."""
    arrays = golden("gsc_features")
    found = []
    for clip in ("clip0", "clip1", "clip2"):
        found.append(features(arrays[clip]["waveform_int16"].float() / 32768))
        theirs = arrays[clip]["mfcc_fixed_normalised"]
        torch.testing.assert_close(found[-1], theirs, rtol=0.0, atol=1e-4)
        assert float(found[-1].mean()) == pytest.approx(0.0, abs=1e-5)
        assert float(found[-1].std()) == pytest.approx(1.0, abs=1e-5)
    ours, theirs = standardised(torch.stack(found, 1)), arrays["batch"]["processed_normalised"]
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-4)


def test_a_quarter_of_the_files() -> None:
    """As many as the seed repository trains on, and its choice: that of Python's own generator."""
    assert [len(sampled(n, 25)) for n in (84843, 9981, 11005)] == [21210, 2495, 2751]
    random.seed(42)
    assert sampled(9981, 25).tolist() == random.sample(range(9981), 2495)
    assert len(sampled(3, 1)) == 1
    assert sorted(sampled(50, 100).tolist()) == list(range(50))


def test_task() -> None:
    """Official splits of which every seed uses the same files; a batch is standardised."""
    tasks = [BRF.load_task(GscConfig(data="embedded", seed=seed), None) for seed in (0, 1)]
    task = tasks[0]
    assert (task.data, task.inputs, task.classes) == ("synthetic-sc", 13, 35)
    assert (task.train.samples, task.validation.samples, task.test.samples) == (140, 26, 35)
    x_TBM, labels_B = next(task.test.epoch(0))
    assert x_TBM.shape == (100, 16, 13)
    torch.testing.assert_close(x_TBM.std((0, 1)), torch.ones(13), rtol=0.0, atol=1e-4)
    other_TBM, other_B = next(tasks[1].test.epoch(0))
    assert torch.equal(x_TBM, other_TBM)
    assert torch.equal(labels_B, other_B)


def test_split_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="val_fraction is not for gsc"):
        GscConfig(val_fraction=0.2)


@needs_published
@pytest.mark.parametrize("name", ["repro_gsc_brf", "repro_gsc_rf", "repro_gsc_alif"])
def test_published_networks_on_made_up_features(name: str, golden: Golden) -> None:
    arrays = golden("shd_gsc_published_synthetic")
    with torch.no_grad():
        output = rebuilt(read(name))(arrays["gsc_input"]["x"])
    theirs = arrays[name]
    assert torch.equal(output.spikes_TBH.sum((1, 2)), theirs["spikes_per_step"])
    potentials_TBC = output.potentials_TBC[-len(theirs["outputs"]) :]
    torch.testing.assert_close(potentials_TBC, theirs["outputs"], rtol=0.0, atol=1e-4)


# of 858 real recordings, with the code of the seed repository: correct predictions, spikes
@needs_published
@pytest.mark.parametrize(
    ("name", "correct", "within", "sop"),
    [
        ("repro_gsc_brf", 586, 5, 994.9),
        ("repro_gsc_rf", 609, 5, 990.8),
        ("repro_gsc_alif", 658, 3, 2138.7),
    ],
)
def test_published_networks_on_real_words(name: str, correct: int, within: int, sop: float) -> None:
    """Batches of 16 in the order in which they were measured: companions matter to resonators."""
    if not (Path(os.environ.get("SNN_DATA", "/nowhere")) / "speech_commands").is_dir():
        pytest.skip("needs the subset of Speech Commands; SNN_DATA names no folder with it")
    folder = tree("sc_subset")
    paths = sorted(folder.glob("[!._]*/[!.]*.wav"))
    random.Random(0).shuffle(paths)
    utterances = Utterances(
        paths=tuple(paths),
        labels=np.array([WORDS.index(path.parent.name) for path in paths]),
        speakers=np.array([""] * len(paths)),
        words=WORDS,
    )
    foreign = read(name)
    assert isinstance(foreign.config, GscConfig)
    batches = audio_batches(
        utterances,
        batch_size=foreign.config.batch_size,
        shuffle=False,
        features=features,
        transform=standardised if foreign.config.standardize else None,
    )
    objective, cpu = objective_of(foreign.config), torch.device("cpu")
    metrics = evaluate(rebuilt(foreign), batches.epoch(0), objective, device=cpu)
    assert metrics.samples == 858
    assert metrics.accuracy == pytest.approx(100 * correct / 858, abs=100 * within / 858)
    assert metrics.sop == pytest.approx(sop, rel=0.01)
