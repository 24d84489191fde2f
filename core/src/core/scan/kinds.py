"""Which graph a neuron's step is now, traced anew unless nothing that it reads can have changed.

A step may read whatever Python can: attributes, modules, globals, what a closure holds. Only for
the package's own neurons is it known what that can be: plain attributes of the neuron, and what
stands in the package's modules and classes. Their graphs are kept. Every other step is traced at
every call (a few tenths of a millisecond), and what it computed, not what it read, is the key of
its kernels.
"""

from __future__ import annotations

import marshal
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from operator import attrgetter, is_, methodcaller
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from core import neurons, surrogates
from core.neurons.base import Neuron
from core.scan.graph import StepGraph, Unfusable
from core.scan.reach import reached
from core.scan.trace import Impure, trace
from core.surrogates import Surrogate

_CODE, _VALUES = attrgetter("__code__"), methodcaller("values")
#: Graphs and plain neurons remembered at most; then all are made anew.
MOST = 1024


class Package:
    """What the steps of the package's own neurons can read besides their attributes.

    Attributes:
        kinds: Their classes.
        surrogates: The spike functions that stand there; one that was pickled equals its origin.
    """

    def __init__(self) -> None:
        home = neurons.__name__
        names = [n for n in sys.modules if n == home or n.startswith(f"{home}.")]
        spaces: list[Any] = [vars(sys.modules[name]) for name in (*names, surrogates.__name__)]
        self.kinds = {
            value
            for space in spaces
            for value in space.values()
            if isinstance(value, type) and value.__module__ == space["__name__"]
        }
        spaces += [vars(kind) for kind in self.kinds]
        self._spaces = spaces
        self._values = list(self._now())
        self.surrogates = [value for value in self._values if isinstance(value, Surrogate)]
        self._functions = [value for value in self._values if isinstance(value, FunctionType)]
        self._code = list(map(_CODE, self._functions))

    def _now(self) -> Iterator[Any]:
        return chain.from_iterable(map(_VALUES, self._spaces))

    def unchanged(self) -> bool:
        """Whether nobody replaced an attribute, a global, a function or its code."""
        # Asked at every call: a thousand comparisons, none of them in Python.
        return (
            sum(map(len, self._spaces)) == len(self._values)
            and all(map(is_, self._now(), self._values))
            and all(map(is_, map(_CODE, self._functions), self._code))
        )


_package = Package()
_plain: dict[tuple[Any, ...], StepGraph] = {}
_graphs: dict[StepGraph, StepGraph] = {}
#: What is known of neurons whose step may read anything: "refused" -> why, variant -> last graph.
_histories: WeakKeyDictionary[Neuron, dict[Any, Any]] = WeakKeyDictionary()
#: Names that every neuron has, and that no step of the package reads.
_OF_MODULES = frozenset(vars(Neuron(1))) - {"training", "size"}
_HOOKS = _OF_MODULES - {"_parameters", "_buffers", "_modules"}


def graph_of(
    neuron: Neuron, dtype: torch.dtype, *, masked: bool, coefficients: Any = None
) -> StepGraph:
    """The graph of ``neuron``'s step as it is now; equal graphs are the same object.

    Arguments as of :func:`core.scan.trace.trace`.

    Raises:
        Unfusable: As ``trace``; also where the step draws random numbers or writes somewhere.
    """
    key = _attributes(neuron)
    if key is None:
        graph = _checked(neuron, dtype, masked, coefficients)
    else:
        key = (*key, dtype, masked, torch.is_grad_enabled(), torch.get_default_dtype())
        found = _plain.get(key)
        if found is not None:
            return found
        graph = trace(neuron, dtype, masked=masked, coefficients=coefficients)
    if len(_graphs) + len(_plain) > MOST:
        _graphs.clear()
        _plain.clear()
    graph = _graphs.setdefault(graph, graph)
    if key is not None:
        _plain[key] = graph
    return graph


def _attributes(neuron: Neuron) -> tuple[Any, ...] | None:
    """A key that is equal for neurons of the package whose step computes the same, or None."""
    global _package
    if type(neuron) not in _package.kinds:
        return None
    if not _package.unchanged():
        _package = Package()
        _plain.clear()
        return _attributes(neuron)
    values = []
    for name, value in vars(neuron).items():
        if name in _OF_MODULES:
            continue
        if isinstance(value, Surrogate) and value in _package.surrogates:
            value = _package.surrogates.index(value)
        values.append((name, value))
    try:
        # Numbers, text and tuples of them to the bit: 1, 1.0, True and -0.0, 0.0 differ.
        return type(neuron), marshal.dumps(values, 2)
    except ValueError:
        return None


def _checked(neuron: Neuron, dtype: torch.dtype, masked: bool, coefficients: Any) -> StepGraph:
    """The graph of a step of which nothing is known, once it has shown that it is a function.

    It has, where a second run draws, writes and keeps nothing and computes the same; a graph that
    the neuron had before needs no second run.
    """
    history = _histories.setdefault(neuron, {})
    if refused := history.get("refused"):
        raise Unfusable(refused)
    variant = (dtype, masked, torch.is_grad_enabled())

    def traced(size: int) -> StepGraph:
        with _nothing_written(neuron):
            return trace(neuron, dtype, masked=masked, coefficients=coefficients, size=size)

    try:
        with nullcontext() if variant in history else _nothing_drawn():
            graph = traced(2)
        if history.get(variant) != graph:
            before = reached(neuron)
            with _nothing_drawn():
                again = traced(3)
            if reached(neuron) != before:
                raise Impure("its step keeps something outside of its state")
            if again != graph:
                raise Impure("its step computes something else each time, or by shapes")
    except Impure as error:
        # For good: its next trace would draw and write again.
        history["refused"] = str(error)
        raise
    history[variant] = graph
    return graph


def _content(held: list[Any] | dict[Any, Any] | set[Any]) -> list[Any]:
    return [*held, *held.values()] if isinstance(held, dict) else [*held]


@contextmanager
def _nothing_written(neuron: Neuron) -> Iterator[None]:
    """Undo and refuse what writes to the neuron's attributes, or to a list or the like in one."""
    own: dict[str, Any] = vars(neuron)
    before = own.copy()
    held = {
        name: (value, value.copy(), _content(value))
        for name, value in own.items()
        if isinstance(value, list | dict | set) and name not in _HOOKS
    }
    try:
        yield
    finally:
        changed = {n for n in {*before, *own} if own.get(n, own) is not before.get(n, before)}
        if changed:
            own.clear()
            own.update(before)
        for name, (value, copy, content) in held.items():
            found = _content(value)
            if len(found) != len(content) or not all(map(is_, found, content)):
                changed.add(name)
                value.clear()
                value.extend(copy) if isinstance(value, list) else value.update(copy)
    if changed:
        raise Impure(f"its step writes to {', '.join(sorted(changed))} of the neuron")


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    """Undo and refuse what draws from the random numbers of Python or NumPy."""
    python = random.getstate()
    numpy: Any = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        after: Any = np.random.get_state()  # noqa: NPY002
        same = np.array_equal(after[1], numpy[1]) and after[2:] == numpy[2:]
        same = same and random.getstate() == python
        if not same:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
    if not same:
        raise Impure("its step draws random numbers in Python")
