"""How a command line of ``main.py`` becomes a run, or several.

Every option may have several values, on the command line (``--seed 1 2 3``) and in a file; each
further value multiplies the runs. A file has the authors' form, ``parameters: {lr: {values:
[1e-2]}}``, or ours, lines that read ``lr: 0.01``. Imports nothing heavy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import settings
from core.errors import UserError
from core.outside.text import shown
from silif.config import PAPER, Config
from silif.words import OLD_SPELLINGS, Words, as_flags, is_on, read_file, read_flags

_ONCE = ("config", "seeds")
"""Keys whose several values, if any, are one value."""
_OF_THE_CALL = ("debug", "sweep_name", "sweep_id", "only_createsweep", "seeds")
"""What a call says about several runs, and no single run is told."""
_HOW_MANY = ("seed", "seeds", "debug", "evaluate_pretrained")
"""What decides how many runs a call is."""


@dataclass(frozen=True)
class Call:
    """What a command line asks for.

    Attributes:
        config: Settings of the only run, or of the first; its ``seeds`` are those of the call.
        base: The file they start from; None for the defaults.
        arguments: Flags of every run, without what differs.
        several: Keys with several values; empty for one run.
    """

    config: Config
    base: Path | None
    arguments: tuple[str, ...]
    several: Mapping[str, Sequence[str]]

    @property
    def runs(self) -> list[dict[str, str]]:
        """Every combination of what differs, the last key changing fastest."""
        return [
            dict(zip(self.several, values, strict=True))
            for values in itertools.product(*self.several.values())
        ]


def read_call(argv: Sequence[str], *, prog: str = "main.py") -> Call:
    """Read a command line; ``--help`` and ``--print_config`` print and leave.

    Raises:
        UserError: Wrong flags, values or files.
    """
    given, names = read_flags(argv)
    if len(names) > 1:
        raise UserError(f"{' '.join(names)}: one checkpoint can be named, not {len(names)}")
    if names:
        given.setdefault("load_exp_folder", names)
    if {"help", "h"} & given.keys():
        _parse(["--help"], prog)
    if "resume" in given:
        return Call(*_parse(as_flags(given), prog), tuple(as_flags(given)), {})
    base, words = _with_file(given)
    if "seed" not in given:
        words["seed"] = words.get("seeds") or words.get("seed") or [str(n) for n in Config().seeds]
    words["seeds"] = words["seed"]
    if is_on(words, "debug") or is_on(words, "evaluate_pretrained"):
        firsts = {key: v if key in _ONCE else v[:1] for key, v in words.items()}
        if is_on(words, "debug"):
            firsts["seeds"] = words["seed"][:1]
        several: Words = {}
    else:
        several = {key: v for key, v in words.items() if len(v) > 1 and key not in _ONCE}
        firsts = {key: v[:1] if key in several else v for key, v in words.items()}
    _refuse_too_many(several)
    config, _ = _parse(as_flags(firsts), prog)
    for key, values in several.items():  # before the first of them runs
        for value in values[1:]:
            _parse(as_flags({**firsts, key: [value]}), prog)
    if names and not config.evaluate_pretrained:
        raise UserError(
            f"{names[0]} names a checkpoint to test; add --evaluate_pretrained True, or leave it "
            "out"
        )
    shared = {k: v for k, v in words.items() if k not in several and k not in _OF_THE_CALL}
    return Call(config, base, tuple(as_flags(shared)), several)


def _with_file(given: Words) -> tuple[Path | None, Words]:
    """The words of the command line over those of its file, and the file.

    A file of ours with single values stays a file: who reads it then can name its lines.
    """
    if "config" not in given:
        return None, dict(given)
    path = find_config(given["config"][-1])
    found, plain = read_file(path)
    flags = {key: values for key, values in given.items() if key != "config"}
    if not plain:
        return path, {**found, **flags}
    if is_on(found, "only_createsweep") or found.get("sweep_id", ["null"]) != ["null"]:
        raise UserError(
            f"{path}: only_createsweep and sweep_id are about several runs, of which each would "
            "read them again; give them on the command line"
        )
    kept: Words = {key: found[key] for key in _HOW_MANY if key in found}
    return path, {"config": [str(path.absolute())], **kept, **flags}


def find_config(name: str) -> Path:
    """A file as it is named from here, or in ``configs/`` of the paper.

    Raises:
        UserError: There is none; lists what there is.
    """
    for path in (Path(name).expanduser(), PAPER / "configs" / name):
        if path.is_file():
            return path
    there = ", ".join(sorted(path.name for path in (PAPER / "configs").glob("*.yaml")))
    raise UserError(f"--config {name}: no such file, and configs/ has {there}")


def _refuse_too_many(several: Words) -> None:
    for key, values in several.items():
        if len(set(values)) < len(values):
            raise UserError(
                f"--{key} {shown(' '.join(values))}: a value twice is the same run twice"
            )
    runs = math.prod(map(len, several.values()))
    if runs > 1 and runs > _most_runs():
        raise UserError(f"these are {runs} runs; a call has at most {_most_runs()}")


def _most_runs() -> int:
    from core.sweep.plan import MOST_RUNS  # here: it imports NumPy, and --help does without

    return MOST_RUNS


def _parse(argv: Sequence[str], prog: str) -> tuple[Config, Path | None]:
    return settings.parse_command_line(
        Config,
        argv,
        prog=prog,
        description="Train and test networks on spoken digits and commands. Options with several "
        "values, and several seeds, are several runs.",
        paper=PAPER.name,
        old_spellings=OLD_SPELLINGS,
    )
