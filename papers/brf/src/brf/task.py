"""The tasks: sequential MNIST, also permuted, ECG wave segmentation, spoken digits and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brf import gsc
from brf.config import Config, GscConfig, ShdConfig, SmnistConfig
from brf.shd import EVALUATED_AT_ONCE, LAST, bin_spikes
from core.data import (
    Batches,
    digest,
    load_digits,
    load_mnist,
    load_qtdb,
    load_synthetic_ecg,
    make_permutation,
    split_indices,
    time_first,
    to_sequence,
)
from core.data.batches import RowBatches, Transform
from core.data.binning import event_batches
from core.data.fetch import fetch
from core.data.files import mismatch
from core.data.images import ImageData
from core.data.qtdb import EcgData
from core.data.registry import find_source
from core.data.speech import SpeechData, find_speech, load_event_split, load_utterance_split
from core.data.utterances import audio_batches
from core.data.words import WORDS
from core.errors import UserError
from core.paper import Task

ECG_CLASSES = 6
DIGIT_CLASSES = 10


@dataclass(frozen=True)
class BrfTask(Task):
    """A task of the paper.

    Attributes:
        permutation: Order of the pixels, for PS-MNIST.
    """

    permutation: Tensor | None = None


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> BrfTask:
    """The task of ``config``, from its original files or the embedded stand-in.

    Args:
        config: Its settings.
        weights: Of an existing network, which know the pixel order of PS-MNIST; without any the
            seed decides.

    Raises:
        UserError: Data missing or damaged.
    """
    if isinstance(config, SmnistConfig):
        return _digits(config, (weights or {}).get("permutation"))
    if isinstance(config, ShdConfig):
        return _spoken_digits(config)
    return _spoken_words(config) if isinstance(config, GscConfig) else _ecg(config)


def ecg_transform(spikes_BTI: Tensor, labels_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Packed ``[B, T, ...]`` to float32 ``[T, B, 4]`` and int64 ``[T, B]``."""
    return time_first(spikes_BTI).to(torch.float32), time_first(labels_BT).to(torch.int64)


