"""Typed dataclasses <-> YAML <-> command line.

A script states its settings once, as a dataclass (see ``core.config_fields`` for what a field may
be), and asks for them with::

    config = parse(Config, prog="train.py", description="Train a network.")

Dataclass defaults < ``defaults_file`` < ``--config FILE`` < flags. Flags read ``--key value`` or
``--key=value``, with ``-`` and ``_`` alike; ``--key`` alone switches a boolean on and ``--no-key``
switches it off; of a flag given twice the last one counts.

Built on argparse (for the help page) and PyYAML alone. jsonargparse was tried: bare boolean flags,
``--no-key``, old spellings with one dash, unquoted choices such as ``no``, and errors that name the
nearest key would all have to be built on top of it, while its import takes most of the time that an
instant ``--help`` has.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from core.config_fields import (
    Text,
    check_ranges,
    config_fields,
    describe,
    is_boolean,
    is_sequence,
    read_value,
    to_plain,
)
from core.errors import UserError
from core.outside.text import DOCUMENT_BYTES, compose_yaml, read_text, shown, to_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    ConfigT = TypeVar("ConfigT", bound=DataclassInstance)

_FLAG = re.compile(r"--?[A-Za-z_]")  # a value such as -1 or -1e-3 is none


def parse(
    config_class: type[ConfigT],
    argv: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
    old_spellings: Mapping[str, str] | None = None,
    defaults_file: Path | None = None,
    abbreviations: bool = False,
) -> ConfigT:
    """Read the configuration of a run from the command line.

    ``--help`` and ``--print_config`` print and leave the process with exit code 0.

    Args:
        config_class: the dataclass of the settings.
        argv: the arguments after the program's name; those of the process by default.
        prog: the program's name in messages.
        description: what the program does, for ``--help``.
        old_spellings: flags of the authors' code and the keys they stand for, e.g.
            ``{"-init_tau": "tau"}``. They match with any number of leading dashes.
        defaults_file: a YAML file whose values replace the dataclass's own defaults.
        abbreviations: a flag may be cut short as long as it begins only one, as argparse has it.

    Raises:
        UserError: an unknown key, a value of the wrong type, or an unreadable file.
    """
    spellings = _spellings(config_class, old_spellings or {})
    argv = sys.argv[1:] if argv is None else argv
    defaults = load_values(config_class, defaults_file) if defaults_file else {}
    if {"--help", "-h"} & set(argv):
        print(_help(config_class, defaults, spellings, prog, description), end="")
        raise SystemExit(0)
    given = _flags(config_class, argv, spellings, prog, abbreviations)
    print_config, file = given.pop("print_config", False), given.pop("config", None)
    from_file = load_values(config_class, Path(file)) if file is not None else {}
    config = _build(config_class, {**defaults, **from_file, **given}, prog)
    if print_config:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    return config


def flag_value(argv: Sequence[str], key: str) -> str | None:
    """What the last flag of ``key`` says, in any spelling that ``parse`` takes.

    Only the flags that decide from which file the others start are read here; ``parse`` reads them
    again and complains about what is wrong. None without such a flag, empty for one that stands
    alone, ``"false"`` for its ``--no`` form.
    """
    found = None
    for argument, following in zip(argv, [*argv[1:], "-"], strict=False):
        name, equals, value = argument.partition("=")
        flag = name.lstrip("-").replace("-", "_") if name.startswith("-") else None
        if flag == key:
            value = value if equals else following
            found = "" if value.startswith("-") else value
        elif flag == f"no_{key}":
            found = "false"
    return found


def load_yaml(config_class: type[ConfigT], path: Path) -> ConfigT:
    """Read a config file; keys that it leaves out keep their defaults.

    Raises:
        UserError: the file is missing or not YAML, or a key or value does not fit.
    """
    return _build(config_class, load_values(config_class, path), str(path))


def load_values(config_class: type, path: Path) -> dict[str, Any]:
    """The values that a config file gives, by key, without the defaults of what it leaves out.

    Raises:
        UserError: as :func:`load_yaml`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such config file; name an existing one, or see --help")
    text = read_text(path, limit=DOCUMENT_BYTES)
    return _read_yaml(config_class, text, str(path))


