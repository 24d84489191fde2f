"""What a run tells, in the file where the users of these codes look for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOBase
from pathlib import Path
from typing import TextIO

from core.errors import UserError


class _Both(TextIOBase):
    """Text that goes to two places."""

    def __init__(self, *places: TextIO) -> None:
        self._places = places

    def write(self, text: str) -> int:
        for place in self._places:
            place.write(text)
        return len(text)

    def flush(self) -> None:
        for place in self._places:
            place.flush()


@contextmanager
def told(
    folder: Path,
    *,
    to_file: bool,
    also_here: bool = False,
    file: str = "log/exp.log",
    flag: str = "--log_tofile",
) -> Iterator[None]:
    """Send what is printed to a file in ``folder`` where ``to_file`` asks for it.

    Args:
        folder: Of the run.
        to_file: Otherwise nothing is done.
        also_here: It goes to the terminal as well.
        file: Its name.
        flag: What asks for it, for messages.

    Raises:
        UserError: It cannot be written.
    """
    if not to_file:
        yield
        return
    path = folder / file
    try:
        path.parent.mkdir(exist_ok=True)
        log = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  closed below
    except OSError as error:
        off = f"say {flag} false" if also_here else f"leave {flag} out"
        raise UserError(f"cannot write {path} ({error.strerror}); {off}") from error
    print(f"writing to {path}")
    with log, redirect_stdout(_Both(sys.stdout, log) if also_here else log):
        yield
