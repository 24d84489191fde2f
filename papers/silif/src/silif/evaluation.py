"""Tests of trained weights: several seeds, and synaptic operations as published and exact."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from core.data.fetch import fetch
from core.errors import UserError
from core.layers import NetworkOutput
from core.objectives import classification
from core.paper import evaluate_checkpoint
from core.settings import evaluation_parser
from core.spoken.networks import BatchFirst
from core.training.loop import Objective
from silif import activity, published
from silif.config import Config
from silif.models import SNN
from silif.paper import SILIF
from silif.published import THEIRS

OF_MODEL = {"SiLIF": "SiLIF", "CSiLIF": "CSiLIF", "CadLIF": "CadLIF", "ResonateFire": "RF"}
"""What a published network is called by, and how its folder ends."""


class OperationCount:
    """Synaptic operations per sample: see :func:`silif.activity.synaptic_operations`.

    The authors add up means over batches and divide by one batch too few; where all batches are of
    one size that is ``n / (n - 1)`` times the exact mean, 80/79 on the test set of SSC.
    """

    def __init__(self) -> None:
        self._batches: list[Tensor] = []
        self._per_test = 0

    def watched(self, objective: Objective, batches: int) -> Objective:
        """See :class:`core.paper.Watch`."""
        self._per_test = batches
        return classification(run=self._run)

    def _run(self, model: nn.Module, inputs_TBI: Tensor) -> NetworkOutput:
        assert isinstance(model, BatchFirst)
        if not isinstance(model, SNN):
            return model.run(inputs_TBI)
        output, active = activity.run(model.snn, inputs_TBI)
        self._batches.append(activity.synaptic_operations(active, model.layer_sizes).cpu())
        return output

    def facts(self) -> dict[str, Any]:
        """Means over tests: ``synaptic_operations`` as published, and exact."""
        n = self._per_test
        tests = [self._batches[k : k + n] for k in range(0, len(self._batches), n)]
        if not tests:
            return {}
        exact = [sum(float(b.sum()) for b in test) / sum(map(len, test)) for test in tests]
        found = {"synaptic_operations_exact": statistics.fmean(exact)}
        if n > 1:
            theirs = [sum(float(b.mean()) for b in test) / (n - 1) for test in tests]
            found["synaptic_operations"] = statistics.fmean(theirs)
        return found

    def __str__(self) -> str:
        found = self.facts()
        if not found:
            return ""
        text = f"synaptic operations per sample: {found['synaptic_operations_exact']:,.1f} exactly"
        if "synaptic_operations" not in found:
            return f"{text}; as published they need two batches"
        return (
            f"{text}, {found['synaptic_operations']:,.1f} as published (divided by "
            f"{self._per_test - 1} of {self._per_test} batches)"
        )


def evaluate_file(options: argparse.Namespace) -> dict[str, Any]:
    """Score ``options.checkpoint``; see :func:`core.paper.evaluate_checkpoint`.

    Raises:
        UserError: The checkpoint or its data cannot be used.
    """
    options.checkpoint = find_weights(options.checkpoint)
    options.evaluations = None
    seeds = options.seeds or Config().seeds
    return evaluate_checkpoint(SILIF, options, seeds=seeds, watch=OperationCount())


def evaluate_pretrained(config: Config) -> dict[str, Any]:
    """What ``main.py --evaluate_pretrained True`` does: a test with each of the call's seeds.

    Raises:
        UserError: There are no weights, or see :func:`evaluate_file`.
    """
    if config.load_exp_folder is None:
        raise UserError(
            "--evaluate_pretrained needs weights: add --load_exp_folder FOLDER, a run of the "
            f"authors' code or of this one, or the name of a published network: {_names()}"
        )
    path = find_weights(config.load_exp_folder)
    options = evaluation_parser("").parse_args([str(path)])
    options.model_type, options.seeds = config.model_type, config.seeds
    options.init_state, options.protocol = config.init_state, config.protocol
    options.nb_steps = options.max_time = None
    theirs = path.suffix != ".safetensors"
    if theirs and published.read(path, options).config.dataset_name == config.dataset_name:
        options.nb_steps, options.max_time = config.nb_steps, config.max_time
    for key in ("batch_size", "device", "threads", "backend"):
        setattr(options, key, getattr(config, key))
    options.data_folder = None if config.place is None else Path(config.place)
    return evaluate_file(options)


def find_weights(named: Path) -> Path:
    """The file with the weights that a path, a folder of a run or a published name stands for.

    Raises:
        UserError: There is none.
    """
    if named.is_file() or named.suffix in (".pth", ".safetensors"):
        return named
    if named.is_dir():
        return weights_in(named)
    short = named.name.removeprefix("ref_SSC_")
    folder = f"ref_SSC_{OF_MODEL.get(short, short)}"
    if folder.removeprefix("ref_SSC_") not in OF_MODEL.values():
        raise UserError(
            f"{named} is no file, no folder of a run and no published network; these are {_names()}"
        )
    return fetch("silif_published") / folder / THEIRS


def weights_in(folder: Path) -> Path:
    """The selected weights of a run of ours, or of the authors' code.

    Raises:
        UserError: There are none.
    """
    for name in (Path("best.safetensors"), THEIRS):
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} holds neither best.safetensors nor {THEIRS}; name another folder")


def _names() -> str:
    return ", ".join(OF_MODEL)
