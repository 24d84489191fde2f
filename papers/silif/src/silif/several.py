"""Several runs of one call: a sweep of core, which goes on when the same is asked for again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from core.errors import UserError
from core.files import absent, take_back, write_text_atomically
from core.outside.shape import check
from core.outside.text import read_json, read_text, to_json
from core.sweep.command import run_all
from core.sweep.plan import Planned
from core.training.devices import choose_device
from silif.commands import Call, read_call
from silif.config import PAPER, run_name
from silif.experiment import refuse_missing_gpu
from silif.tracking import refuse_missing

SWEEPS = Path("exp") / "sweeps"
"""Where the runs of a sweep lie, in a folder of its name; below the working directory."""
_ASKED = "sweep.json"
_SHAPE = {"arguments": [str], "several": {str: [str]}}
_LONGEST = 500
"""Characters of a word in a plan."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.+-]+")


def run_several(call: Call) -> None:
    """Carry out every run of a call, or plan them only, or those of an earlier call.

    Raises:
        UserError: There is no sweep of that name, or see :func:`core.sweep.command.run_all`.
        RunFailed: Some run failed.
        KeyboardInterrupt: Stopped; the same command goes on.
    """
    if call.config.sweep_id is not None:
        call = earlier(call.config.sweep_id)
    refuse_missing_gpu(call.config)
    refuse_missing(call.config)
    folder = folder_of(call)
    runs = planned(call)
    made, before = absent(folder / _ASKED), _before(folder)
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"arguments": list(call.arguments), "several": dict(call.several)}
    write_text_atomically(folder / _ASKED, to_json(asked))
    print(f"SWEEP ID: {folder.name}")
    if call.config.only_createsweep:
        print(f"{len(runs)} runs planned; start them with: python main.py --sweep_id {folder.name}")
        return
    try:
        run_all(
            PAPER,
            "main",
            runs,
            out=folder.absolute(),
            jobs=1 if choose_device(call.config.device).type == "cuda" else None,  # of one GPU
            threads=call.config.threads or None,
        )
    except UserError:  # nothing was started
        if before is None:
            take_back(made)
        else:
            write_text_atomically(folder / _ASKED, before)
        raise


def _before(folder: Path) -> str | None:
    """What an earlier call with the same folder was asked for, as it stands there."""
    path = folder / _ASKED
    return read_text(path) if path.is_file() else None


def folder_of(call: Call) -> Path:
    """Where the runs lie: ``--new_exp_folder``, or a folder of the sweep's name."""
    config = call.config
    if config.sweep_name and not re.fullmatch(r"[\w.+-]+", config.sweep_name):
        raise UserError(f"--sweep_name {config.sweep_name}: a name has letters, digits, . _ + -")
    return config.out or SWEEPS / (config.sweep_name or run_name(config, call.base).name)


def planned(call: Call) -> list[Planned]:
    """The runs, each named by what differs."""
    shared = [word for word in call.arguments if not word.startswith("--out=")]
    stem = call.base.stem if call.base else run_name(call.config, None).name
    found = []
    for chosen in call.runs:
        words = [stem, *(f"{key}-{value}" for key, value in chosen.items() if key != "seed")]
        words += [f"seed{chosen.get('seed', call.config.seed)}"]
        name = "-".join(_NOT_IN_NAMES.sub("_", word) for word in words)
        own = [f"--{key}={value}" for key, value in chosen.items()]
        found.append(Planned(name, (*shared, *own)))
    return found


def earlier(name: str) -> Call:
    """What a sweep was asked for, by its name or its folder.

    Raises:
        UserError: There is none.
    """
    path = Path(name) / _ASKED if (Path(name) / _ASKED).is_file() else SWEEPS / name / _ASKED
    asked = read_json(path, missing=f"--sweep_id {name} names no sweep in {SWEEPS}")
    check(asked, _SHAPE, str(path), "plan it again")
    argv = [*asked["arguments"]]
    for key, values in asked["several"].items():
        argv += [f"--{key}", *values]
    if not all(word.isprintable() and len(word) < _LONGEST for word in argv):
        raise UserError(f"{path} holds words that no command line has; plan it again")
    call = read_call(argv)
    return replace(call, config=replace(call.config, out=path.parent))
