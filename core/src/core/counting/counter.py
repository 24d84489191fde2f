"""Looks on while a network runs, and counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from core.counting.counts import Counts, LayerCounts, Synapses
from core.layers.gated import GatedLayer
from core.layers.sequence import LayerOutput
from core.scan.case import Case
from core.tap import Onlooker, layer_names, shown_to

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Counter(Onlooker):
    """Counts what a model does while this context is open, to the operation.

    It sees layers and readouts of this package, scans, ``nn.Linear`` and ``nn.Conv1d`` to
    ``nn.Conv3d``; what it cannot see is named in :attr:`Counts.uncounted`. A recurrence carries
    what step ``t - 1`` gave to step ``t``, and what the caller's state says to the first; a state
    that the neuron starts from by itself sends nothing. Further pathways of a scan count as active
    all the time. Both directions of a layer share one product with the input. Meant for evaluation
    mode: what dropout zeroes is a zero here.

        with Counter(model) as counter, torch.no_grad():
            model(x)
        print(counter.counts(samples=x.shape[1]))

    Args:
        model: Any module; its layers are named as in ``model.named_modules()``.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._names = layer_names(model)
        self._layers: dict[str, LayerCounts] = {}
        self._open = ExitStack()

    def __enter__(self) -> Counter:
        for module in self._model.modules():
            hook: Any = None
            if isinstance(module, GatedLayer):
                hook = self._gated
            elif isinstance(module, nn.Linear):
                hook = self._linear
            elif isinstance(module, _CONVOLUTIONS):
                hook = self._convolution
            if hook is not None:
                handle = module.register_forward_hook(hook, with_kwargs=True)
                self._open.callback(handle.remove)
        self._open.enter_context(shown_to(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def counts(self, *, samples: int) -> Counts:
        """Everything so far.

        Args:
            samples: Samples that went through; what a batch is only the caller knows.

        Raises:
            ValueError: There are none.
        """
        if samples < 1:
            raise ValueError(f"counts are means over samples, and there are {samples}")
        layers = {name: LayerCounts(**vars(layer)) for name, layer in self._layers.items()}
        weighty = self._add_memory(layers)
        unseen = [name for name in weighty if name not in self._layers]
        return Counts(samples, layers, tuple(unseen))

    def projected(self, x: Tensor, weight: Tensor, product: str = "") -> None:
        """See :class:`core.tap.Onlooker`."""
        name = self._names.get(id(weight), "unnamed")
        _add_product(self._layer(name).input, id(weight), weight, *_nonzero(x), x.numel())

    def scanned(self, case: Case, given: Any, output_TBN: Tensor, backend: str) -> None:
        """See :class:`core.tap.Onlooker`."""
        neuron = case.neuron
        layer = self._layer(self._names.get(id(neuron), type(neuron).__name__))
        layer.membrane_updates += output_TBN.numel()
        paths = list(zip(case.ends, case.pathways.values(), strict=True))
        if neuron.spiking:
            weights = {} if case.recurrent_weight is None else {(0, 0): case.recurrent_weight}
            weights |= {ends: weight for ends, weight in paths if ends[0] == 0}
            before = given.spike if given is not None else None
            self._neurons(layer, output_TBN, before, weights)
            paths = [(ends, weight) for ends, weight in paths if ends[0] != 0]
        size, neurons = output_TBN.numel(), neuron.size
        for ends, weight in paths:
            active = torch.full((neurons,), size // neurons, device=weight.device)
            _add_product(layer.recurrence, ends, weight, active, False, size)

    def _gated(self, module: GatedLayer, args: Any, kwargs: Any, result: LayerOutput) -> None:
        layer = self._layer(self._names[id(module)])
        given = kwargs.get("state", args[1] if len(args) > 1 else None)
        output_TBN = (result.turned() if module.batch_first else result).output_TBH
        if module.bidirectional:
            onward, reversed_ = output_TBN.chunk(2, dim=2)
            output_TBN = torch.cat([onward, reversed_.flip(0)], dim=1)
        gates = module.GATES if module.recurrent else ()
        weights = {gate: module.get_parameter(f"V{gate}.weight") for gate in gates}
        self._neurons(layer, output_TBN, given, weights)

    def _neurons(
        self,
        layer: LayerCounts,
        output: Tensor,
        given: Tensor | None,
        weights: Mapping[Any, Tensor],
    ) -> None:
        """Activations, and what they send through recurrent weights to the step after."""
        active, binary = _nonzero(output)
        layer.activations += output.numel()
        layer.zero_activations += output.numel() - int(active.sum())
        if not weights:
            return
        active = active - _nonzero(output[-1])[0]
        if given is not None:
            sent, also = _nonzero(given)
            active, binary = active + sent, binary and also
        for key, weight in weights.items():
            _add_product(layer.recurrence, key, weight, active, binary, output.numel())

    def _linear(self, module: nn.Linear, args: Any, kwargs: Any, _: Tensor) -> None:
        self.projected(kwargs.get("input", args[0] if args else None), module.weight)

    def _convolution(self, module: Any, args: Any, kwargs: Any, _: Tensor) -> None:
        x = kwargs.get("input", args[0] if args else None)
        weight = module.weight

        def operations(values: Tensor, weights: Tensor) -> int:
            out = module._conv_forward(values, weights, None)
            return int(out.sum(dtype=torch.float64))

        with torch.no_grad():
            single = torch.ones_like(x[:1] if x.dim() == weight.dim() else x)
            dense = operations(single, torch.ones_like(weight)) * (x.numel() // single.numel())
            effective = operations((x != 0).to(x.dtype), (weight != 0).to(x.dtype))
        name = self._names[id(weight)]
        synapses = self._layer(name).input
        synapses.add(id(weight), weight, dense, effective, _nonzero(x)[1])

    def _layer(self, name: str) -> LayerCounts:
        return self._layers.setdefault(name, LayerCounts())

    def _add_memory(self, layers: dict[str, LayerCounts]) -> dict[str, None]:
        """Add parameters and buffers to their layers; returns who has matrices, in order."""
        seen: set[int] = set()
        weighty: dict[str, None] = {}
        for module in self._model.modules():
            name = self._names[id(module)]
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if id(tensor) in seen:
                    continue
                seen.add(id(tensor))
                layer = layers.setdefault(name, LayerCounts())
                layer.parameter_count += tensor.numel() if tensor.requires_grad else 0
                layer.footprint += tensor.numel() * tensor.element_size()
                if isinstance(tensor, nn.Parameter) and tensor.dim() > 1:
                    weighty[name] = None
        return weighty


def _add_product(
    synapses: Synapses, key: Any, weight_NI: Tensor, active_I: Tensor, binary: bool, values: int
) -> None:
    """Count ``values`` presynaptic values, of which ``active_I`` are not zero, by neuron."""
    fan_out_I = (weight_NI != 0).sum(0)
    effective = int((active_I.to(torch.int64) * fan_out_I).sum())
    synapses.add(key, weight_NI, values * len(weight_NI), effective, binary)


def _nonzero(x: Tensor) -> tuple[Tensor, bool]:
    """How many values are not zero, by their last dimension; and whether all are 0 or 1."""
    rows = x.detach().reshape(-1, x.shape[-1])
    ones = int((rows == 1).count_nonzero())
    if ones == int(rows.count_nonzero()):  # a sum is quicker, and exact below 2**24
        exact = torch.float32 if len(rows) < 2**24 else torch.float64
        return rows.sum(0, dtype=exact).to(torch.int64), True
    return rows.count_nonzero(dim=0), False
