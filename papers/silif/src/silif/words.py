"""Command lines and files as words by key, before any value has a meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from core.config_fields import Text, config_fields, is_boolean, is_sequence, read_value
from core.errors import UserError
from core.outside.text import DOCUMENT_BYTES, compose_yaml, read_text, shown
from silif.config import Config

OLD_SPELLINGS = {"--new_exp_folder": "out"}

Words = dict[str, list[str]]
"""Values by key, as they were written."""

_FLAG = re.compile(r"--?[A-Za-z_]")  # a value such as -1 or -1e-3 is none
_ALONE = ("help", "h", "print_config")
_ONE_WORD = ("config", "dataset_name", "device", "gpu_device", "backend", "mirror", "sweep_name")
_SWEEP_KEYS = ("parameters", "method", "metric", "name", "program", "project", "description")


def read_flags(argv: Sequence[str]) -> tuple[Words, list[str]]:
    """The values of every flag, and the words that belong to none.

    What stands behind ``--key=value``, or behind a flag that takes one word, is such a word; so is
    what stands behind a boolean and is no boolean.
    """
    given: Words = {}
    rest, loose = list(argv), []
    while rest:
        word = rest.pop(0)
        if not _FLAG.match(word):
            loose.append(word)
            continue
        flag, equals, value = word.partition("=")
        key = _key(flag)
        values = [value] if equals else []
        while not equals and rest and not _FLAG.match(rest[0]) and _takes(key, values, rest[0]):
            values.append(rest.pop(0))
        given[key] = values
    return given, loose


def read_file(path: Path) -> tuple[Words, bool]:
    """The values in a configuration file, and whether it is one of ours with single values.

    Raises:
        UserError: It is unreadable, or in neither form.
    """
    text = read_text(path, limit=DOCUMENT_BYTES)
    root = compose_yaml(text, str(path))
    if root is None:  # nothing but comments
        return {}, True
    pairs = _mapping(root, path)
    sweep = "parameters" in pairs
    if sweep:
        if unknown := [key for key in pairs if key not in _SWEEP_KEYS]:
            raise UserError(f"{path}: {shown(unknown[0])} stands beside parameters, not below it")
        pairs = _mapping(pairs["parameters"], path)
    words = {_key(key): _values(node, f"{path}: {shown(key)}") for key, node in pairs.items()}
    fields = config_fields(Config)
    if unknown := [key for key in words if key not in fields]:
        raise UserError(f"{path}: {shown(unknown[0])}: no such option; --help lists all")
    lists = [k for k, v in words.items() if len(v) != 1 and not is_sequence(fields[k].kind)]
    return words, not sweep and not lists


def as_flags(words: Mapping[str, Sequence[str]]) -> list[str]:
    """The command line that says the same."""
    return [
        word
        for key, values in words.items()
        for word in ([f"--{key}={values[0]}"] if len(values) == 1 else [f"--{key}", *values])
    ]


def is_on(words: Words, key: str) -> bool:
    """Whether a boolean is on; of a wrong value, the parser complains best."""
    if key not in words:
        return False
    value = words[key][0] if words[key] else "true"
    return _boolean(value) and bool(read_value(bool, Text(value)))


def _key(flag: str) -> str:
    name = flag.lstrip("-").replace("-", "_")
    old = {spelling.lstrip("-"): key for spelling, key in OLD_SPELLINGS.items()}
    return old.get(name, name)


def _takes(key: str, values: list[str], word: str) -> bool:
    """Whether a flag takes one more word."""
    fields = config_fields(Config)
    if key in _ALONE or key.startswith("no_"):
        return False
    if key in fields and is_boolean(fields[key].kind):
        return _boolean(word)
    single = key in _ONE_WORD or (key in fields and "Path" in str(fields[key].kind))
    return not (single and values)


def _boolean(word: str) -> bool:
    try:
        read_value(bool, Text(word))
    except ValueError:
        return False
    return True


def _mapping(node: yaml.Node, path: Path) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise UserError(
            f"{path}: expected lines that read 'key: value', or parameters: with values below"
        )
    found = {}
    for key, value in node.value:
        if str(key.value) in found:
            raise UserError(f"{path}: {shown(str(key.value))} is given twice; keep one")
        found[str(key.value)] = value
    return found


def _values(node: yaml.Node, where: str) -> list[str]:
    if isinstance(node, yaml.MappingNode):
        inside = {str(key.value): value for key, value in node.value}
        if set(inside) not in ({"values"}, {"value"}):
            raise UserError(f"{where}: expected 'values: [...]' below it")
        node = next(iter(inside.values()))
    if isinstance(node, yaml.ScalarNode):
        return [node.value]
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    if not items or not all(isinstance(item, yaml.ScalarNode) for item in items):
        raise UserError(f"{where}: expected one value or a flat list of some")
    return [item.value for item in items]
