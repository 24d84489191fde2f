"""The tasks: which digit or word was spoken, from spikes (shd, ssc) or from audio (hd, sc)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.data.batches import RowBatches, hold_out_speakers
from core.data.binning import bin_events, event_batches, linear_edges
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
from sparch.config import Config

SHAPES = {"shd": (700, 20), "ssc": (700, 35), "hd": (40, 20), "sc": (40, 35)}
"""Inputs and classes of every data set."""
STEPS = 100
MAX_TIME = 1.4
"""Seconds; the authors divide them into 99 bins and leave the first of the 100 steps empty."""


class _MakeBatches(Protocol):
    def __call__(self, rows: NDArray[np.int64] | None = None, *, shuffle: bool) -> RowBatches: ...


class _Split(NamedTuple):
    """One split of a data set: how to make batches of it, and what is known beside them."""

    batches: _MakeBatches
    speakers: NDArray[np.int64] | NDArray[np.str_] | None
    words: tuple[str, ...]
    inputs: int
    late: int = 0


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> Task:
    """The task of ``config``, whatever the weights of the network.

    Raises:
        UserError: Data missing or damaged.
    """
    place = config.data_folder if config.data == "original" else config.data
    data = find_speech(config.dataset_name, place, mirror=config.mirror)
    load = _events if data.dataset in EVENT_SAMPLES else _audio
    training = load(data, "train", config)
    testing = load(data, "test", config)
    test = testing.batches(shuffle=False)
    rows = None
    if data.dataset in ("ssc", "sc"):  # these have an official validation set
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
        remark=f"{late} spikes after {MAX_TIME} s left out" if late else "",
    )


def _hold_out(
    training: _Split, data: SpeechData, config: Config
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, and rows of speakers that training never hears."""
    if training.speakers is None:
        raise UserError(
            f"the training file in {data.folder} does not say who spoke, so no speaker can be set "
            "aside; use --protocol published"
        )
    return hold_out_speakers(training.speakers, fraction=config.val_fraction, seed=config.seed)


def _events(data: SpeechData, split: str, config: Config) -> _Split:
    events = load_event_split(data, split)
    binned = bin_events(events, linear_edges(STEPS, MAX_TIME))
    make = partial(
        event_batches, binned, events.labels, batch_size=config.batch_size, seed=config.seed
    )
    return _Split(make, events.speakers, events.words, binned.inputs, binned.late)


def _audio(data: SpeechData, split: str, config: Config) -> _Split:
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
