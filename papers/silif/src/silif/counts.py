"""What the networks cost: parameters, state variables, synaptic operations, as a page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from core.config import load_yaml
from core.layers import SpikingLayer
from core.layers.gated import GatedLayer
from core.paper import count_parameters, counts
from core.records import Claim, Record
from core.spoken.networks import BatchFirst
from silif.config import PAPER, SPIKING, Config
from silif.mamba import Mamba
from silif.models import build
from silif.sdn import HISTORY
from silif.ssm import StateSpaceLayer
from silif.synops import LABELS, operations_of
from silif.task import shape_of

PAGE = PAPER / "results" / "counts.md"
PRINTED = {
    "shd_csilif_128": ("38.7k", "0.5k"),
    "shd_csilif": ("0.35M", "2k"),
    "ssc_silif_10ms": ("0.35M", "2k"),
    "ssc_csilif_4ms": ("0.35M", "2k"),
    "ssc_silif_4ms": ("0.35M", "2k"),
    "sc_silif": ("0.3M", "2k"),
    "sc_silif_1024": ("1.1M", "4k"),
}
"""Parameters and "# Buffers" in the authors' README, by configuration."""
SIZES = (("shd", 128), ("shd", 512), ("ssc", 512), ("sc", 512), ("sc", 1024))
"""Data and neurons of a hidden layer, as the paper has them."""
AUDIO_STEPS = 98
"""Of a recording of one second."""


def network(config: Config) -> BatchFirst:
    """The network of a configuration, without memory for its values."""
    with torch.device("meta"):
        return build(config, *shape_of(config))


def count_networks(claims: Sequence[Claim]) -> dict[str, int]:
    """See :func:`core.paper.counts.count_networks`."""
    return counts.count_networks(claims, Config, network)


def state_variables(model: BatchFirst) -> int:
    """Numbers that hidden layers hand from a step to the next for one sample.

    Of a spiking neuron all fields of its state but the spike; a state space model counts as the
    recursion that it is, with the inputs of short convolutions that it must remember.
    """
    return sum(_state_variables(layer) for layer in model.layers)


def _state_variables(layer: nn.Module) -> int:
    if isinstance(layer, SpikingLayer):
        return layer.outputs * (len(layer.neuron.State._fields) - 1)
    if isinstance(layer, GatedLayer):
        return layer.outputs if layer.recurrent else 0
    if isinstance(layer, StateSpaceLayer):
        model = layer.model
        if isinstance(model, Mamba):
            return layer.outputs * (model.state_size + model.conv1d.kernel_size[0] - 1)
        states = model.kernel.state_size
        return layer.outputs * (states + (HISTORY if layer.name == "SS4D" else 0))
    return 0  # a readout


def most_operations(config: Config) -> int:
    """The paper's synaptic operations of a sample in which nothing is ever zero.

    Of SS4D the authors' code does not count those of the input.
    """
    inputs, classes = shape_of(config)
    outputs = config.nb_hiddens * (2 if config.bidirectional else 1)
    hidden = config.nb_layers - 1
    reach = [0 if config.model_type == "SS4D" else inputs] + [outputs] * hidden
    sizes = [config.nb_hiddens] * hidden + [classes]
    return steps(config) * sum(n * size for n, size in zip(reach, sizes, strict=True))


def steps(config: Config) -> int:
    """Time steps of a sample."""
    return config.nb_steps if config.dataset_name in ("shd", "ssc") else AUDIO_STEPS


def page(records: Sequence[Record]) -> str:
    """The text of :data:`PAGE`: what follows from the configurations, then what was measured."""
    files = sorted((PAPER / "configs").glob("*.yaml"))
    parts = [
        "# What the networks of [silif](../README.md) cost",
        "Written by `python count_parameters.py`.",
        _of_configurations(files),
        _PRINTED_NOTE,
        "## Parameters by network and data",
        _of_sizes(),
        _FIXED_NOTE,
        "## Synaptic operations that were measured",
        _measured(records),
    ]
    return "\n\n".join(parts) + "\n"


_PRINTED_NOTE = """\
*Parameters* are trainable values; *printed* is what the authors' README says. Its 38.7k of C-SiLIF
with 128 neurons are the 38,716 of SiLIF. *State variables* are what the hidden layers hand from a
step to the next, two for each SiLIF neuron; the README's "# Buffers" (512, 2048, 4096) agree with
that. *Most operations* are the paper's synaptic operations of a sample in which nothing is zero:
every input and output of a hidden layer reaches all neurons of the layer behind it, in every step
(audio: of one second). Recurrent weights are not in it, nor, as in the authors' code, the inputs of
SS4D."""
_FIXED_NOTE = """\
SS4D has 153 fixed weights more in each block, which the authors' count includes (312,377)."""


_HEAD = (
    *("configuration", "network", "sizes", "steps", "parameters", "printed"),
    *("state variables", "printed", "most operations"),
)


def _of_configurations(files: Sequence[Path]) -> str:
    return _table([_HEAD, *map(_of_configuration, files)])


def _of_configuration(file: Path) -> tuple[str, ...]:
    config = load_yaml(Config, file)
    model = network(config)
    inputs, classes = shape_of(config)
    parameters, buffers = PRINTED.get(file.stem, ("", ""))
    return (
        f"`{file.stem}`",
        LABELS.get(config.model_type, config.model_type),
        f"{inputs}, {config.nb_layers - 1} x {config.nb_hiddens}, {classes}",
        str(steps(config)),
        f"{count_parameters(model):,}",
        parameters,
        f"{state_variables(model):,}",
        buffers,
        f"{most_operations(config):,}",
    )


def _of_sizes() -> str:
    rows = [("network", *(f"{data} {size}" for data, size in SIZES))]
    for model in SPIKING:
        config = Config(model_type=model)  # type: ignore[arg-type]
        found = [replace(config, dataset_name=d, nb_hiddens=h) for d, h in SIZES]  # type: ignore[arg-type]
        values = [f"{count_parameters(network(each)):,}" for each in found]
        rows.append((LABELS.get(model, model), *values))
    return _table(rows)


def _measured(records: Sequence[Record]) -> str:
    groups: dict[tuple[str, str], list[float]] = {}
    for record in records:
        fields = record.fields
        operations = operations_of(fields)
        if record.kind == "count" or record.superseded or operations is None:
            continue
        what = str(fields.get("config_file") or fields.get("checkpoint") or "")
        groups.setdefault((what, str(fields["data"]["name"])), []).append(operations)
    if not groups:
        return "None yet: no recorded run or evaluation was counted."
    rows = [("of", "data", "records", "exact operations per sample")]
    for (what, data), values in sorted(groups.items()):
        rows.append((f"`{what}`", data, str(len(values)), f"{statistics.fmean(values):,.0f}"))
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
