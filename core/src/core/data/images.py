"""What every image data set is after loading: small integers, packed as on disk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ImageData(NamedTuple):
    """One split of an image data set.

    Attributes:
        images: uint8 [N, H, W], in colour [N, 3, H, W], row-major pixels from 0 to ``max_value``.
        labels: uint8 [N], class index.
        max_value: the brightest possible pixel; ``images / max_value`` lies in [0, 1].
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    max_value: int