def digit_transform(max_value: int, permutation: Tensor | None) -> Transform:
    """Packed images to pixel sequences ``[T, B, 1]`` and int64 labels ``[B]``."""

    def transform(images_BHW: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
        return to_sequence(images_BHW, max_value, permutation), labels_B.to(torch.int64)

    return transform


def _ecg(config: Config) -> BrfTask:
    if config.data == "embedded":
        name, train, test = "synthetic_ecg", load_synthetic_ecg("train"), load_synthetic_ecg("test")
    else:
        name = "qtdb"
        folder = _folder(name, config)
        train, test = load_qtdb("train", folder), load_qtdb("test", folder)
        _verify(name, config)
    _check_steps(config, train.spikes.shape[1], name)
    chosen, held_out = split_indices(len(train.labels), config.val_fraction, seed=config.seed)

    def batches(
        data: EcgData, rows: NDArray[np.int64] | slice, size: int, shuffle: bool
    ) -> Batches:
        return Batches(
            data.spikes[rows],
            data.labels[rows],
            batch_size=size,
            shuffle=shuffle,
            seed=config.seed,
            transform=ecg_transform,
        )

    return BrfTask(
        data=name,
        data_digest=digest(name),
        inputs=4,
        classes=ECG_CLASSES,
        train=batches(train, chosen, config.batch_size, True),
        # one batch each, as the authors do: the validation loss is a mean over batches
        validation=batches(train, held_out, len(held_out), False),
        test=batches(test, slice(None), len(test.labels), False),
    )


def _digits(config: SmnistConfig, permutation: Tensor | None) -> BrfTask:
    if config.data == "embedded":
        name, train, test = "digits", load_digits("train"), load_digits("test")
    else:
        name = "mnist"
        folder = _folder(name, config)
        train, test = load_mnist("train", folder), load_mnist("test", folder)
        _verify(name, config)
    steps = train.images[0].size
    _check_steps(config, steps, name)
    if config.permuted and permutation is None:
        permutation = make_permutation(steps, seed=config.seed)
    elif permutation is not None:
        permutation = checked_order(permutation, steps, "the order of pixels of this network")
    rows = _class_balanced_subset(train.labels, config.train_fraction, config.seed)
    chosen, held_out = split_indices(len(rows), config.val_fraction, seed=config.seed)

    def batches(data: ImageData, which: NDArray[np.int64] | slice, shuffle: bool) -> Batches:
        return Batches(
            data.images[which],
            data.labels[which],
            batch_size=config.batch_size,
            shuffle=shuffle,
            seed=config.seed,
            transform=digit_transform(data.max_value, permutation),
        )

    return BrfTask(
        data=name,
        data_digest=digest(name),
        inputs=1,
        classes=DIGIT_CLASSES,
        train=batches(train, rows[chosen], True),
        validation=batches(train, rows[held_out], False),
        test=batches(test, slice(None), False),
        permutation=permutation,
    )


def _spoken_digits(config: ShdConfig) -> BrfTask:
    data = _speech("shd", config)
    train, test = load_event_split(data, "train"), load_event_split(data, "test")
    binned, binned_test = bin_spikes(train), bin_spikes(test)
    _check_steps(config, binned.steps, data.name)
    chosen, held_out = split_indices(len(train.labels), config.val_fraction, seed=config.seed)
    make = partial(event_batches, seed=config.seed, binary=True)
    # the validation loss is a mean over batches, so their size is part of the protocol
    evaluated = partial(make, batch_size=EVALUATED_AT_ONCE, shuffle=False)
    return BrfTask(
        data=data.name,
        data_digest=data.digest,
        inputs=binned.inputs,
        classes=len(train.words),
        train=make(binned, train.labels, chosen, batch_size=config.batch_size, shuffle=True),
        validation=evaluated(binned, train.labels, held_out),
        test=evaluated(binned_test, test.labels),
        remark=f"{binned.late + binned_test.late} spikes after {LAST:g} s left out",
    )


def _spoken_words(config: GscConfig) -> BrfTask:
    data = _speech("sc", config)
    _check_steps(config, gsc.STEPS, data.name)

    def batches(split: str, shuffle: bool) -> RowBatches:
        utterances = load_utterance_split(data, split)
        return audio_batches(
            utterances,
            gsc.sampled(len(utterances.paths), config.data_percentage),
            batch_size=config.batch_size,
            shuffle=shuffle,
            seed=config.seed,
            features=gsc.features,
            transform=gsc.standardised if config.standardize else None,
        )

    return BrfTask(
        data=data.name,
        data_digest=data.digest,
        inputs=gsc.COEFFICIENTS,
        classes=len(WORDS),
        train=batches("train", True),
        validation=batches("valid", False),
        test=batches("test", False),
        remark=f"{config.data_percentage:g} % of the files",
    )


def _speech(dataset: str, config: Config) -> SpeechData:
    place = config.data_folder if config.data == "original" else config.data
    return find_speech(dataset, place, mirror=config.mirror)


def _check_steps(config: Config, steps: int, data: str) -> None:
    if config.sub_seq_length >= steps:
        raise UserError(
            f"--sub_seq_length {config.sub_seq_length} leaves nothing of the {steps} steps of "
            f"{data}; choose a smaller one"
        )


def checked_order(order: Tensor, pixels: int, origin: str) -> Tensor:
    """``order`` when it is a permutation of all pixels.

    Raises:
        UserError: It is none.
    """
    whole = order.shape == (pixels,) and order.dtype == torch.int64
    if not whole or not torch.equal(order.sort().values, torch.arange(pixels)):
        raise UserError(f"{origin} is no permutation of {pixels} pixels; fetch it again")
    return order


def _folder(name: str, config: Config) -> Path:
    return config.data_folder or fetch(name, mirror=config.mirror)


def _verify(name: str, config: Config) -> None:
    """Hold files of --data_folder to what the record says about the data; fetch did the others."""
    if config.data_folder is None:
        return
    for file in find_source(name).files:
        if problem := mismatch(config.data_folder / file.name, file):
            raise UserError(f"{problem}\nLeave --data_folder out to fetch the published file.")


def _class_balanced_subset(
    labels: NDArray[np.uint8], fraction: float, seed: int
) -> NDArray[np.int64]:
    """``int(fraction * n_c)`` random rows of every class ``c``, ascending (seed repository)."""
    if fraction == 1.0:
        return np.arange(len(labels))
    generator = np.random.default_rng((seed, len(labels)))
    rows = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    kept = [generator.choice(r, int(fraction * len(r)), replace=False) for r in rows]
    return np.sort(np.concatenate(kept))
