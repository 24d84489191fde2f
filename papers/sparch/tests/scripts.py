"""The scripts of this paper, called in this process, on a data set that a test can afford."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.data.events import EventData
from core.data.synthetic_events import write_events
from core.testing import call_script, message
from sparch.config import PAPER

CLASSES = 4
TINY = ("--nb_hiddens", 6, "--batch_size", 16, "--threads", 1, "--evaluations", 2)


def call(*arguments: object, script: str = "run_exp") -> int:
    """Run a script of this paper and return its exit code."""
    return call_script(PAPER, script, *arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, script: str = "run_exp") -> str:
    """The one message of a script that refuses to run."""
    capsys.readouterr()
    assert call(*arguments, script=script) == 2
    return message(capsys)


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
