"""The tasks: which digit or word was spoken, from spikes (shd, ssc) or from audio (hd, sc)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.batches import RowBatches, hold_out_speakers
from core.data.binning import BinnedEvents, bin_events, linear_edges
from core.data.digests import digest
from core.data.events import EventData, find_events, load_events
from core.data.fetch import fetch
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
    return _events(config)


def _events(config: Config) -> Task:
    folder, name, data_digest = fetch("shd_regen"), "shd-regenerated", digest("shd_regen")
    train, test = (load_events(find_events(folder, f"shd_{part}")) for part in ("train", "test"))
    training = _binned(train)
    rows = np.arange(len(train.labels))
    published = config.protocol == "published"
    testing = _batches(_binned(test), test.labels, np.arange(len(test.labels)), config)
    if published:
        validation = testing
    else:
        rows, held_out = hold_out_speakers(
            train.speakers, fraction=config.val_fraction, seed=config.seed
        )
        validation = _batches(training, train.labels, held_out, config)
    return Task(
        data=name,
        data_digest=data_digest,
        inputs=training.inputs,
        classes=len(train.words),
        train=_batches(training, train.labels, rows, config, shuffle=True),
        validation=validation,
        test=testing,
        test_is_validation=published,
    )


def _binned(events: EventData) -> BinnedEvents:
    return bin_events(events, linear_edges(STEPS, MAX_TIME))


def _batches(
    binned: BinnedEvents,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    config: Config,
    *,
    shuffle: bool = False,
) -> RowBatches:
    chosen, targets = torch.from_numpy(rows), torch.from_numpy(labels)

    def take(rows_B: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        there_B = chosen[rows_B]
        return binned.take(there_B), targets[there_B]

    return RowBatches(
        take, len(rows), batch_size=config.batch_size, shuffle=shuffle, seed=config.seed
    )
