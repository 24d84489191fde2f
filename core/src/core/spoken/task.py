"""The tasks: which digit or word was spoken, from spikes (shd, ssc) or from audio (hd, sc)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.batches import RowBatches, hold_out_speakers
from core.data.binning import BinnedEvents, bin_events, event_batches, linear_edges
from core.data.events import CHANNELS, EventData
from core.data.filterbank import MEL_BINS
from core.data.speech import (
    EVENT_SAMPLES,
    SpeechData,
    find_speech,
    load_event_split,
    load_utterance_split,
)
from core.data.utterances import audio_batches
from core.errors import UserError
from core.paper import Task
from core.spoken.settings import SpokenSettings

CLASSES = {"shd": 20, "ssc": 35, "hd": 20, "sc": 35}
"""Classes of every data set."""


@dataclass(frozen=True)
class Binning:
    """How events become time steps.

    Attributes:
        steps: ``T``; edges are equally spaced from 0 to ``max_time``, so that the first step stays
            empty and the others are ``max_time / (T - 1)`` wide.
        max_time: Seconds; what comes later is left out, and counted.
        channel_bin: Neighbouring channels that are added to one input; the last ones, which fill no
            group, are left out.
    """

    steps: int = 100
    max_time: float = 1.4
    channel_bin: int = 1

    @property
    def step_ms(self) -> float:
        """Width of a step in milliseconds."""
        return 1000 * self.max_time / (self.steps - 1)

    def __call__(self, events: EventData) -> BinnedEvents:
        """Events in their bins."""
        return bin_events(
            events,
            linear_edges(self.steps, self.max_time),
            channel_bin=self.channel_bin,
            remainder="ignore",
        )


def shape_of(dataset: str, binning: Binning = Binning()) -> tuple[int, int]:
    """Inputs and classes of a data set, without its data."""
    inputs = CHANNELS // binning.channel_bin if dataset in EVENT_SAMPLES else MEL_BINS
    return inputs, CLASSES[dataset]


def load_task(config: SpokenSettings, binning: Binning = Binning()) -> Task:
    """The task of ``config``; ``ssc`` and ``sc`` have an official validation set.

    Raises:
        UserError: Data missing or damaged.
    """
    data = find_speech(config.dataset_name, config.place, mirror=config.mirror)
    load = partial(_events, binning) if data.dataset in EVENT_SAMPLES else _audio
    training = load(data, "train", config)
    testing = load(data, "test", config)
    test = testing.batches(shuffle=False)
    rows = None
    if data.dataset in ("ssc", "sc"):
        validation = load(data, "valid", config).batches(shuffle=False)
    elif config.protocol == "published":
        validation = test
    else:
        rows, held_out = _hold_out(training, data, config)
        validation = training.batches(held_out, shuffle=False)
    late = training.late + testing.late
    return Task(
        data=data.name,
        data_digest=data.digest,
        inputs=training.inputs,
        classes=len(training.words),
        train=training.batches(rows, shuffle=True),
        validation=validation,
        test=test,
        remark=f"{late} spikes after {binning.max_time} s left out" if late else "",
    )


class _MakeBatches(Protocol):
    def __call__(self, rows: NDArray[np.int64] | None = None, *, shuffle: bool) -> RowBatches: ...


class _Split(NamedTuple):
    """One split of a data set: how to make batches of it, and what is known beside them."""

    batches: _MakeBatches
    speakers: NDArray[np.int64] | NDArray[np.str_] | None
    words: tuple[str, ...]
    inputs: int
    late: int = 0


def _hold_out(
    training: _Split, data: SpeechData, config: SpokenSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, and rows of speakers that training never hears."""
    if training.speakers is None:
        raise UserError(
            f"the training file in {data.folder} does not say who spoke, so no speaker can be set "
            "aside; use --protocol published"
        )
    return hold_out_speakers(training.speakers, fraction=config.val_fraction, seed=config.seed)


def _events(binning: Binning, data: SpeechData, split: str, config: SpokenSettings) -> _Split:
    events = load_event_split(data, split)
    binned = binning(events)
    make = partial(
        event_batches, binned, events.labels, batch_size=config.batch_size, seed=config.seed
    )
    return _Split(make, events.speakers, events.words, binned.inputs, binned.late)


def _audio(data: SpeechData, split: str, config: SpokenSettings) -> _Split:
    utterances = load_utterance_split(data, split)
    make = partial(
        audio_batches,
        utterances,
        batch_size=config.batch_size,
        seed=config.seed,
        sample_rate="ignore" if config.protocol == "published" else "resample",
    )

    def batches(rows: NDArray[np.int64] | None = None, *, shuffle: bool) -> RowBatches:
        # what is shuffled is trained on
        return make(rows, shuffle=shuffle, augmented=config.use_augm and shuffle)

    return _Split(batches, utterances.speakers, utterances.words, MEL_BINS)
