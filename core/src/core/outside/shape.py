"""Which types and fields a value of others must have, and which names may become paths.

A shape is one of

=====================  =========================================================================
``int``, ``str`` ...   that type; only ``bool`` takes booleans, ``float`` takes whole numbers too,
                       and only up to 1e100, so that means and squares stay finite
``None``               None
``object``             anything
a compiled pattern     a text that matches it as a whole
a set                  one of these texts
``(a, b)``             one of several shapes
``[a]``                a list of ``a``
``{str: a}``           an object whose values are ``a``, whatever its keys; ``{int: a}`` likewise
``{"x": a, "y?": b}``  an object with a field ``x`` and maybe ``y``; more fields are not looked at
=====================  =========================================================================
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.outside.text import shown

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]{0,99}")
"""A name that may become part of a path: it names no other folder and is not hidden."""

CONFIG_FILE = re.compile(rf"configs/{NAME.pattern}")
"""A configuration of a paper, relative to the paper's folder."""

_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def check(value: Any, shape: Any, where: str, next_step: str = "put back a copy") -> Any:
    """Return ``value`` when it has the shape.

    Args:
        value: Plain, as :mod:`core.outside.text` gives it.
        shape: As above.
        where: Its place, for messages.
        next_step: What to do when it has another shape.

    Raises:
        UserError: It has not; names the field and what was expected.
    """
    if isinstance(shape, tuple):  # of containers, the one of the value's own kind
        shape = next((item for item in shape if type(item) is type(value)), shape)
    if isinstance(shape, dict) and isinstance(value, dict):
        if (kind := next(iter(shape), None)) in (str, int):
            for key, item in value.items():
                check(key, kind, f"{where}: a key", next_step)
                check(item, shape[kind], f"{where}: {shown(key)}", next_step)
            return value
        if missing := [key for key in shape if not key.endswith("?") and key not in value]:
            raise UserError(f"{where} lacks {', '.join(missing)}; {next_step}")
        for key, item_shape in shape.items():
            name = key.removesuffix("?")
            if name in value:
                check(value[name], item_shape, f"{where}: {name}", next_step)
    elif isinstance(shape, list) and isinstance(value, list):
        for number, item in enumerate(value, start=1):
            check(item, shape[0], f"{where}: entry {number}", next_step)
    elif not _fits(value, shape):
        raise UserError(f"{where} must be {_described(shape)}, found {shown(value)}; {next_step}")
    return value


def inside(folder: Path, name: str) -> Path:
    """``folder / name`` for a name that comes from a file.

    Raises:
        UserError: The path would leave the folder, also through a link.
    """
    parts = name.split("/")
    if not all(NAME.fullmatch(part) for part in parts):
        raise UserError(f"{shown(name)} is no name of a file in {folder}; correct where it stands")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} is a link that leaves {folder}; put a file in its place")
    return path


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, tuple):
        return any(_fits(value, item) for item in shape)
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if isinstance(shape, set | frozenset):
        return isinstance(value, str) and value in shape
    if shape is None:
        return value is None
    if not isinstance(shape, type):
        return False  # a list or an object is expected, and this is neither
    if isinstance(value, bool):
        return shape in (bool, object)
    if shape is float:
        return isinstance(value, int | float) and not 1e100 < abs(value) < math.inf
    return isinstance(value, shape)


def _described(shape: Any) -> str:
    if isinstance(shape, tuple):
        return " or ".join(map(_described, shape))
    if isinstance(shape, re.Pattern):
        return "a name of letters, digits and . _ + -" if shape is NAME else f"like {shape.pattern}"
    if isinstance(shape, set | frozenset):
        return f"one of {', '.join(sorted(shape))}"
    if shape is None:
        return "null"
    if isinstance(shape, list) or shape is list:
        return "a list"
    return _TYPES.get(shape, "an object") if isinstance(shape, type) else "an object"
