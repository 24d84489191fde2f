"""The folder of one run: everything that is needed to read it, judge it and go on with it.

==========================  =====================================================================
``config.yaml``             the whole configuration
``run.json``                settings, data, status, and :mod:`core.training.environment`;
                            ``warnings``: layers that fell silent or saturated, and when
``metrics.jsonl``           one line per evaluation; epoch 0 is the untrained network; ``selected``:
                            the epoch whose weights are the best; units stand in ``run.json``
``best.safetensors``        weights of the selected epoch, with their manifest
``last.safetensors``        weights of the last finished epoch
``resume.pt``               everything needed to go on bit for bit from the last finished epoch
``events*``                 TensorBoard; ``steps/events*``: a paper's own points by steps
``learning_curve.png``      drawn at the end
==========================  =====================================================================
"""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_text_atomically
from core.outside.text import to_json
from core.training.run_facts import read_facts

RESUME = "resume.pt"
_LOCK = ".lock"
_STATUS = re.compile(rb'(?m)^ "status": "\w*" *')
_ROOM = len(' "status": "interrupted"')


class RunFolder:
    """Paths and small JSON files of one run.

    :meth:`create` and :meth:`reopen` make one, for the body of a ``with`` statement; as long as
    that runs, no other process can open the same folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}

    @classmethod
    @contextmanager
    def create(cls, path: Path, config_yaml: str, facts: dict[str, Any]) -> Iterator[RunFolder]:
        """A new run in ``path``, which must not exist or be empty.

        Args:
            path: The folder.
            config_yaml: For ``config.yaml``.
            facts: For ``run.json``.

        Raises:
            UserError: The folder holds files already, cannot be written, or another process
                runs in it.
        """
        with explained(f"cannot write the output folder {path}", "choose another with --out"):
            _refuse_occupied(path)
            path.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            _refuse_occupied(path)
            folder = cls(path)
            with explained(f"cannot write into {path}", "make room, or choose another --out"):
                write_text_atomically(path / "config.yaml", config_yaml)
                folder.update(**facts)
            try:
                yield folder
            except BaseException as error:  # before anything was computed, or what fit tells
                if folder.facts.get("status") == "running":
                    stopped = isinstance(error, KeyboardInterrupt)
                    folder.leave("interrupted" if stopped else "failed")
                raise

    @classmethod
    @contextmanager
    def reopen(cls, path: Path) -> Iterator[RunFolder]:
        """The run in ``path``, to go on with it.

        Raises:
            UserError: Not a run folder, nothing to resume from, not writable, or another process
                runs in it.
        """
        read_facts(path)  # before a lock is put into what may be any folder
        if not (path / RESUME).is_file():
            raise UserError(
                f"{path} stopped before its first checkpoint, so there is nothing to continue; "
                "start it again in another folder, or remove this one first"
            )
        with _locked(path):
            folder = cls(path)
            folder.facts = read_facts(path)
            yield folder

    def update(self, **facts: Any) -> None:
        """Merge ``facts`` into ``run.json``."""
        self.facts.update(facts)
        text = to_json(self.facts, indent=1) + "\n"
        # with room for the longest status, see leave
        text = re.sub(_STATUS.pattern.decode(), lambda found: found[0].ljust(_ROOM), text, count=1)
        write_text_atomically(self.path / "run.json", text)

    def leave(self, status: str) -> None:
        """Note in ``run.json`` how the run ended early, where that is possible at all."""
        try:
            self.update(status=status, finished=None)
        except OSError:
            with suppress(OSError):
                self._replace_status(status)

    def _replace_status(self, status: str) -> None:
        """A full disk has no room for another file, but for another word in the same one.

        One short write, and all else in the file stays as it was saved; half a word is taken back.
        """
        with open(self.path / "run.json", "r+b", buffering=0) as file:
            found = _STATUS.search(file.read())
            new = f' "status": "{status}"'.encode()
            if found is None or len(new) > len(found[0]):
                return
            file.seek(found.start())
            if file.write(new.ljust(len(found[0]))) < len(found[0]):
                file.seek(found.start())
                file.write(found[0])

    def write_metrics(self, history: list[dict[str, Any]], selected: int | None = None) -> None:
        """Replace ``metrics.jsonl``: it always agrees with the resume state.

        Args:
            history: One row per evaluation.
            selected: The epoch whose row is marked as the selected one; None marks no row.
        """
        if selected is not None:
            history = [{**row, "selected": row["epoch"] == selected} for row in history]
        text = "".join(to_json(row) + "\n" for row in history)
        write_text_atomically(self.path / "metrics.jsonl", text)


def refuse_unusable(path: Path) -> None:
    """Say before any data are read that a new run cannot write to ``path``; writes nothing.

    Raises:
        UserError: Files are there already, or nothing can be written there.
    """
    with explained(f"cannot write the output folder {path}", "choose another with --out"):
        _refuse_occupied(path)
        above = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def in_use(path: Path) -> bool:
    """Whether a process runs in the folder ``path`` at this moment."""
    if not (path / _LOCK).is_file():
        return False
    try:
        with _locked(path):
            return False
    except UserError:
        return True


def _refuse_occupied(path: Path) -> None:
    # A lock alone is what a start leaves behind that failed at once.
    if not path.exists() or (path.is_dir() and all(p.name == _LOCK for p in path.iterdir())):
        return
    what, use = "exists already and is not overwritten", ""
    if (path / RESUME).is_file():
        use = f"continue it with {resume_flag(path)}, or "
    elif (path / "run.json").is_file():
        what, use = "holds a run that stopped before its first checkpoint", "remove it, or "
    raise UserError(f"{path} {what}; {use}choose another folder with --out")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Refuses a second process; the system frees the lock of a process that was killed."""
    from filelock import FileLock, Timeout

    lock = FileLock(path / _LOCK, timeout=0, fallback_to_soft=False)
    with explained(f"cannot lock the run folder {path}", "make it writable, or use a copy"):
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"another process is running in {path}; wait for it, or stop it"
            ) from error
    try:
        yield
    finally:
        lock.release()


def resume_flag(path: Path) -> str:
    """What continues the run in ``path``, as a shell takes it."""
    return f"--resume {shlex.quote(str(path))}"


@contextmanager
def explained(problem: str, next_step: str) -> Iterator[None]:
    """Where a file cannot be written, UserError with the system's reason between the two."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{problem} ({error.strerror}); {next_step}") from error


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
