"""From a command line to settings, or to a function by its name; imports nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bsnn.config import OLD_SPELLINGS, PAPER, Config
from core import settings
from core.config import flag_value
from core.errors import UserError


def function_of(argv: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The function that ``main.py NAME [flags]`` names, if it does, and the flags."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    return None, argv


def parse_command_line(argv: Sequence[str], *, prog: str) -> tuple[Config, Path | None]:
    """Settings of ``main.py``, and the file they start from (None: the defaults).

    ``--use-pretrained-model --load-exp-folder FOLDER`` takes the settings of the run to go on with;
    see :func:`core.settings.parse_command_line` for the other ways.

    Raises:
        UserError: Wrong flags, values or files.
    """
    argv, loaded = settings.from_loaded(argv, PAPER.name, _refuse_their_folder)
    config, base = settings.parse_command_line(
        Config,
        argv,
        prog=prog,
        description="Train and test balanced spiking networks. "
        "main.py NAME does something else by its name; a wrong name lists all.",
        paper=PAPER.name,
        old_spellings=OLD_SPELLINGS,
        abbreviations=True,
    )
    if config.use_pretrained_model and (not loaded or flag_value(argv, "resume")):
        raise UserError(
            "--use-pretrained-model goes with --load-exp-folder FOLDER as a flag, and not with "
            "--resume; --help explains each option"
        )
    if loaded and flag_value(argv, "n_epochs") is None:
        config = replace(config, n_epochs=Config.n_epochs)  # more epochs, not those it had
    if config.seed == -1:  # no run has it: what is recorded must give the same numbers again
        config = replace(config, seed=int(time.time()))
        print(f"seed {config.seed}, from the clock")
    return config, base


def _refuse_their_folder(folder: Path) -> None:
    """Say so at once where a folder holds a run of the authors' code."""
    theirs = folder / "checkpoints" / "best_model.pth"
    if theirs.is_file() and not (folder / "run.json").is_file():
        raise UserError(
            f"{theirs} was saved by the authors' code as a whole module, which is not loaded here, "
            "because it could run code; train it again, or save its state_dict() where that code "
            "is installed and score it with evaluate.py"
        )
