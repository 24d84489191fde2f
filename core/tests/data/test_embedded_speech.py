"""The look-alikes of SHD, SSC, HD and SC."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.data import speech
from core.data.binning import bin_events, event_batches, linear_edges
from core.data.events import CHANNELS
from core.data.speech import (
    SPLITS,
    embedded_folder,
    find_speech,
    load_event_split,
    load_utterance_split,
)
from core.data.utterances import audio_batches
from core.data.words import DIGITS, WORDS

pytestmark = pytest.mark.usefixtures("speech_cache")


@pytest.mark.parametrize("dataset", SPLITS)
def test_embedded_set_is_called_synthetic_and_made_once(dataset: str) -> None:
    found = find_speech(dataset, "embedded")
    assert found.name == f"synthetic-{dataset}"
    stamp = found.folder.stat().st_mtime_ns
    assert find_speech(dataset, "embedded") == found
    assert found.folder.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("dataset", SPLITS)
def test_embedded_set_is_deterministic(dataset: str, tmp_path: Path) -> None:
    first = embedded_folder(dataset)
    again = tmp_path / "again"
    speech._SYNTHETIC[dataset][1](again)
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in names)


SHAPES = {
    "shd": {"train": (800, 10), "test": (200, 12)},
    "ssc": {"train": (1050, 0), "valid": (175, 0), "test": (280, 0)},
    "hd": {"train": (380, 10), "test": (100, 12)},
    "sc": {"train": (560, 16), "valid": (105, 3), "test": (140, 4)},
}


@pytest.mark.parametrize(
    ("dataset", "split"), [(name, split) for name in SPLITS for split in SPLITS[name]]
)
def test_embedded_split_has_all_classes_and_its_speakers(dataset: str, split: str) -> None:
    found = find_speech(dataset, "embedded")
    count, speakers = SHAPES[dataset][split]
    words = DIGITS if dataset in ("shd", "hd") else WORDS
    names: NDArray[np.generic] | None
    if dataset in ("shd", "ssc"):
        events = load_event_split(found, split)
        assert (events.speakers is None) == (dataset == "ssc")
        per_recording = len(events.times) / count
        assert 300 < per_recording < 1000
        assert CHANNELS - 50 < events.units.max() < CHANNELS
        labels, names = events.labels, events.speakers
        assert events.words == words
    else:
        utterances = load_utterance_split(found, split)
        labels, names = utterances.labels, utterances.speakers
        assert utterances.words == words
    assert len(labels) == count
    assert set(labels.tolist()) == set(range(len(words)))
    assert len(set([] if names is None else names.tolist())) == speakers
    if split == "train" and names is not None:
        assert not {4, 5, "04", "05"} & set(names.tolist())


def test_embedded_speakers_of_sc_are_disjoint() -> None:
    found = find_speech("sc", "embedded")
    speakers = [set(load_utterance_split(found, s).speakers) for s in ("train", "valid", "test")]
    assert sum(map(len, speakers)) == len(set.union(*speakers))


def separable(train: tuple, test: tuple) -> float:
    """Test accuracy of the nearest class mean of time-averaged inputs."""
    means = torch.stack([train[0][train[1] == c].mean(0) for c in train[1].unique()])
    return (torch.cdist(test[0], means).argmin(1) == test[1]).float().mean().item()


@pytest.mark.parametrize("dataset", SPLITS)
def test_embedded_classes_can_be_told_apart(dataset: str) -> None:
    found = find_speech(dataset, "embedded")

    def averages(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        if dataset in ("shd", "ssc"):
            events = load_event_split(found, split)
            binned = bin_events(events, linear_edges(100, 1.4), channel_bin=10)
            batches = event_batches(binned, events.labels, batch_size=256, shuffle=False)
        else:
            utterances = load_utterance_split(found, split)
            batches = audio_batches(utterances, batch_size=256, shuffle=False)
        pairs = [(x.mean(0), y) for x, y in batches.epoch(0)]
        return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])

    assert separable(averages("train"), averages("test")) > 0.5
