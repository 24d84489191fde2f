"""What a step can carry from one call to the next besides its state: all that it reaches, as bytes.

A counter in an object, an array, a closure or a global, a generator of random numbers: a step that
decides by one of these may compute the same many times before it computes something else.
"""

from __future__ import annotations

import io
import pickle
import sys
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

from torch import Tensor

#: What stands in these modules is taken as it is.
_KNOWN = {*sys.stdlib_module_names, "torch", "numpy"} - {"__main__"}


def reached(root: Any) -> bytes | None:
    """Bytes that are equal as long as nothing has changed; None where there is too much to tell."""
    sink = io.BytesIO()
    try:
        _Reached(sink, protocol=4).dump(root)
    except Exception:  # whatever the objects of others do when they are asked what they hold
        return None
    return sink.getvalue()


class _Reached(pickle.Pickler):
    """Goes into functions and classes, which are otherwise noted by their name; never read back."""

    def persistent_id(self, found: Any) -> Any:
        if isinstance(found, Tensor):
            return id(found), found._version
        if isinstance(found, ModuleType | BuiltinFunctionType | CodeType):
            return id(found)
        if isinstance(found, FunctionType | type):
            module = str(getattr(found, "__module__", None))
            return id(found) if module.partition(".")[0] in _KNOWN else None
        return None

    def reducer_override(self, found: Any) -> Any:
        if isinstance(found, FunctionType):
            names = _names(found.__code__) & found.__globals__.keys()
            read = [found.__globals__[name] for name in sorted(names)]
            return _held(found.__closure__, read, found.__defaults__, found.__kwdefaults__)
        if isinstance(found, type):
            own = [value for name, value in vars(found).items() if not name.startswith("__")]
            return _held(*found.__bases__, *own)
        if isinstance(found, CellType):
            return _held(*_content(found))
        if isinstance(found, property):
            return _held(found.fget)
        if isinstance(found, staticmethod | classmethod):
            return _held(found.__func__)
        try:
            reduced = found.__reduce_ex__(4)
        except Exception:
            return _held(id(found))
        return _held(id(found)) if isinstance(reduced, str) else reduced


def _held(*values: Any) -> tuple[Any, ...]:
    # As a state: what refers to itself is noted before what it holds.
    return object, (), values


def _content(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # empty
        return ()


def _names(code: CodeType) -> set[str]:
    """Names that a function and those inside it look up, globals among them."""
    inner = [_names(const) for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*inner)
