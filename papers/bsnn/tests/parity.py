"""Arrays made with the authors' code, and how ours are compared with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bsnn.config import OLD_SPELLINGS, Config
from bsnn.published import from_published
from core.config import parse

FOLDER = Path(__file__).parent / "golden"
BACKENDS = ("reference", "auto")

LSM = "--single-spike --balance --fix-w-in --fix-w-rec --fix-tau-out --fix-tau-rec"
CUBA = (
    "--V-scale 0.3 --V-slow-scale 0.2 --single-spike --balance --fix-w-in --slow-dynamics "
    "--fix-w-rec"
)
EXPERIMENTS = {
    "baseline_multispike": "",
    "baseline_singlespike": "--single-spike",
    "lsm": LSM,
    "cuba_fixed": CUBA,
    "train_all": "--single-spike --balance",
}
"""The flags in which the five experiments differ."""
PLAIN = "--model RLIF --n-layer 1 --dropout 0 --normalization none"


def settings(flags: str, **changes: Any) -> Config:
    """What a command line says, with other values of some keys."""
    argv = [*PLAIN.split(), *flags.split()]
    for key, value in changes.items():
        argv += [f"--{key}", str(value)]
    return parse(
        Config,
        argv,
        prog="main.py",
        description="",
        old_spellings=OLD_SPELLINGS,
        abbreviations=True,
    )


@cache
def golden(name: str) -> dict[str, Tensor]:
    """The arrays of a file. Tests clone what they change."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose name starts with a prefix, without it."""
    return {
        key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
    }


def close(what: str, ours: Tensor | None, theirs: Tensor, largest: float) -> None:
    """Equal up to a part of the largest value."""
    assert ours is not None, what
    assert ours.shape == theirs.shape, what
    scale = float(theirs.abs().max()) or 1.0
    difference = float((ours.detach() - theirs).abs().max())
    assert difference <= largest * scale, f"{what}: {difference:.3g} of {scale:.3g}"


def layer_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A single layer's tensors by our names."""
    inside = from_published({f"snn.0.{name}": tensor for name, tensor in weights.items()})
    return {name.removeprefix("snn.0."): tensor for name, tensor in inside.items()}
