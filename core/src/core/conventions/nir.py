"""Networks as graphs of NIR, and back: weights and neurons in a chain, with loops for recurrence.

What NIR leaves open stands in the metadata of each neuron: ``dt``, the discretisation, whether the
threshold itself spikes, when the reset acts, where the potential starts, the spike function, and
the version whose reset is meant. A spike takes one step round a loop, as everywhere here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.conventions import refusal
from core.conventions.nir_nodes import library, neuron_of, node_of, subtracts
from core.errors import UserError
from core.layers import Layer, Network, SpikingLayer
from core.neurons.base import Neuron
from core.surrogates import Surrogate


def to_nir(model: Neuron | Layer | SpikingLayer | Network, dt: float) -> Any:
    """A graph of NIR that says exactly what the model computes, in evaluation.

    ``nir.write(path, to_nir(model, dt))`` makes a file of it.

    Args:
        model: Neurons, a layer, or a network of layers without a readout that sums over time.
        dt: Duration of a step in seconds, which turns factors per step into time constants.

    Raises:
        UserError: NIR cannot say it, in the version that is installed; names what, why, and what
            is nearest.
    """
    nir = library()
    if not dt > 0.0:
        raise UserError(f"dt is the duration of a step in seconds, above 0, not {dt}")
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    layers = list(model) if isinstance(model, Network) else [model]
    last = "input"
    for place, layer in enumerate(layers):
        neuron = layer if isinstance(layer, Neuron) else getattr(layer, "neuron", None)
        if neuron is None or not isinstance(layer, Neuron | Layer | SpikingLayer):
            raise refusal(
                f"{type(layer).__name__} in NIR", "it is no chain of weights and neurons", "Layer"
            )
        name = f"neuron_{place}"
        if not isinstance(layer, Neuron):
            weight, bias, recurrent = _weights(layer)
            nodes[f"weight_{place}"] = _linear(nir, weight, bias)
            edges.append((last, f"weight_{place}"))
            last = f"weight_{place}"
            if recurrent is not None:
                nodes[f"recurrent_{place}"] = _linear(nir, recurrent, None)
                edges += [(name, f"recurrent_{place}"), (f"recurrent_{place}", name)]
        nodes[name] = node_of(neuron, dt)
        edges.append((last, name))
        last = name
    first = next(iter(nodes.values()))
    nodes = {
        "input": nir.Input(first.input_type),
        **nodes,
        "output": nir.Output(nodes[last].output_type),
    }
    return nir.NIRGraph(nodes, [*edges, (last, "output")])


def from_nir(
    source: Any,
    dt: float,
    *,
    written_by: str | None = None,
    surrogate: Surrogate | None = None,
) -> Neuron | Network:
    """The network of a graph of NIR, or its neurons where it has no weights.

    Args:
        source: A graph, or the path of a file; of a file it is known which version wrote it.
        dt: Duration of a step in seconds.
        written_by: Version of NIR that a graph was written by, where that is not the one that is
            installed: read by 1.0.6 or later, a graph of 1.0.5 or earlier has lost that its spikes
            subtract the threshold.
        surrogate: Spike function, of which NIR says nothing; None for that of the metadata.

    Raises:
        UserError: The file cannot be read, or the graph says what no layer computes; names it.
    """
    nir = library()
    graph = source
    if isinstance(source, str | Path):
        graph, written_by = _read(nir, Path(source))
    if type(graph).__name__ != "NIRGraph":
        graph = nir.NIRGraph.from_list(graph)
    soft = subtracts(written_by or nir.version)
    stages = [
        (layer, neuron_of(node, _step(node, dt), soft, surrogate), recurrent)
        for layer, node, recurrent in _chain(graph)
    ]
    if len(stages) == 1 and stages[0][0] is None and stages[0][2] is None:
        return stages[0][1]
    return Network([_layer(*stage) for stage in stages])


def _read(nir: Any, path: Path) -> tuple[Any, str]:
    if not path.is_file():
        raise UserError(f"no NIR file at {path}; check the path")
    try:
        return nir.read(path), nir.serialization.read_version(path)
    except Exception as error:  # whatever a damaged file makes NIR or HDF5 stumble over
        raise UserError(f"{path} is no NIR file, or damaged ({error}); write it anew") from error


def _step(node: Any, dt: float) -> float:
    told = node.metadata.get("dt")
    if told is not None and not np.isclose(float(told), dt):
        raise UserError(f"the graph was written for steps of {float(told):g} s, not {dt:g} s")
    return dt


# ---- weights


def _weights(layer: Layer | SpikingLayer) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Input weight, bias and recurrent weight, from column to row."""
    name = type(layer).__name__
    if isinstance(layer, Layer):
        if layer.deletion_probability:
            raise refusal(f"{name} that deletes spikes", "NIR draws nothing", "probability 0")
        recurrent: Tensor | None = layer.recurrent_weight
        if recurrent is not None and layer.recurrent_mask is not None:
            recurrent = recurrent * layer.recurrent_mask
        return layer.input_weight, layer.bias, recurrent
    if not isinstance(layer.norm, nn.Identity):
        raise refusal(f"{name} with a normalisation", "NIR has none", "its factors in the weights")
    if layer.delay is not None:
        raise refusal(f"{name} with delays", "NIR's Delay is in no chain here", "no delay")
    if layer.directions != 1:
        raise refusal(f"{name} in both directions", "NIR knows no end of time", "one direction")
    return layer.W.weight, layer.W.bias, layer.recurrent_weight()


