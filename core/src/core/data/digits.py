"""Embedded digits: real handwritten 8 x 8 digits that come with scikit-learn, no download.

1797 scans of the UCI "Optical Recognition of Handwritten Digits" test set (E. Alpaydin,
C. Kaynak, 1998; CC BY 4.0), pixels 0 to 16. As sequential digits they give T = 64 steps.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.data.images import ImageData

TEST_SIZE = 360


def load_digits(split: Literal["train", "test"]) -> ImageData:
    """Load one split: the first 1437 images for training, the last 360 for testing.

    The split is fixed and in file order, which keeps writers together: the test digits come
    mostly from hands that the training set does not hold.

    Returns:
        uint8 images [N, 8, 8] from 0 to 16 and uint8 labels [N].
    """
    from sklearn import datasets  # here: it takes a second to import

    bunch = datasets.load_digits()
    part = slice(None, -TEST_SIZE) if split == "train" else slice(-TEST_SIZE, None)
    return ImageData(
        images=bunch.images[part].astype(np.uint8),
        labels=bunch.target[part].astype(np.uint8),
        max_value=16,
    )
