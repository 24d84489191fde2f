"""Text of others becomes plain values.

Read are UTF-8, JSON and YAML without tags, anchors and dates. What comes back consists of
dictionaries (keys are texts, in YAML also whole numbers), lists, texts, booleans, finite numbers
and None, nested at most :data:`DEPTH` deep; whole numbers have 64 bits, texts are valid Unicode.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.once import once

if TYPE_CHECKING:
    import yaml

DOCUMENT_BYTES = 2**20
"""Most bytes of one document: a JSON or YAML file, a line of JSON lines."""

FILE_BYTES = 2**24
"""Most bytes of a file of many lines."""

_ERRORS = (ValueError, OverflowError)
"""Of a reader of JSON."""

DEPTH = 16
"""How deep lists and dictionaries may be nested; our own files need five."""


def read_text(path: Path, *, missing: str = "check the path", limit: int = FILE_BYTES) -> str:
    """The text in a file.

    Args:
        path: The file.
        missing: What to do when it does not exist, for the message.
        limit: Most bytes it may have.

    Raises:
        UserError: It is no file, cannot be read, is too large or not UTF-8.
    """
    try:
        if not path.exists():
            raise UserError(f"{path} does not exist: {missing}")
        if not path.is_file():  # opening a pipe would wait, and a device never ends
            raise UserError(f"{path} is not a file: {missing}")
        with open(path, "rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise UserError(f"{path} has more than {limit} bytes: {missing}")
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as text, put back a copy: {reason(error)}"
        ) from error


def read_json(path: Path, *, missing: str = "check the path") -> Any:
    """The value in a JSON file. Raises UserError like :func:`read_text` and :func:`from_json`."""
    return from_json(read_text(path, missing=missing, limit=DOCUMENT_BYTES), str(path))


def read_json_lines(path: Path, *, missing: str = "check the path") -> Iterator[tuple[str, str]]:
    """The lines of a file of JSON lines, each with its place; :func:`from_json` reads a line."""
    for number, line in enumerate(read_text(path, missing=missing).splitlines(), start=1):
        yield line, f"{path}, line {number}"


def read_yaml(path: Path, *, missing: str = "check the path") -> Any:
    """The value in a YAML file; None in an empty one.

    Raises:
        UserError: As :func:`read_text`, or it is not YAML of the kind described above.
    """
    return from_yaml(read_text(path, missing=missing, limit=DOCUMENT_BYTES), str(path))


def from_yaml(text: str, where: str) -> Any:
    """The value of a YAML document; None of an empty one.

    Raises:
        UserError: It is not YAML of the kind described above.
    """
    import yaml

    read = partial(yaml.load, text, Loader=_loader())
    return _explained(text, read, where, "YAML", (yaml.YAMLError, *_ERRORS))


def compose_yaml(text: str, where: str) -> yaml.Node | None:
    """The nodes of a YAML document, for a reader that gives scalars their types itself.

    Raises:
        UserError: It is not YAML of the kind described above.
    """
    import yaml

    read = partial(yaml.compose, text, Loader=_loader())
    return _bounded(text, read, where, "YAML", (yaml.YAMLError, *_ERRORS))


def from_json(text: str, where: str) -> Any:
    """The value of a JSON document; NaN and infinities, which JSON does not have, become None.

    Args:
        text: The document.
        where: Its place, for messages.

    Raises:
        UserError: It is not JSON, or not of the kind described above.
    """
    return _explained(
        text,
        lambda: json.loads(
            text,
            parse_constant=lambda _: None,
            parse_float=lambda digits: finite(float(digits)),
            object_pairs_hook=_object,
        ),
        where,
        "JSON",
    )


def to_json(value: Any, **style: Any) -> str:
    """A JSON document that :func:`from_json` reads; the only writer of JSON in the house.

    Args:
        value: Plain values. NaN and infinities become null, half characters (of file names that
            are not UTF-8) question marks.
        style: Of ``json.dumps``.
    """
    return json.dumps(_writable(value), allow_nan=False, **style)


def finite(value: Any) -> Any:
    """``value``, or None for a NaN or an infinity, which JSON cannot hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def counted(number: int, noun: str) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: Any) -> str:
    """A value of others in a message: on one line, in printable characters, not too long."""
    if not isinstance(value, str | int | float | list | tuple | dict | None):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a whole number of more than 64 bits"  # Python refuses to print the longest
    try:
        return _cut(repr(value), 80)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


def reason(error: BaseException) -> str:
    """What an error says about a file of others, in the same way."""
    text = " ".join(str(error).split()) or type(error).__name__
    return _cut(repr(text)[1:-1], 200)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


@once
def _loader() -> Any:
    import yaml  # here: a machine that only measures its GPU may lack it

    class Loader(yaml.SafeLoader):
        """YAML without what makes values that JSON does not have or documents that explode."""

        yaml_implicit_resolvers = {  # noqa: RUF012  as in the base class
            first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
            for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        depth = 0

        def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ValueError(
                    f"anchors and aliases are not read, line {event.start_mark.line + 1}"
                )
            if getattr(event, "tag", None):
                raise ValueError(f"tags are not read, line {event.start_mark.line + 1}")
            self.depth += 1
            if self.depth > DEPTH:
                raise RecursionError
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            pairs = [
                (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                for key, value in node.value
            ]
            return _object(pairs)

    return Loader


def _bounded(
    text: str, read: Any, where: str, kind: str, errors: tuple[type[Exception], ...] = _ERRORS
) -> Any:
    if len(text) > DOCUMENT_BYTES:
        raise UserError(f"{where} has more than {DOCUMENT_BYTES} characters; put back a copy")
    try:
        return read()
    except RecursionError:
        raise UserError(f"{where} is nested too deep; put back a copy") from None
    except errors as error:
        raise UserError(
            f"{where}: cannot be read as {kind}, correct the file or put back a copy: "
            f"{reason(error)}"
        ) from None


def _explained(
    text: str, read: Any, where: str, kind: str, errors: tuple[type[Exception], ...] = _ERRORS
) -> Any:
    value = _bounded(text, read, where, kind, errors)
    _check_plain(value, where, 0)
    return value


def _object(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    if any(isinstance(key, bool) or not isinstance(key, str | int) for key, _ in pairs):
        raise ValueError("a key is neither a text nor a whole number")
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"{shown(twice)} is given twice")
    return found


def _check_plain(value: Any, where: str, depth: int) -> None:
    if depth > DEPTH:
        raise UserError(f"{where} is nested too deep; put back a copy")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, where, depth)
            _check_plain(item, where, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, where, depth + 1)
    elif isinstance(value, str):
        if not _is_unicode(value):
            raise UserError(f"{where} holds half a character in {shown(value)}; correct it")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UserError(f"{where} holds {value}, which is no number; correct it")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UserError(f"{where} holds a whole number of more than 64 bits; correct it")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _writable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return finite(value)
