"""Checkpoints of the authors' and the seed repository, read into this package's networks.

They are `torch.save` files with a state dict (keys in :func:`convert`) and say nothing about task,
neuron or evaluation: an RF and a BRF network have the same keys. Known files are recognised by
their weights (``checkpoints/published.yaml``), so it does not matter where they come from or
whether optimiser state was stripped; of an unknown file the user has to say task and neuron.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from brf.config import CONFIGS, PAPER, Config
from core import checkpoints
from core.errors import UserError

TABLE = PAPER / "checkpoints" / "published.yaml"
_INPUTS = {"ecg": 4, "smnist": 1, "psmnist": 1}


@dataclass(frozen=True)
class Foreign:
    """A checkpoint of another repository, ready to be built and evaluated.

    Attributes:
        name: Its name in ``published.yaml``, or the file's.
        config: Settings with everything that evaluation needs.
        weights: By the keys of :class:`brf.models.RecurrentSNN`.
        permutation: Order of the pixels of a PS-MNIST network, ``[784]``.
    """

    name: str
    config: Config
    weights: dict[str, Tensor]
    permutation: Tensor | None


def load(path: Path, *, task: str | None, neuron: str | None, permutation: Path | None) -> Foreign:
    """Read a published checkpoint.

    Args:
        path: ``*.pt``; a dictionary with ``model_state_dict``, or the state dict itself.
        task: ``ecg``, ``smnist`` or ``psmnist``; needed for files that are not known.
        neuron: ``brf``, ``rf`` or ``alif``; the same.
        permutation: File with the pixel order of a PS-MNIST network; by default the one beside the
            checkpoint with the name that ``published.yaml`` gives.

    Raises:
        UserError: Unreadable or unsafe file, foreign network, or task and neuron unknown.
    """
    content = checkpoints.load_foreign(path)
    state = content.get("model_state_dict", content)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} holds no state dict; expected model_state_dict with tensors")
    known = _known(state)
    task, neuron = task or known.get("task"), neuron or known.get("neuron")
    if task is None or neuron is None:
        raise UserError(
            f"{path} is none of the published checkpoints in {TABLE.name}; say what it is with "
            "--task ecg|smnist|psmnist and --neuron brf|rf|alif"
        )
    weights = convert(state, _INPUTS[task], str(path))
    settings: dict[str, Any] = {
        "neuron": neuron,
        "hidden": len(weights["hidden.input_weight"]),
        "bias": "hidden.bias" in weights,
        "sub_seq_length": known.get("sub_seq_length", 0),
    }
    if task != "ecg":
        settings |= {"permuted": task == "psmnist", "label_last": known.get("label_last", False)}
    return Foreign(
        name=known.get("name", path.stem),
        config=CONFIGS[task](**settings),
        weights=weights,
        permutation=_permutation(path, known, permutation) if task == "psmnist" else None,
    )


def convert(state: Mapping[str, Tensor], inputs: int, origin: str) -> dict[str, Tensor]:
    """The authors' keys to ours.

    ======================================  ==================================================
    theirs                                  ours
    ======================================  ==================================================
    ``hidden.linear.weight`` ``[H, I + H]``  ``hidden.input_weight``, ``hidden.recurrent_weight``
    ``hidden.linear.mask``                  multiplied into the weight
    ``hidden.linear.bias``                  ``hidden.bias``
    ``hidden.omega`` and other vectors      ``hidden.neuron.omega`` ...
    ``out.linear.weight``, ``.bias``        ``out.input_weight``, ``out.bias``
    ``out.tau_mem``                         ``out.neuron.tau_mem``
    ======================================  ==================================================

    Raises:
        UserError: Keys that no network of the paper has.
    """
    try:
        joint = state["hidden.linear.weight"] * state.get("hidden.linear.mask", 1.0)
        weights = {
            "hidden.input_weight": joint[:, :inputs].contiguous(),
            "hidden.recurrent_weight": joint[:, inputs:].contiguous(),
            "out.input_weight": state["out.linear.weight"],
            "out.neuron.tau_mem": state["out.tau_mem"],
        }
    except KeyError as error:
        raise UserError(
            f"{origin} is no network of the BRF repositories: its state dict lacks {error}"
        ) from error
    done = {"hidden.linear.weight", "hidden.linear.mask", "out.linear.weight", "out.tau_mem"}
    names = {"hidden.linear.bias": "hidden.bias", "out.linear.bias": "out.bias"}
    names |= {f"hidden.{v}": f"hidden.neuron.{v}" for v in ("omega", "b_offset")}
    names |= {f"hidden.{v}": f"hidden.neuron.{v}" for v in ("tau_mem", "tau_adp")}
    for key in state.keys() - done:
        if key not in names:
            raise UserError(f"{origin} is no network of the BRF repositories: unknown key {key}")
        weights[names[key]] = state[key]
    return weights


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """16 hexadecimal digits that identify a state dict by keys and values, not by its file."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].to(torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _known(state: Mapping[str, Tensor]) -> dict[str, Any]:
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    digest = weights_digest(state)
    return next((row for row in table if row["weights"] == digest), {})


def _permutation(path: Path, known: Mapping[str, Any], given: Path | None) -> Tensor:
    file = given or path.with_name(known.get("permutation", f"{path.stem}_perm.pt"))
    if not file.is_file():
        raise UserError(
            f"{path.name} is of no use without the pixel order it was trained on, and {file} does "
            "not exist; name it with --permutation"
        )
    try:
        order = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{file} is not a readable pixel order; fetch it again") from error
    if not isinstance(order, Tensor) or not torch.equal(order.sort().values, torch.arange(784)):
        raise UserError(f"{file} is no permutation of 784 pixels")
    return order
