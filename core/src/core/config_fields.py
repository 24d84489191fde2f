"""The fields of a config class: their types, their explanations, and how a text becomes a value.

A config class is a flat dataclass. Every field has a default, and a string literal under it that
explains it. Its type is one of ``int``, ``float``, ``bool``, ``str``, ``Path``, ``Literal[...]``,
``X | None``, and a ``list`` or ``tuple`` of any of these. Every number has a range, see
:func:`core.config_ranges.number`::

    @dataclass(frozen=True)
    class Config:
        lr: float = number(1e-3, above=0, most=1e4)
        '''Learning rate of Adam.'''
        out: Path = field(default=Path("runs"), metadata={"hash": False})
        '''Folder of the run; ``hash: False`` says that it does not influence the result.'''

The type of a field alone decides how its text is read, on the command line and in a YAML file
alike. So ``1e-3`` is a float and ``no`` is a choice named "no", whatever YAML's guesses are.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import math
import textwrap
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from core.config_ranges import Range
from core.outside.text import shown
from core.paths import read_path

_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
_NOTHING = ("", "~", "none", "null")
_LONGEST_TEXT = 4096  # bytes
_SCALARS = {int: "int", float: "float", bool: "true|false", str: "text", Path: "path"}


@dataclasses.dataclass(frozen=True)
class ConfigField:
    """One field of a config class."""

    key: str
    kind: Any
    """The resolved type annotation."""
    default: Any
    explanation: str
    """The string literal under the field, on one line; empty without one."""
    hashed: bool
    """Whether the value may influence the result of a run (see ``core.config.config_hash``)."""
    range: Range | None
    """What a number may be; None where there is none."""


@dataclasses.dataclass(frozen=True)
class Text:
    """A value as it was written, before the field's type gives it a meaning."""

    value: str | tuple[str, ...]
    """A tuple when it was written as a sequence."""
    quoted: bool = False
    """Quotes in a YAML file keep the word "none" a text."""


@functools.cache
def config_fields(config_class: type) -> dict[str, ConfigField]:
    """The fields of ``config_class`` by key, in definition order.

    Those of a base class with ``listed_last = True`` come after all others.

    Raises:
        TypeError: a field has no default, no range where it has numbers, or a type that a command
            line cannot express.
    """
    kinds, explanations = get_type_hints(config_class), _explanations(config_class)
    fields = {}
    for item in sorted(dataclasses.fields(config_class), key=partial(_is_late, config_class)):
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if default is dataclasses.MISSING:
            raise TypeError(f"{config_class.__name__}.{item.name} needs a default")
        if item.name in ("config", "help", "h", "print_config"):
            raise TypeError(f"{config_class.__name__}.{item.name}: this flag is taken")
        _check_kind(kinds[item.name], f"{config_class.__name__}.{item.name}")
        allowed = item.metadata.get("range")
        if _has_numbers(kinds[item.name]) != (allowed is not None):
            raise TypeError(
                f"{config_class.__name__}.{item.name}: a number, and only that, has a range"
            )
        fields[item.name] = ConfigField(
            key=item.name,
            kind=kinds[item.name],
            default=default,
            explanation=explanations.get(item.name, ""),
            hashed=item.metadata.get("hash", True),
            range=allowed,
        )
    return fields


def _is_late(config_class: type, item: dataclasses.Field[Any]) -> bool:
    """Whether a field comes from a base class whose fields are to be listed last."""
    bases = (base for base in config_class.__mro__ if vars(base).get("listed_last", False))
    return any(item.name in vars(base).get("__annotations__", {}) for base in bases)


def check_ranges(config: Any) -> None:
    """Hold every number of a config to the range of its field.

    Raises:
        ValueError: One is out of its range; says which, and the range.
    """
    config_class: Any = type(config)
    for key, entry in config_fields(config_class).items():
        value = getattr(config, key)
        if entry.range is None or value is None:
            continue
        values = tuple(value) if is_sequence(entry.kind) else (value,)
        text = " ".join(map(str, values))
        text = text if len(text) <= 80 else f"{text[:60]}..."
        for index, item in enumerate(values):
            if not entry.range.holds(item, index):
                which = "it" if len(values) == 1 else f"value {index + 1}"
                raise ValueError(f"{key} is {text}; {which} must be {entry.range.describe(index)}")
        if entry.range.ascending and list(values) != sorted(values):
            raise ValueError(f"{key} is {text}; the lower end of the range comes first")