def from_dict(config_class: type[ConfigT], values: Mapping[str, Any], source: str) -> ConfigT:
    """Read what :func:`to_dict` gave, with the checks of a config file.

    Args:
        config_class: the dataclass of the settings.
        values: by key, in types that JSON knows.
        source: where they come from, for messages.

    Raises:
        UserError: a key or value does not fit.
    """
    # every JSON text is a YAML text
    text = to_json(values, ensure_ascii=False)
    return _build(config_class, _read_yaml(config_class, text, source), source)


def with_values(config: ConfigT, source: str, **values: Any) -> ConfigT:
    """The config with other values of some keys, with the checks of a config file.

    Args:
        config: what to start from; it stays as it is.
        source: where the values come from, for messages.
        values: by key.

    Raises:
        UserError: a value does not fit.
    """
    all_values = {key: getattr(config, key) for key in config_fields(type(config))}
    return _build(type(config), {**all_values, **values}, source)


def to_yaml(config: DataclassInstance, header: str = "") -> str:
    """The whole config as YAML, each key under a comment that explains it.

    Args:
        config: what to write.
        header: text for the comment on top, such as the command and its outcome.
    """
    parts = [textwrap.indent(header.strip("\n"), "# ", lambda line: True)] if header else []
    plain = to_dict(config)
    for key, field in config_fields(type(config)).items():
        comment = textwrap.wrap(field.explanation, 98, initial_indent="# ", subsequent_indent="# ")
        # YAML reads a plain "none" as a text, but an optional field of ours reads it as None.
        quote = '"' if str(plain[key]).lower() == "none" and plain[key] is not None else None
        entry = yaml.safe_dump(
            {key: plain[key]},
            default_flow_style=None if isinstance(plain[key], list) else False,
            default_style=quote,
            allow_unicode=True,
        )
        parts.append("\n".join([*comment, entry.rstrip("\n")]))
    return "\n".join(parts) + "\n"


def to_dict(config: DataclassInstance) -> dict[str, Any]:
    """The config by key, in types that JSON knows: a path is a text, a tuple a list."""
    return {
        key: to_plain(getattr(config, key), field.kind)
        for key, field in config_fields(type(config)).items()
    }


