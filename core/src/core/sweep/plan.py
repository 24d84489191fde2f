"""Which runs a sweep consists of; imports nothing heavy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from core.records.runs import PLACE_KEYS

MOST_RUNS = 1000
FREE_KEYS = {*PLACE_KEYS, "device", "backend", "threads"}
"""Settings in which a run may differ from what a sweep asks for, and still be that run."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Planned:
    """One run.

    Attributes:
        name: Of its folder.
        arguments: Flags that say which run it is.
        place: Flags that say where and how it is done; a run that goes on gets them, too.
    """

    name: str
    arguments: tuple[str, ...]
    place: tuple[str, ...] = ()


def plan(
    configs: Sequence[Path],
    seeds: Sequence[int],
    settings: Mapping[str, Sequence[str]],
    *,
    stem: str,
) -> list[Planned]:
    """Every combination, configurations first and seeds last.

    Args:
        configs: YAML files; none for what the script starts from by itself.
        seeds: One run for each.
        settings: Values by key; a value may hold several words (``3 5``).
        stem: What names a run without a configuration file.

    Raises:
        UserError: Two runs would have the same name, or there are too many.
    """
    keys = list(settings)
    planned: dict[str, Planned] = {}
    files: list[Path | None] = [*configs] or [None]
    for config in files:
        for values in itertools.product(*settings.values()):
            chosen = list(zip(keys, values, strict=True))
            for seed in seeds:
                words = [config.stem if config else stem]
                words += [f"{k}-{v}" for k, v in chosen if k not in FREE_KEYS]
                name = "-".join(_NOT_IN_NAMES.sub("_", word) for word in [*words, f"seed{seed}"])
                if name in planned:
                    raise UserError(
                        f"two runs of this sweep would be called {name}; name every configuration, "
                        "value and seed once, configurations by files of different names"
                    )
                start = ["--config", str(config.resolve())] if config else []
                place, own = (
                    [w for k, v in chosen if (k in FREE_KEYS) == is_free for w in _flag(k, v)]
                    for is_free in (True, False)
                )
                arguments = (*start, *own, "--seed", str(seed))
                planned[name] = Planned(name, arguments, tuple(place))
                if len(planned) > MOST_RUNS:
                    raise UserError(f"a sweep has at most {MOST_RUNS} runs; ask for fewer seeds")
    return list(planned.values())


def _flag(key: str, value: str) -> list[str]:
    return [f"--{key}", *value.split()]


def read_seeds(text: str) -> list[int]:
    """``0-4`` and ``0,2,7-9``.

    Raises:
        UserError: Anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        if match is None:
            raise UserError(f"--seeds {text}: expected numbers and ranges such as 0-4 or 0,2,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 <= last - first < MOST_RUNS:
            raise UserError(f"--seeds {text}: {part} is no range of at most {MOST_RUNS} seeds")
        seeds += range(first, last + 1)
    return seeds


def read_settings(texts: Sequence[str]) -> dict[str, list[str]]:
    """``neuron=brf,rf`` and more of the kind.

    Raises:
        UserError: Anything else, or a key that a sweep sets itself.
    """
    settings: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip().lstrip("-")
        if not (equals and key and all(value.strip() for value in values.split(","))):
            raise UserError(f"--set {text}: expected KEY=VALUE or KEY=VALUE,VALUE")
        if key in settings:
            raise UserError(f"--set {key} is given twice; list its values once: {key}=A,B")
        if key in ("seed", "config", "out", "resume", "threads"):
            raise UserError(f"--set {key}: a sweep sets this itself, see core sweep --help")
        settings[key] = [value.strip() for value in values.split(",")]
    return settings
