"""A data set of spoken words that the tests of several papers can afford."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.data.events import EventData
from core.data.synthetic_events import write_events

CLASSES = 4


def write_tiny_shd(folder: Path) -> None:
    """SHD's layout with 48 and 24 recordings of 4 words by 3 speakers: every word has its band."""
    folder.mkdir()
    for stem, count, seed in (("shd_train", 48, 0), ("shd_test", 24, 1)):
        generator = np.random.default_rng(seed)
        labels = generator.permutation(np.arange(count) % CLASSES)
        lengths = generator.integers(200, 300, count)
        bands = np.repeat(labels, lengths) * 170 + generator.integers(0, 100, lengths.sum())
        data = EventData(
            times=generator.uniform(0, 1.3, lengths.sum()).astype(np.float16),
            units=bands.astype(np.uint16),
            offsets=np.concatenate(([0], np.cumsum(lengths))),
            labels=labels,
            speakers=generator.permutation(np.arange(count) % 3),
            words=tuple("abcd"),
        )
        write_events(folder / f"{stem}.h5", data)