def config_hash(config: DataclassInstance, exclude: Collection[str] = ()) -> str:
    """Twelve hexadecimal digits that agree when two configs ask for the same computation.

    Fields marked ``metadata={"hash": False}`` (the output folder, the device, the progress bar)
    and the keys in ``exclude`` do not count, nor does the order of the fields.

    Raises:
        ValueError: ``exclude`` names a key that the config does not have.
    """
    fields = config_fields(type(config))
    if unknown := set(exclude) - set(fields):
        raise ValueError(f"{type(config).__name__} has no {', '.join(sorted(unknown))}")
    counted = {
        key: value
        for key, value in to_dict(config).items()
        if fields[key].hashed and key not in exclude
    }
    canonical = to_json(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _build(config_class: type[ConfigT], values: Mapping[str, Any], source: str) -> ConfigT:
    try:
        config = config_class(**values)
        check_ranges(config)
        return config
    except ValueError as error:  # that, or the dataclass's own __post_init__
        raise UserError(f"{source}: {error}; --help explains each option") from error


def _normal(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _spellings(config_class: type, old_spellings: Mapping[str, str]) -> dict[str, str]:
    """Every name a flag may have (without dashes in front) and the key it stands for."""
    keys = config_fields(config_class)
    spellings = {key: key for key in (*keys, "config", "print_config")}
    for old, key in old_spellings.items():
        name = _normal(old)
        if key not in keys or name in ("h", "help") or spellings.get(name, key) != key:
            raise TypeError(f"old spelling {old!r} of {key!r}: no such key, or the flag is taken")
        spellings[name] = key
    return spellings


def _flags(
    config_class: type,
    argv: Sequence[str],
    spellings: Mapping[str, str],
    prog: str,
    abbreviations: bool,
) -> dict[str, Any]:
    """The values given as flags, by key; ``config`` and ``print_config`` among them."""
    kinds = {key: field.kind for key, field in config_fields(config_class).items()}
    kinds |= {"config": Path, "print_config": bool}
    given: dict[str, Any] = {}
    rest = list(argv)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if not _FLAG.match(flag):
            raise UserError(
                f"{flag}{equals}{value}: a value without an option; options read --key value, "
                f"see {prog} --help"
            )
        name = _normal(flag)
        if abbreviations and flag.startswith("--"):
            name = _whole(name, spellings, flag)
        negated = name not in spellings and name.startswith("no_")
        key = spellings.get(name.removeprefix("no_") if negated else name)
        if key is None:
            raise UserError(f"{flag}: {_unknown(name, spellings, '--')} {prog} --help lists all")
        if negated and (equals or not is_boolean(kinds[key])):
            raise UserError(f"{flag}: only true|false options have a --no form, without a value")
        values = [value] if equals else [] if negated else _following(rest, kinds[key])
        if not values and is_boolean(kinds[key]):
            values = ["false" if negated else "true"]
        try:
            if not values:
                raise ValueError(f"expected {describe(kinds[key])}, got nothing")
            given[key] = read_value(kinds[key], Text(" ".join(values)))
        except ValueError as error:
            raise UserError(f"{flag}: {error}; see {prog} --help") from error
    return given


def _whole(name: str, spellings: Mapping[str, str], flag: str) -> str:
    """The flag that a name cut short stands for; the name itself where there is none.

    Raises:
        UserError: it is the beginning of several.
    """
    if name in spellings:
        return name
    begun = {key: spelling for spelling, key in spellings.items() if spelling.startswith(name)}
    if len(begun) > 1:
        raise UserError(f"{flag} could be --{', --'.join(sorted(begun.values()))}; write it out")
    return next(iter(begun.values()), name)


def _following(rest: list[str], kind: Any) -> list[str]:
    """Takes the next words off ``rest`` that are values: all for a list, else at most one."""
    values: list[str] = []
    while rest and not _FLAG.match(rest[0]) and (is_sequence(kind) or not values):
        values.append(rest.pop(0))
    return values


def _read_yaml(config_class: type, text: str, path: str) -> dict[str, Any]:
    root = compose_yaml(text, path)
    if root is None:  # nothing but comments
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path}: expected lines that read 'key: value', see --print_config")
    fields = config_fields(config_class)
    values: dict[str, Any] = {}
    for key_node, node in root.value:
        where, key = f"{path}, line {key_node.start_mark.line + 1}", str(key_node.value)
        if key not in fields:
            raise UserError(
                f"{where}: {shown(key)[1:-1]}: {_unknown(key, fields, '')} --help lists all"
            )
        if key in values:
            raise UserError(f"{where}: {key} is given twice; keep one")
        try:
            values[key] = read_value(fields[key].kind, _text(node))
        except ValueError as error:
            raise UserError(f"{where}: {key}: {error}; --help explains each option") from error
    return values


def _text(node: yaml.Node) -> Text:
    if isinstance(node, yaml.ScalarNode):
        return Text(node.value, quoted=node.style is not None)
    if isinstance(node, yaml.MappingNode) or not all(
        isinstance(item, yaml.ScalarNode) for item in node.value
    ):
        raise ValueError("expected one value or a flat list, got something nested")
    return Text(tuple(item.value for item in node.value))


def _unknown(name: str, known: Iterable[str], prefix: str) -> str:
    near = difflib.get_close_matches(_normal(name).lower(), known, n=1, cutoff=0.5)
    return f"no such option; did you mean {prefix}{near[0]}?" if near else "no such option;"


def _help(
    config_class: type,
    defaults: Mapping[str, Any],
    spellings: Mapping[str, str],
    prog: str,
    description: str,
) -> str:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [--config FILE.yaml] [--key value ...]",
        description=description,
        add_help=False,
    )
    parser.add_argument("--config", metavar="path", help="YAML file of values; flags win over it.")
    parser.add_argument("--print_config", action="store_true", help="Print all values and leave.")
    parser.add_argument("-h", "--help", action="store_true", help="Show this page and leave.")
    for key, field in config_fields(config_class).items():
        default = to_plain(defaults.get(key, field.default), field.kind)
        shown = default if isinstance(default, str) else to_json(default)
        old = [name for name, target in spellings.items() if target == key and name != key]
        also = f"; also --{', --'.join(old)}" if old else ""
        words = f"{field.explanation} (default: {shown}{also})".strip().replace("%", "%%")
        parser.add_argument(f"--{key}", metavar=describe(field.kind), help=words)
    return parser.format_help()
