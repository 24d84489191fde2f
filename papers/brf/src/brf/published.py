"""Checkpoints of the authors' and the seed repository, read into this package's networks.

They are `torch.save` files with a state dict (keys in :func:`convert`) and say nothing about task,
neuron or evaluation: an RF and a BRF network have the same keys. Known files are recognised by
their weights (``checkpoints/published.yaml``), so it does not matter where they come from or
whether optimiser state was stripped; of an unknown file the user has to say task and neuron.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from brf.config import CONFIGS, PAPER, Config
from brf.gsc import COEFFICIENTS
from brf.task import checked_order
from core import checkpoints
from core.data.events import CHANNELS
from core.data.fetch import fetch
from core.errors import UserError
from core.outside.shape import NAME, check
from core.outside.tensors import check_tensor, read_archive
from core.outside.text import read_yaml
from core.paper import Loaded

TABLE = PAPER / "checkpoints" / "published.yaml"
_INPUTS = {"ecg": 4, "smnist": 1, "psmnist": 1, "shd": CHANNELS, "gsc": COEFFICIENTS}
_KNOWN = {
    **{"name": NAME, "weights": str, "task": set(_INPUTS), "neuron": {"brf", "rf", "alif"}},
    **{"sub_seq_length?": int, "label_last?": bool, "permutation?": NAME, "decay?": {"linear"}},
}


def find(path: Path) -> Path:
    """The file at ``path``, or else the published checkpoint of this name, fetched.

    Raises:
        UserError: It has the name of a published checkpoint, which cannot be fetched.
    """
    name = path.name.removesuffix(".pt")
    if path.exists() or path.parent != Path() or all(row["name"] != name for row in _table()):
        return path
    return fetch("brf_published") / f"{name}.pt"


def read(path: Path, options: argparse.Namespace) -> Loaded[Config]:
    """:func:`load` with the flags of ``evaluate.py``."""
    return load(path, task=options.task, neuron=options.neuron, permutation=options.permutation)


def load(
    path: Path, *, task: str | None, neuron: str | None, permutation: Path | None
) -> Loaded[Config]:
    """Read a published checkpoint; that of a PS-MNIST network gets its pixel order as a weight.

    Args:
        path: ``*.pt``; a dictionary with ``model_state_dict``, or the state dict itself.
        task: Name of the task; needed for files that are not known.
        neuron: ``brf``, ``rf`` or ``alif``; the same.
        permutation: File with the pixel order of a PS-MNIST network; by default the one beside the
            checkpoint with the name that ``published.yaml`` gives.

    Raises:
        UserError: Unreadable or unsafe file, foreign network, or task and neuron unknown.
    """
    state = checkpoints.load_foreign(path)
    known = _known(state)
    task, neuron = task or known.get("task"), neuron or known.get("neuron")
    if task is None or neuron is None:
        raise UserError(
            f"{path} is none of the published checkpoints in {TABLE.name}; say what it is with "
            "--task ecg|smnist|psmnist|shd|gsc and --neuron brf|rf|alif"
        )
    weights = convert(state, _INPUTS[task], str(path))
    settings: dict[str, Any] = {
        "neuron": neuron,
        "hidden": len(weights["hidden.input_weight"]),
        "bias": "hidden.bias" in weights,
        "sub_seq_length": known.get("sub_seq_length", 0),
        "batch_size": 250,
    }
    if task == "gsc":  # a test depends on the batches
        settings |= {"batch_size": 16, "standardize": neuron != "alif"}
    if decay := known.get("decay"):
        settings |= {"decay": decay, "readout_decay": decay}
    if task in ("smnist", "psmnist"):
        settings |= {"permuted": task == "psmnist", "label_last": known.get("label_last", False)}
    if task == "psmnist":
        weights["permutation"] = _permutation(path, known, permutation)
    return Loaded(known.get("name", path.stem), CONFIGS[task](**settings), weights)


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
        joint = state["hidden.linear.weight"]
        if joint.dim() != 2 or len(joint) != joint.shape[1] - inputs:
            raise UserError(
                f"{origin}: hidden.linear.weight has shape {list(joint.shape)}, expected "
                f"[H, {inputs} + H]; name the right --task"
            )
        if (mask := state.get("hidden.linear.mask")) is not None:
            if mask.shape != joint.shape:  # broadcasting could make anything of it
                raise UserError(f"{origin}: hidden.linear.mask has another shape than its weight")
            joint = joint * mask
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


def _known(state: Mapping[str, Tensor]) -> dict[str, Any]:
    digest = checkpoints.weights_digest(state)[:16]
    return next((row for row in _table() if row["weights"] == digest), {})


def _table() -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = check(read_yaml(TABLE), [_KNOWN], str(TABLE))
    return table


def _permutation(path: Path, known: Mapping[str, Any], given: Path | None) -> Tensor:
    file = given or path.with_name(known.get("permutation", f"{path.stem}_perm.pt"))
    if not file.is_file():
        raise UserError(
            f"{path.name} is of no use without the pixel order it was trained on, and {file} does "
            "not exist; name it with --permutation"
        )
    order = read_archive(file, "fetch it again")
    if not isinstance(order, Tensor):
        raise UserError(f"{file} is no permutation of 784 pixels; fetch it again")
    return checked_order(check_tensor(order, str(file)), 784, str(file))
