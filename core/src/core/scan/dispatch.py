"""Which backend runs a neuron over time, and the one contract they share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor

from core.errors import UserError
from core.neurons.base import Neuron
from core.opaque import asked_once, uncompiled
from core.scan import compiled, reference
from core.scan.case import Case, Traces
from core.scan.cpu import backend as cpu
from core.scan.currents import Pathways, ends_of, names_of_currents, separate
from core.scan.fields import known, to_record
from core.scan.gpu import backend as gpu
from core.scan.gpu import verified
from core.tap import onlooker

logger = logging.getLogger("core.scan")


@dataclass(frozen=True)
class Backend:
    """A way to run :func:`scan`.

    Attributes:
        name: What ``backend=`` and ``SNN_BACKEND`` call it.
        note: One line for ``core doctor``.
        device: The only type of device whose tensors it takes; None for any.
        doubt: Why ``auto`` leaves out a case that it could take, or None.
        here: What this machine offers it, one line for ``core doctor``.
        unsupported: Why it cannot take a case on its device, or None when it can.
        run: Runs a case from a state: the output ``[T, B, N]``, the state after the last step, and
            the traces that were asked for.
    """

    name: str
    note: str
    device: str | None
    doubt: Callable[[Case], str | None]
    here: Callable[[], str]
    unsupported: Callable[[Case], str | None]
    run: Callable[[Case, Any], tuple[Tensor, Any, Traces]]

    def refuses(self, case: Case) -> str | None:
        """Why it cannot take a case, or None when it can."""
        found = case.current_TBN.device.type
        if self.device not in (None, found):
            return f"it takes tensors on {self.device}, not on {found}"
        return self.unsupported(case)


#: Fastest first: ``auto`` takes the first without doubt that supports the case.
BACKENDS: tuple[Backend, ...] = (
    Backend(
        "gpu",
        "one Triton kernel per direction, printed from the neuron's step; not yet run on a GPU",
        "cuda",
        verified.doubt,
        gpu.here,
        gpu.unsupported,
        gpu.run,
    ),
    Backend(
        "cpu",
        "one kernel per direction, printed from the neuron's step; CPU, float32 and float64",
        "cpu",
        lambda case: None,
        cpu.here,
        cpu.unsupported,
        cpu.run,
    ),
    Backend(
        "reference",
        "eager loop with autograd, any neuron, any device; the definition of truth",
        None,
        lambda case: None,
        reference.here,
        reference.unsupported,
        reference.run,
    ),
)


def choose(case: Case, backend: str = "auto") -> Backend:
    """The backend that :func:`scan` takes for a case.

    ``backend`` names one, or is ``auto``; ``auto`` reads the environment variable
    ``SNN_BACKEND`` and, where that is unset or ``auto`` too, takes the fastest that supports the
    case. A backend asked for by name is never replaced by another.

    Raises:
        UserError: Unknown name, or the named backend does not support the case.
    """
    name = _name(backend)
    if name == "auto":
        return _fastest(case)
    for candidate in BACKENDS:
        if candidate.name == name:
            reason = candidate.refuses(case)
            if reason is None:
                return candidate
            raise UserError(
                f"the scan backend {name!r} cannot run {type(case.neuron).__name__} here: "
                f"{reason}; use backend=auto"
            )
    raise _unknown(name)


def refuse_unknown(backend: str) -> None:
    """Raise UserError where no backend is called ``backend``, before there is a case to run."""
    name = _name(backend)
    if name not in ("auto", *(known.name for known in BACKENDS)):
        raise _unknown(name)


@asked_once
def _name(backend: str) -> str:
    return backend if backend != "auto" else os.environ.get("SNN_BACKEND", "auto")


def _unknown(name: str) -> UserError:
    known = ", ".join(["auto", *(b.name for b in BACKENDS)])
    return UserError(f"unknown scan backend {name!r}; there are {known} (see `core doctor`)")


_said: set[str] = set()


def _fastest(case: Case) -> Backend:
    """The first backend that takes the case; says once why it is not one made for its device."""
    reasons = []
    for candidate in BACKENDS:
        reason = candidate.refuses(case)
        if reason is None:
            if (doubt := candidate.doubt(case)) is None:
                break
            reason = f"{doubt}, backend={candidate.name} asks for it"
        if candidate.device == case.current_TBN.device.type:
            reasons.append(f"{candidate.name}: {reason}")
    if reasons:
        message = (
            f"{type(case.neuron).__name__} runs on the {candidate.name} backend, which is slower "
            f"({'; '.join(reasons)})"
        )
        if message not in _said:
            _said.add(message)
            logger.warning("%s", message)
    return candidate


@overload
def scan(
    neuron: Neuron,
    current_TBN: Tensor | Sequence[Tensor],
    *,
    recurrent_weight: Tensor | None = ...,
    spike_mask_TBN: Tensor | None = ...,
    pathways: Pathways | None = ...,
    state: Any = ...,
    backend: str = ...,
    generator: torch.Generator | None = ...,
    record: None = ...,
    spend_current: bool = ...,
) -> tuple[Tensor, Any]: ...


@overload
def scan(
    neuron: Neuron,
    current_TBN: Tensor | Sequence[Tensor],
    *,
    recurrent_weight: Tensor | None = ...,
    spike_mask_TBN: Tensor | None = ...,
    pathways: Pathways | None = ...,
    state: Any = ...,
    backend: str = ...,
    generator: torch.Generator | None = ...,
    record: Sequence[str],
    spend_current: bool = ...,
) -> tuple[Tensor, Any, Traces]: ...


def scan(
    neuron: Neuron,
    current_TBN: Tensor | Sequence[Tensor],
    *,
    recurrent_weight: Tensor | None = None,
    spike_mask_TBN: Tensor | None = None,
    pathways: Pathways | None = None,
    state: Any = None,
    backend: str = "auto",
    generator: torch.Generator | None = None,
    record: Sequence[str] | None = None,
    spend_current: bool = False,
) -> tuple[Tensor, Any] | tuple[Tensor, Any, Traces]:
    """Run a neuron over time.

    For every step ``t``: ``current[t] += recurrent_weight @ spike[t-1]`` where there is a
    recurrent weight, and ``+= weight @ state.field`` for every further pathway, each to the
    current where it ends, then
    ``state, output[t] = neuron.step(coefficients, state, current[t])``,
    then ``output[t] = state.spike = spike_mask[t] * output[t]`` where there is a spike mask.

    Args:
        neuron: ``N`` neurons of one kind.
        current_TBN: Input current, ``T >= 1``; ``B`` may be zero. For a neuron with several (basal
            and apical, say) its ``Currents`` of such sequences.
        recurrent_weight: ``[N, N]``, from column to row (``torch.nn.Linear``'s convention).
        spike_mask_TBN: 1 keeps a spike, 0 deletes it on its way out of the neuron: what the step
            itself did with it (reset, refractory variable) stands, while the output, the
            recurrence and whatever the next step reads from ``state.spike`` see it deleted.
        pathways: Further recurrent currents, each from a field of the state (as it stands after
            the previous step) through its own ``[N, N]`` weight, such as a slow current from a
            filtered spike trace: ``{"trace": weight}`` or, where it ends at another current than
            the first, ``{("trace", "apical"): weight}``. They add in the order given, after
            ``recurrent_weight``.
        state: State before the first step, None for the neuron's own initial state.
        backend: See :func:`choose`.
        generator: Passed to the neuron's ``initial_state``.
        record: Fields of the state whose value after every step is wanted, such as
            ``("potential",)``. Each costs the memory of one more output; gradients go through.
        spend_current: The caller needs the (first) current no more: where no gradient asks for it
            either (an evaluation, a layer of which nothing is trained), the output may take its
            memory.

    Returns:
        ``output_TBN`` (spikes, or potentials of a neuron that does not spike) and the state
        after the last step; with ``record``, also the traces: field -> ``[T, B, N]``.

    Raises:
        ValueError: Shapes that do not fit, other currents than the neuron's, a recurrent weight or
            a spike mask on a neuron that does not spike, or a field that the state does not have.
        UserError: A backend that is unknown or cannot take the case.
    """
    first_TBN, *further = separate(neuron, current_TBN)
    arguments = (
        *(neuron, first_TBN, recurrent_weight, spike_mask_TBN, dict(pathways or {})),
        *(to_record(record, neuron.State._fields, _state(neuron)), spend_current, tuple(further)),
    )
    device = first_TBN.device.type
    if torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            found = _run(_single(arguments), _single(state), backend, generator)
    else:
        found = _run(arguments, state, backend, generator)
    return found[:2] if record is None else found


def _single(values: Any) -> Any:
    """The same in single precision where it is less: what autocast gives to long sums."""
    if isinstance(values, Tensor):
        return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    if isinstance(values, dict):
        return {name: _single(value) for name, value in values.items()}
    if hasattr(values, "_fields"):
        return type(values)(*[_single(value) for value in values])
    return tuple([_single(value) for value in values]) if type(values) is tuple else values


def _run(
    arguments: tuple[Any, ...], state: Any, backend: str, generator: torch.Generator | None
) -> tuple[Tensor, Any, Traces]:
    """As :func:`scan`; the arguments are those of :class:`Case`."""
    if not torch.compiler.is_compiling():
        return _eager(arguments, state, backend, generator)
    case = Case(*arguments)
    _check(case)
    found = None
    if generator is None and _name(backend) in ("auto", "cpu"):
        found = compiled.run(case, state)
    return _uncompiled(arguments, state, backend, generator) if found is None else found


def _eager(
    arguments: tuple[Any, ...], state: Any, backend: str, generator: torch.Generator | None
) -> tuple[Tensor, Any, Traces]:
    case = Case(*arguments)
    _check(case)
    chosen = choose(case, backend)
    neuron, batch = case.neuron, case.current_TBN.shape[1]
    before = neuron.initial_state(batch, generator) if state is None else state
    output_TBN, after, traces = chosen.run(case, before)
    if (looking := onlooker()) is not None:
        looking.scanned(case, state, output_TBN, chosen.name)
    return output_TBN, after, traces


_uncompiled = uncompiled(_eager)


def _state(neuron: Neuron) -> str:
    return f"the state of {type(neuron).__name__}"


def _check(case: Case) -> None:
    neuron, current_TBN = case.neuron, case.current_TBN
    if current_TBN.dim() != 3 or current_TBN.shape[2] != neuron.size:
        raise ValueError(
            f"current has shape {tuple(current_TBN.shape)}, expected [T, B, {neuron.size}]"
        )
    if current_TBN.shape[0] == 0:
        raise ValueError("current has no time step (T = 0)")
    square, whole = (neuron.size, neuron.size), tuple(current_TBN.shape)
    spikes = {
        "recurrent weight": (case.recurrent_weight, square),
        "spike mask": (case.spike_mask_TBN, whole),
    }
    expected = dict(spikes)
    currents = names_of_currents(neuron)
    for name, more in zip(currents[1:], case.further, strict=True):
        expected[f"current {name!r}"] = (more, whole)
    for pathway, weight in case.pathways.items():
        field, current = ends_of(pathway, currents)
        if (field, current) == ("spike", currents[0]):
            raise ValueError("the pathway of the spike is recurrent_weight")
        if field not in neuron.State._fields:
            there = known(field, neuron.State._fields, _state(neuron))
            raise ValueError(f"no pathway can start at {field!r}: {there}")
        if current not in currents:
            there = known(current, currents, type(neuron).__name__)
            raise ValueError(f"no pathway can end at {current!r}: {there}")
        expected[f"pathway {pathway!r}"] = (weight, square)
    for what, (tensor, shape) in expected.items():
        if tensor is None:
            continue
        if what in spikes and not neuron.spiking:
            raise ValueError(f"{type(neuron).__name__} does not spike: it takes no {what}")
        if tensor.shape != shape:
            raise ValueError(f"{what} has shape {tuple(tensor.shape)}, expected {list(shape)}")