def describe(kind: Any) -> str:
    """The type as a user reads it: ``int``, ``float or none``, ``{sgd,adam}``, ``list of int``."""
    if is_optional(kind):
        return f"{describe(_inner(kind))} or none"
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if is_sequence(kind):
        items = get_args(kind)
        if get_origin(kind) is tuple and items[1:] != (...,):
            return f"{len(items)} values: " + ", ".join(map(describe, items))
        return f"list of {describe(items[0])}"
    return _SCALARS[kind]


def is_optional(kind: Any) -> bool:
    """Whether the type is ``X | None``."""
    return get_origin(kind) in (Union, UnionType)


def is_sequence(kind: Any) -> bool:
    """Whether the type is a list or a tuple, optional or not."""
    return get_origin(_inner(kind)) in (list, tuple)


def is_boolean(kind: Any) -> bool:
    """Whether the type is ``bool``, optional or not."""
    return _inner(kind) is bool


def read_value(kind: Any, text: Text) -> Any:
    """The value that ``text`` stands for in a field of type ``kind``.

    Raises:
        ValueError: it stands for none; the message says what was expected.
    """
    try:
        return _read(kind, text)
    except ValueError:
        written = list(text.value) if isinstance(text.value, tuple) else text.value
        raise ValueError(f"expected {describe(kind)}, got {shown(written)}") from None


def to_plain(value: Any, kind: Any) -> Any:
    """The value in types that JSON knows; 1 in a float field becomes 1.0, a tuple a list."""
    if value is None:
        return None
    kind = _inner(kind)
    if is_sequence(kind):
        items = get_args(kind)
        items = items if len(items) == len(value) and ... not in items else items[:1] * len(value)
        return [to_plain(item, item_kind) for item, item_kind in zip(value, items, strict=True)]
    if kind is float:
        return float(value)
    return str(value) if kind is Path else value


def _read(kind: Any, text: Text) -> Any:
    if is_optional(kind):
        written = text.value
        nothing = isinstance(written, str) and written.lower() in _NOTHING and not text.quoted
        return None if nothing else _read(_inner(kind), text)
    if is_sequence(kind):
        return _read_sequence(kind, text)
    if not isinstance(text.value, str):
        raise ValueError
    if get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in get_args(kind)}
        if text.value not in choices:
            raise ValueError
        return choices[text.value]
    if kind is bool:
        if text.value.lower() not in _BOOLEANS:
            raise ValueError
        return _BOOLEANS[text.value.lower()]
    if kind is Path:
        return read_path(text.value)
    value = kind(text.value)
    if kind is float and not math.isfinite(value):
        raise ValueError
    if kind is str and len(value.encode()) > _LONGEST_TEXT:
        raise ValueError
    return value


def _read_sequence(kind: Any, text: Text) -> list[Any] | tuple[Any, ...]:
    """Reads ``[1, 2]``, ``1,2`` and ``1 2``, or what is a sequence already."""
    items = text.value
    if isinstance(items, str):
        items = tuple(items.strip().removeprefix("[").removesuffix("]").replace(",", " ").split())
    container, kinds = get_origin(kind), get_args(kind)
    if container is list or kinds[1:] == (...,):
        kinds = kinds[:1] * len(items)
    return container(  # strict: another number of items raises ValueError
        _read(item_kind, Text(item)) for item_kind, item in zip(kinds, items, strict=True)
    )


def _inner(kind: Any) -> Any:
    """``X`` of ``X | None``; any other type as it is."""
    if not is_optional(kind):
        return kind
    return next(argument for argument in get_args(kind) if argument is not NoneType)


def _has_numbers(kind: Any) -> bool:
    kind = _inner(kind)
    items = get_args(kind) if is_sequence(kind) else (kind,)
    return any(item in (int, float) for item in map(_inner, items))


def _check_kind(kind: Any, where: str) -> None:
    if is_optional(kind):
        fits = len(get_args(kind)) == 2 and NoneType in get_args(kind)
        kind = _inner(kind)
    else:
        fits = True
    if get_origin(kind) in (list, tuple):
        for item in get_args(kind):
            if item is not ...:
                _check_kind(item, where)
    elif get_origin(kind) is not Literal:
        fits = fits and kind in _SCALARS
    if not fits:
        raise TypeError(f"{where}: a config field cannot have the type {kind}")


def _explanations(config_class: type) -> dict[str, str]:
    """The string literal under each field, read from the source, base classes first."""
    found: dict[str, str] = {}
    for owner in reversed(config_class.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except OSError:  # typed into an interpreter: there is no source to read
            continue
        (definition,) = ast.parse(source).body
        assert isinstance(definition, ast.ClassDef)
        for here, below in zip(definition.body, definition.body[1:], strict=False):
            match here, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=key)),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found[key] = " ".join(words.split())
    return found
