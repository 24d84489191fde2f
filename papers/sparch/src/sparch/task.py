"""The tasks: which digit or word was spoken, from spikes (shd, ssc) or from audio (hd, sc)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.batches import RowBatches, hold_out_speakers
from core.data.binning import BinnedEvents, bin_events, linear_edges
from core.data.events import EventData
from core.data.speech import SpeechData, find_speech, load_event_split
from core.errors import UserError
from sparch.config import Config

STEPS = 100
MAX_TIME = 1.4
"""Seconds; the authors divide them into 99 bins and leave the first of the 100 steps empty."""


@dataclass(frozen=True)
class Task:
    """A task, ready to train on.

    Attributes:
        data: Name of the data set, as records say it.
        data_digest: Identifies its bytes.
        inputs: ``I``.
        classes: ``C``.
        train: Shuffled training batches.
        validation: Selects the epoch.
        test: The test set.
        test_is_validation: Both are the same samples.
    """

    data: str
    data_digest: str
    inputs: int
    classes: int
    train: RowBatches
    validation: RowBatches
    test: RowBatches
    test_is_validation: bool


def load_task(config: Config) -> Task:
    """The task of ``config``.

    Raises:
        UserError: Data missing or damaged.
    """
    place = config.data_folder if config.data == "original" else config.data
    return _events(config, find_speech(config.dataset_name, place, mirror=config.mirror))


def _events(config: Config, data: SpeechData) -> Task:
    train, test = load_event_split(data, "train"), load_event_split(data, "test")
    binned = _binned(train)
    rows = None
    testing = _batches(_binned(test), test.labels, config)
    if data.dataset == "ssc":
        valid = load_event_split(data, "valid")
        validation = _batches(_binned(valid), valid.labels, config)
    elif config.protocol == "published":
        validation = testing
    else:
        rows, held_out = _held_out(config, train.speakers, data)
        validation = _batches(binned, train.labels, config, rows=held_out)
    return Task(
        data=data.name,
        data_digest=data.digest,
        inputs=binned.inputs,
        classes=len(train.words),
        train=_batches(binned, train.labels, config, rows=rows, shuffle=True),
        validation=validation,
        test=testing,
        test_is_validation=validation is testing,
    )


def _held_out(
    config: Config, speakers: NDArray[np.int64] | None, data: SpeechData
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if speakers is None:
        raise UserError(
            f"the training file in {data.folder} does not say who spoke, so no speaker can be set "
            "aside; use --protocol published"
        )
    return hold_out_speakers(speakers, fraction=config.val_fraction, seed=config.seed)


def _binned(events: EventData) -> BinnedEvents:
    return bin_events(events, linear_edges(STEPS, MAX_TIME))


def _batches(
    binned: BinnedEvents,
    labels: NDArray[np.int64],
    config: Config,
    *,
    rows: NDArray[np.int64] | None = None,
    shuffle: bool = False,
) -> RowBatches:
    """Batches of some recordings, of all by default."""
    targets = torch.from_numpy(labels)
    chosen = torch.arange(len(labels)) if rows is None else torch.from_numpy(rows)

    def take(rows_B: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        there_B = chosen[rows_B]
        return binned.take(there_B), targets[there_B]

    return RowBatches(
        take, len(chosen), batch_size=config.batch_size, shuffle=shuffle, seed=config.seed
    )
