"""What ``main.py`` does beside what every paper does."""

from __future__ import annotations

from pathlib import Path

from bsnn.config import Config
from bsnn.paper import BSNN_PAPER
from core import paper


def run(config: Config, base: Path | None) -> None:
    """Train and test as ``config`` says."""
    paper.run(BSNN_PAPER, config, base)