def _linear(nir: Any, weight: Tensor, bias: Tensor | None) -> Any:
    array = weight.detach().cpu().numpy().copy()
    if bias is None:
        return nir.Linear(weight=array)
    return nir.Affine(weight=array, bias=bias.detach().cpu().numpy().copy())


def _layer(linear: Any, neuron: Neuron, loop: Any) -> Layer:
    if linear is None:
        raise refusal(
            "a NIR neuron without weights in a network", "a layer has some", "an identity"
        )
    weight = np.asarray(linear.weight)
    biases = [b for node in (linear, loop) if (b := getattr(node, "bias", None)) is not None]
    if weight.ndim != 2:
        raise refusal(f"a NIR weight of {weight.ndim} dimensions", "a layer has two", "a flat one")
    with torch.random.fork_rng(devices=[]):  # what is drawn here is replaced
        layer = Layer(weight.shape[1], neuron, recurrent=loop is not None, bias=bool(biases))
    with torch.no_grad():
        layer.input_weight.copy_(torch.as_tensor(weight))
        if layer.recurrent_weight is not None:
            layer.recurrent_weight.copy_(torch.as_tensor(np.asarray(loop.weight)))
        if biases:
            layer.bias.copy_(torch.as_tensor(sum(np.asarray(b) for b in biases)))
    return layer


# ---- the graph


def _chain(graph: Any) -> list[tuple[Any, Any, Any]]:
    """Weight or None, neuron, and recurrent weight or None, of every stage.

    Raises:
        UserError: The graph is no such chain; names the node.
    """
    behind: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        behind.setdefault(source, []).append(target)
        behind.setdefault(target, [])
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    if missing := behind.keys() - kinds.keys():
        raise refusal(f"an edge of a NIR graph to {sorted(missing)}", "no such node", _CHAIN)
    (start, *others) = [name for name, kind in kinds.items() if kind == "Input"] or [""]
    if others or not start:
        raise refusal("a NIR graph with no input, or several", "a network has one", "one Input")
    stages: list[tuple[Any, Any, Any]] = []
    weight, place, seen = None, start, set[str]()
    while True:
        loops = [n for n in behind[place] if kinds[n] in _LINEAR and behind[n] == [place]]
        further = [name for name in behind[place] if name not in loops]
        if kinds[place] in _NEURONS:
            loop = graph.nodes[loops[0]] if loops else None
            stages.append((weight, graph.nodes[place], loop))
            weight = None
        elif kinds[place] in _LINEAR and weight is None:
            weight = graph.nodes[place]
        elif kinds[place] == "Output" and stages and weight is None:
            if aside := kinds.keys() - seen - {place}:
                raise refusal(f"what a NIR graph has aside, {sorted(aside)},", "it is lost", _CHAIN)
            return stages
        elif place != start:
            raise refusal(f"the node {place!r} of a NIR graph", f"a {kinds[place]} here", _CHAIN)
        seen |= {place, *loops}
        if len(further) != 1 or len(loops) > 1 or further[0] in seen:
            raise refusal(f"what follows the node {place!r} of a NIR graph", "it branches", _CHAIN)
        (place,) = further


_LINEAR = {"Linear", "Affine"}
_NEURONS = {"LIF", "CubaLIF", "IF", "LI"}
_CHAIN = "a chain of Linear or Affine and LIF, CubaLIF, IF or LI, each with a Linear loop or none"
