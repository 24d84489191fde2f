"""The six data sets as batches: images ``[1, B, C, H, W]``, frames ``[T, B, 2, H, W]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.batches import Batch, Purpose, RowBatches, random_stream, time_first
from core.data.cifar10 import load_cifar10, load_cifar10_jpeg
from core.data.digests import digest, digest_files
from core.data.digits import load_digits
from core.data.event_frames import FrameSet, find_event_set, load_frames
from core.data.fetch import fetch
from core.data.frames import normalised
from core.data.images import ImageData
from core.data.mnist import load_mnist
from core.data.per_class import split_classes
from core.paper import Task
from plif.augmentation import RandomAffine, RandomCrop
from plif.config import Config
from plif.sets import ImageTask

KINDS = {"NMNIST": "nmnist", "CIFAR10DVS": "cifar10_dvs", "DVS128Gesture": "dvs128_gesture"}
"""Name of an event set in core."""
MEAN_STD = {
    "MNIST": ((0.1307,), (0.3081,)),
    "FashionMNIST": ((0.2860,), (0.3530,)),
    "CIFAR10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}
"""What is subtracted from pixels in [0, 1], and what divides them then, as published."""
TEST_BATCHES = {"MNIST": 8, "FashionMNIST": 16, "CIFAR10": 16, "NMNIST": 4}
"""How many times the batch size of training the published code tests at once; else once."""

Augment = Callable[[Tensor, NDArray[np.int64], int], Tensor]
"""Images ``[B, C, H, W]`` of these rows in this epoch, changed at random."""


class _Split(NamedTuple):
    """One split: its labels, and how rows of it become a batch."""

    labels: NDArray[np.int64]
    take: Callable[[Tensor, int], Batch]
    take_augmented: Callable[[Tensor, int], Batch]


class _Data(NamedTuple):
    name: str
    digest: str
    shape: tuple[int, int, int]
    classes: int
    train: _Split
    test: _Split


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> Task:
    """The task of ``config``, whatever the weights of the network.

    Raises:
        UserError: Data missing or damaged, or no class can spare a sample for validation.
    """
    data = _images(config) if config.is_static else _events(config)
    published = config.protocol == "published"
    train, test = data.train, data.test
    rows = _rows_to_train(config, train.labels)
    make = partial(_Rows, batch_size=config.batch_size, seed=config.seed)
    tests = _Rows(
        test.take,
        np.arange(len(test.labels)),
        batch_size=config.batch_size * TEST_BATCHES.get(config.dataset_name, 1),
        shuffle=False,
    )
    validation = tests
    if config.val_ratio:
        kept, held = split_classes(train.labels[rows], config.val_ratio)
        rows, held_out = rows[kept], rows[held]
        take = train.take_augmented if published else train.take
        if published and len(held_out) >= config.batch_size:
            held_out = _full_batches(held_out, config.batch_size, config.seed)
        validation = make(take, held_out, shuffle=False)
    return ImageTask(
        data=data.name,
        data_digest=data.digest,
        inputs=data.shape[0],
        classes=data.classes,
        train=make(train.take_augmented, rows, shuffle=True, drop_last=published),
        validation=validation,
        test=tests,
        shape=data.shape,
    )


def _rows_to_train(config: Config, labels_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """All rows, or the first of each class where ``train_samples`` asks for fewer."""
    samples = len(labels_N)
    if config.train_samples is None or config.train_samples >= samples:
        return np.arange(samples)
    return np.sort(split_classes(labels_N, 1 - config.train_samples / samples)[0])


def _full_batches(rows: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    """As many of the rows as fill batches, drawn at random, in their order."""
    drawn = random_stream(seed, Purpose.SPLIT).permutation(len(rows))
    return rows[np.sort(drawn[: len(rows) // size * size])]


class _Rows(RowBatches):
    """Batches of some rows of a split; with ``drop_last`` none that is not full."""

    def __init__(
        self,
        take: Callable[[Tensor, int], Batch],
        rows: NDArray[np.int64],
        *,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.rows = torch.from_numpy(rows)
        self.kept = len(rows) // batch_size * batch_size if drop_last else len(rows)
        super().__init__(
            lambda rows_B, epoch: take(self.rows[rows_B], epoch),
            min(len(rows), self.kept or len(rows)),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
        )

    def order(self, epoch: int) -> Tensor:
        """The rows of an epoch; those that a last, smaller batch would have are other ones each."""
        whole, self.samples = self.samples, len(self.rows)
        try:
            return super().order(epoch)[:whole]
        finally:
            self.samples = whole


# --- images ---------------------------------------------------------------------------------------


def _images(config: Config) -> _Data:
    name, found, load = _image_files(config)
    means, deviations = MEAN_STD[config.dataset_name]
    mean, std = torch.tensor(means)[:, None, None], torch.tensor(deviations)[:, None, None]
    augment: Augment | None = None
    if config.dataset_name == "MNIST":
        augment = RandomAffine(config.seed)
    elif config.dataset_name == "CIFAR10":
        augment = RandomCrop(config.seed)

    def split(data: ImageData) -> _Split:
        pixels = torch.from_numpy(data.images)
        pixels = pixels if pixels.dim() == 4 else pixels[:, None]
        labels = torch.from_numpy(data.labels.astype(np.int64))

        def take(rows_B: Tensor, epoch: int, *, augment: Augment | None = None) -> Batch:
            images = pixels[rows_B].to(torch.float32) / data.max_value
            if augment is not None:
                images = augment(images, rows_B.numpy(), epoch)
            return ((images - mean) / std)[None], labels[rows_B]

        return _Split(data.labels.astype(np.int64), take, partial(take, augment=augment))

    train, test = load("train"), load("test")
    shape = train.images.shape[1:] if train.images.ndim == 4 else (1, *train.images.shape[1:])
    return _Data(name, found, shape, 10, split(train), split(test))


def _image_files(config: Config) -> tuple[str, str, Callable[..., ImageData]]:
    """Name, digest and loader of the images that the settings ask for."""
    folder, mirror = config.data_folder, config.mirror
    if config.data == "embedded":
        colours = 3 if config.dataset_name == "CIFAR10" else 1
        return "digits", digest("digits"), partial(enlarged_digits, colours=colours)
    if config.data == "subset":
        archive = fetch("cifar10_jpeg", mirror=mirror) / "cifar10_jpeg_subset.tar.xz"
        load = partial(load_cifar10_jpeg, archive=archive)
        return "cifar10-jpeg-subset", digest("cifar10_jpeg"), load
    name = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist", "CIFAR10": "cifar10"}
    known = name[config.dataset_name]
    if folder is None:
        folder, found, called = fetch(known, mirror=mirror), digest(known), known
    else:
        files = sorted(path for path in folder.glob("*") if path.is_file())
        found, called = digest_files(folder, files), f"{known}-unverified"
    if known == "cifar10":
        return called, found, partial(load_cifar10, folder=folder)
    return called, found, partial(load_mnist, folder=folder, name=known)  # type: ignore[arg-type]


def enlarged_digits(split: str, colours: int = 1) -> ImageData:
    """Scikit-learn's digits as large as the images they stand in for: 28 or, in colour, 32 pixels.

    Every pixel becomes 3 x 3 (4 x 4); 24 pixels get a margin of 2.
    """
    digits = load_digits(split)  # type: ignore[arg-type]
    factor, margin = (3, 2) if colours == 1 else (4, 0)
    large = digits.images.repeat(factor, axis=1).repeat(factor, axis=2)
    large = np.pad(large, ((0, 0), (margin, margin), (margin, margin)))
    if colours > 1:
        large = np.ascontiguousarray(np.broadcast_to(large[:, None], (len(large), 3, 32, 32)))
    return ImageData(large, digits.labels, max_value=digits.max_value)


# --- events ---------------------------------------------------------------------------------------


def _events(config: Config) -> _Data:
    place = config.data_folder if config.data == "original" else config.data
    data = find_event_set(KINDS[config.dataset_name], place, mirror=config.mirror)
    published = config.protocol == "published"
    load = partial(
        load_frames,
        data,
        steps=config.T,
        split_by=config.split_by,
        converter_cpus=config.converter_cpus if published else None,
    )

    def split(frames: FrameSet) -> _Split:
        labels = torch.from_numpy(frames.labels)

        def take(rows_B: Tensor, epoch: int) -> Batch:
            rows = rows_B.numpy()
            counts = torch.from_numpy(frames.counts[rows].astype(np.int32))
            length = torch.from_numpy(frames.microseconds[rows])
            return time_first(normalised(counts, config.normalization, length)), labels[rows_B]

        return _Split(frames.labels, take, take)

    shape = (2, data.side, data.side)
    return _Data(
        data.name, data.digest, shape, data.classes, split(load("train")), split(load("test"))
    )
