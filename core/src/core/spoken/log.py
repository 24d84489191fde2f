"""What a run tells, in the file where the users of these codes look for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from core.errors import UserError


@contextmanager
def told(folder: Path, *, to_file: bool) -> Iterator[None]:
    """Send what is printed to ``log/exp.log`` of ``folder`` where ``to_file`` asks for it.

    Raises:
        UserError: It cannot be written.
    """
    if not to_file:
        yield
        return
    path = folder / "log" / "exp.log"
    try:
        path.parent.mkdir(exist_ok=True)
        log = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}); leave --log_tofile out"
        ) from error
    print(f"writing to {path}")
    with log, redirect_stdout(log):
        yield
