"""A run that goes on is held to what its folder says it was: settings, seed and data."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.config import config_hash, load_values, load_yaml, to_dict, with_values
from core.config_fields import config_fields
from core.errors import UserError
from core.training.job import Job
from core.training.run_facts import read_facts
from core.training.run_folder import RunFolder, explained

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    ConfigT = TypeVar("ConfigT", bound=DataclassInstance)


_BITS = ("commit", "versions", "device", "device_name", "backend")
"""What the last bits depend on beside the settings, and may change where a run goes on."""


def stored_settings(
    config_class: type[ConfigT], path: Path, *, longer: str | None = None
) -> ConfigT:
    """``config.yaml`` of the run in ``path``, held to what ``run.json`` says of it.

    A setting that came after the run is missing in both, and has its default: the run did what
    the default does. So the hash is that of the settings in the file alone. Runs from before
    ``run.json`` repeated the settings have nothing but the hash.

    Args:
        config_class: The dataclass of the settings.
        path: Folder of the run.
        longer: Key of the number of epochs where a run may be made longer: the file may then ask
            for others than the run had so far, as a kill between its two files leaves it.

    Raises:
        UserError: A file is missing or damaged, or they contradict each other; names the settings.
    """
    file, facts = path / "config.yaml", read_facts(path)
    config, given = load_yaml(config_class, file), load_values(config_class, file)
    then, planned = facts.get("config") or {}, facts["epochs_planned"]
    was = config
    if longer and planned >= 0:
        was = with_values(config, str(path / "run.json"), **{longer: planned})
    values = to_dict(was)
    lacking = [key for key in (*then, *filter(None, [longer])) if key not in given]
    changed: list[str] = []
    found, expected = config_hash(was, exclude=values.keys() - given), facts["config_hash"]
    if found != expected:
        lacking = lacking or [key for key in values if key not in given]
        known = [key for key in result_keys(config) if key in given and key in then]
        changed = [key for key in known if values[key] != then[key]]
        if not lacking and not changed:
            changed = [f"hash ({found} instead of {expected})"]
    elif facts["seed"] != values["seed"]:
        changed = ["seed"]
    if lacking or changed:
        problems = [f"it lacks {', '.join(dict.fromkeys(lacking))}"] if lacking else []
        problems += [f"it has another {', '.join(changed)}"] if changed else []
        raise UserError(
            f"{file} is not what the run started with, as run.json tells: {'; '.join(problems)}; "
            "put back a copy, or start the run again in another folder"
        )
    return config


def stored_threads(path: Path, asked: int, *, flag: str = "--resume") -> int:
    """Number of processor threads of the run in ``path``, which it keeps wherever it goes on.

    Scans give the same bits with any number; PyTorch's batch norm, sums and dense products do not:
    they add in another order.

    Args:
        path: Folder of the run.
        asked: For how many the settings ask now; 0 for those of the run.
        flag: What goes on with the run, for the message.

    Raises:
        UserError: Another number is asked for.
    """
    threads: int = read_facts(path)["threads"]
    if threads < 1:
        return asked
    if asked not in (0, threads):
        raise UserError(
            f"{flag} continues a run as it was, and its results depend on its number of threads, "
            f"which is {threads}; leave --threads out, or start a new run"
        )
    return threads


def result_keys(config: DataclassInstance) -> list[str]:
    """The settings that results depend on."""
    return [key for key, field in config_fields(type(config)).items() if field.hashed]


def refuse_changes(
    stored: DataclassInstance,
    config: DataclassInstance,
    keys: Collection[str],
    *,
    flag: str = "--resume",
) -> None:
    """Let a run go on elsewhere (device, data folder), but as the run that it is.

    Args:
        stored: Settings of the run.
        config: Settings it is asked to go on with.
        keys: Settings that must be equal.
        flag: What asks for that, for the message.

    Raises:
        UserError: A setting would change; names all that would.
    """
    old, new = to_dict(stored), to_dict(config)
    if changed := [key for key in keys if old[key] != new[key]]:
        raise UserError(
            f"{flag} continues a run as it was, but {', '.join(changed)} would change; leave "
            "the flag out, or start a new run"
        )


@contextmanager
def reopen(path: Path, job: Job) -> Iterator[RunFolder]:
    """:meth:`RunFolder.reopen` for ``job``, which has to be on the data that the run was on.

    Where other code, other versions or another machine go on with a run, bits may differ from then
    on: that is said, and ``resumed`` in ``run.json`` keeps from which epoch on.

    Raises:
        UserError: The data are others; nothing was written.
    """
    with RunFolder.reopen(path) as folder:
        if (found := job.manifest["data"]) != (before := folder.facts["data"]):
            raise UserError(
                f"the run in {path} was trained on {before}, and the data here are {found}; "
                "name the same with --data_folder"
            )
        steps = folder.facts.get("resumed", [])
        earlier = {**folder.facts, **(steps[-1] if steps else {})}
        now = {key: job.manifest[key] for key in _BITS}
        if any(earlier.get(key) != value for key, value in now.items()):
            print(
                f"warning: the run in {path} was made with other code, versions or machine "
                "(run.json); from here on its results may differ in the last bits",
                file=sys.stderr,
            )
            epoch = folder.facts["epochs_done"]
            with explained(f"cannot write into {path}", "make room"):
                folder.update(resumed=[*steps, {"after_epoch": epoch, **now}])
        yield folder
