"""What a data set of the paper is to a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.paper import Task

SHAPES = {
    "MNIST": ((1, 28, 28), 10),
    "FashionMNIST": ((1, 28, 28), 10),
    "CIFAR10": ((3, 32, 32), 10),
    "NMNIST": ((2, 34, 34), 10),
    "CIFAR10DVS": ((2, 128, 128), 10),
    "DVS128Gesture": ((2, 128, 128), 11),
}
"""Of an image or frame of every set, ``(C, H, W)``, and its classes."""


@dataclass(frozen=True, kw_only=True)
class ImageTask(Task):
    """A task whose samples are images or frames.

    Attributes:
        shape: ``(C, H, W)`` of one of them.
    """

    shape: tuple[int, int, int]


def empty_task(dataset: str) -> ImageTask:
    """What a network has to know of a data set, without any samples."""
    shape, classes = SHAPES[dataset]
    nothing: dict[str, Any] = dict.fromkeys(("train", "validation", "test"))
    return ImageTask(
        data=dataset, data_digest="", inputs=shape[0], classes=classes, shape=shape, **nothing
    )
