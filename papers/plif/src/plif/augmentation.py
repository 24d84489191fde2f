"""Random changes of training images; those of a row in an epoch depend on the seed alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.batches import Purpose, random_stream


class _PerRow:
    """``numbers`` uniform random numbers in [0, 1) for every row, new ones in every epoch."""

    def __init__(self, seed: int, numbers: int) -> None:
        self.seed, self.numbers = seed, numbers

    def draw(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """``[B, numbers]``."""
        drawn = [
            random_stream(self.seed, Purpose.AUGMENTATION, epoch, int(row)).random(self.numbers)
            for row in rows
        ]
        return torch.from_numpy(np.stack(drawn)).to(torch.float32)


class RandomAffine(_PerRow):
    """MNIST: turned by up to 30 degrees, moved by up to 15 % of a side, scaled by 0.85 to 1.11.

    Pixels are moved by whole numbers and taken from the nearest one; outside is black.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed, 4)

    def __call__(self, images_BCHW: Tensor, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """Changed images."""
        drawn = self.draw(rows, epoch)
        height, width = images_BCHW.shape[-2:]
        angle = (2 * drawn[:, 0] - 1) * math.radians(30)
        moved = torch.round((2 * drawn[:, 1:3] - 1) * 0.15 * torch.tensor([width, height]))
        scale = 0.85 + drawn[:, 3] * (1.11 - 0.85)
        cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
        # from a place in the result to one in the image: move back, turn back, shrink back
        rows_of = torch.stack([cosine, sine, -sine, cosine], 1).view(-1, 2, 2)
        shift = -(rows_of @ (moved / torch.tensor([width, height]) * 2).unsqueeze(-1))
        grid = nn.functional.affine_grid(
            torch.cat([rows_of, shift], 2), list(images_BCHW.shape), align_corners=False
        )
        return nn.functional.grid_sample(images_BCHW, grid, mode="nearest", align_corners=False)


class RandomCrop(_PerRow):
    """CIFAR-10: 32 x 32 of an image with a black margin of 4, mirrored half of the time."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, 3)

    def __call__(self, images_BCHW: Tensor, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """Changed images."""
        drawn = self.draw(rows, epoch)
        height, width = images_BCHW.shape[-2:]
        padded = nn.functional.pad(images_BCHW, (4, 4, 4, 4))
        top, left = (9 * drawn[:, :2]).long().T
        y = top[:, None] + torch.arange(height)
        x = left[:, None] + torch.arange(width)
        x = torch.where(drawn[:, 2:] < 0.5, x.flip(1), x)
        sample = torch.arange(len(rows))[:, None, None]
        # an index between slices moves to the front: [B, H, W, C]
        return padded.movedim(1, -1)[sample, y[:, :, None], x[:, None, :]].movedim(-1, 1)
