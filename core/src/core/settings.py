"""Settings that every experiment has, and how a command line becomes those of a run.

Imports nothing heavy, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from core.config import flag_value, parse
from core.config_fields import Text, check_ranges, read_value
from core.config_ranges import number
from core.errors import UserError
from core.paths import user_path
from core.training.run_facts import read_facts

_PLACE = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class Settings:
    """What the config class of a paper derives from.

    The paper adds its own fields, among them ``batch_size``, and says what the run is about:
    ``task``, ``model`` and ``epochs``, as fields or as properties.
    """

    listed_last: ClassVar[bool] = True

    seed: int = number(0, least=0, most=2**32 - 1)
    """Decides initial weights, splits, batch order and whatever else is drawn."""
    data: Literal["original", "embedded"] = "original"
    """The task's data set, or a small stand-in that needs no download."""
    data_folder: Path | None = field(default=None, metadata=_PLACE)
    """Folder with the original files; by default they are fetched once and cached."""
    mirror: str | None = field(default=None, metadata=_PLACE)
    """Address to download the original files from, before the built-in ones."""
    out: Path | None = field(default=None, metadata=_PLACE)
    """Folder for everything the run writes; by default a new one in runs/."""
    resume: Path | None = field(default=None, metadata=_PLACE)
    """Continue the run in this folder, bit for bit."""
    device: str = field(default="auto", metadata=_PLACE)
    """auto, cpu, cuda or cuda:N."""
    threads: int = number(0, least=0, most=1024, metadata=_PLACE)
    """Processor threads, 0 to choose by work and load; bits depend on them, so a run keeps them."""
    backend: str = field(default="auto", metadata=_PLACE)
    """How neurons run over time, see `core doctor`."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def task(self) -> str:
        """Name of the task in claims and records."""
        raise NotImplementedError

    @property
    def model(self) -> str:
        """Name of the network in claims and records."""
        raise NotImplementedError

    @property
    def epochs(self) -> int:
        """Training epochs."""
        raise NotImplementedError

    @property
    def batch_size(self) -> int:
        """Samples per training step."""
        raise NotImplementedError


def take_data_word(settings: Settings, words: Sequence[str]) -> None:
    """Store as ``data`` a word that ``data_folder`` says instead of a folder.

    For the ``__post_init__`` of settings whose tasks have data of several kinds; ``evaluate.py``
    has no other way to name them.

    Raises:
        ValueError: A folder was named for data that take none.
    """
    if (word := str(settings.data_folder)) in words:
        object.__setattr__(settings, "data", word)
        object.__setattr__(settings, "data_folder", None)
    if settings.data_folder is not None and settings.data != "original":
        raise ValueError(f"data {settings.data} takes no data_folder; add --data original")


SettingsT = TypeVar("SettingsT", bound=Settings)


def parse_command_line(
    config_class: type[SettingsT],
    argv: Sequence[str],
    *,
    prog: str,
    description: str,
    paper: str,
    recipe: Path | None = None,
    old_spellings: Mapping[str, str] | None = None,
    check: Callable[[Path], None] = lambda folder: None,
    abbreviations: bool = False,
) -> tuple[SettingsT, Path | None]:
    """Settings of a training script, and the file they start from (None: the class's defaults).

    ``--config`` names that file; ``--resume`` takes the settings of the run to go on with. All
    other flags change single settings.

    Args:
        config_class: Of the script.
        argv: Arguments after the program's name.
        prog: Its name, for messages.
        description: What it does, for ``--help``.
        paper: Name of the paper, to which a run that goes on must belong.
        recipe: File to start from without either flag; ignored where it does not exist.
        old_spellings: See :func:`core.config.parse`.
        check: Called with the folder of a run that goes on; raises UserError where this script is
            not the one to go on with it.
        abbreviations: See :func:`core.config.parse`.

    Raises:
        UserError: Wrong flags, values or files.
    """
    resumed, file = flag_value(argv, "resume"), flag_value(argv, "config")
    if resumed:
        folder = user_path(resumed)
        refuse_other_paper(folder, paper)
        check(folder)
        base: Path | None = folder / "config.yaml"
    else:
        base = user_path(file) if file else recipe if recipe and recipe.is_file() else None
    config = parse(
        config_class,
        argv,
        prog=prog,
        description=description,
        old_spellings=old_spellings,
        defaults_file=base,
        abbreviations=abbreviations,
    )
    return config, base


def from_loaded(
    argv: Sequence[str], paper: str, check: Callable[[Path], None] = lambda folder: None
) -> tuple[Sequence[str], bool]:
    """The command line with the settings of the run that ``--load_exp_folder`` names in front.

    That is what ``--use_pretrained_model`` goes on with; without it, or with ``--resume``, nothing
    changes.

    Args:
        argv: Arguments after the program's name.
        paper: To which the run must belong.
        check: Called with folders of runs that go on; raises UserError where one cannot.

    Returns:
        The command line, and whether such a run was named.

    Raises:
        UserError: The folder holds no run of the paper.
    """
    loaded = flag_value(argv, "load_exp_folder") if _loads(argv) else None
    resumed = flag_value(argv, "resume")
    if resumed:
        check(user_path(resumed))
    elif loaded:
        folder = user_path(loaded)
        check(folder)
        refuse_other_paper(folder, paper)
        argv = ["--config", str(folder / "config.yaml"), *argv]
    return argv, bool(loaded)


def _loads(argv: Sequence[str]) -> bool:
    """Whether ``--use_pretrained_model`` is on; of a wrong value, ``parse`` complains best."""
    given = flag_value(argv, "use_pretrained_model")
    try:
        return given is not None and bool(read_value(bool, Text(given or "true")))
    except ValueError:
        return False


def refuse_other_paper(folder: Path, paper: str) -> None:
    """Say so at once where a folder holds no run of a paper.

    Raises:
        UserError: It holds none, or one of another paper.
    """
    if (found := read_facts(folder).get("paper")) != paper:
        raise UserError(f"{folder} is a run of {found}, not of {paper}; choose another folder")


def evaluation_parser(
    origins: str,
    *,
    prog: str = "evaluate.py",
    does: str = "Score a checkpoint",
    recorded: bool = True,
) -> argparse.ArgumentParser:
    """The command line of ``evaluate.py`` and its like, for a paper to add its own flags to.

    Args:
        origins: Which foreign checkpoints can be scored, for ``--help``.
        prog: Name of the script.
        does: What it does with a checkpoint.
        recorded: It can print its result as JSON and record it, in its precision.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"{does} (*.safetensors of this project, or "
        f"{origins}) on the test set of its task.",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", type=user_path, help="the file")
    if recorded:
        add = parser.add_argument
        add("--json", action="store_true", help="print one JSON object as last line")
        add("--record", action="store_true", help="add the result to results/runs.jsonl")
        add("--trial", action="store_true", help="with --record: even on embedded data")
        add("--float64", action="store_true", help="compute in double precision")
    parser.add_argument("--data_folder", type=user_path, help="folder with the original data files")
    parser.add_argument("--batch_size", type=int, help="samples at once")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="0 to choose by work and load")
    parser.add_argument("--backend", help="how neurons run over time, see `core doctor`")
    return parser
