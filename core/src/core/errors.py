"""How the project says no: one message with the next step, and an exit code a script can trust.

==================  =========  ==============================================================
exception           exit code  when
==================  =========  ==============================================================
:class:`UserError`  2          the request cannot be carried out as given (flags, files, data)
:class:`RunFailed`  1          a run started and failed (NaN, full disk)
Ctrl-C, SIGTERM     130        the user or the system stopped it
==================  =========  ==============================================================
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input. The message names what is wrong and what to do next; the exit code is 2."""


class RunFailed(Exception):
    """A run that started could not go on. The message says what was kept; the exit code is 1."""


class NotFinite(RunFailed):
    """A number that a run depends on is NaN or infinite.

    Attributes:
        what: Such as ``"the loss"`` or ``"the gradient of hidden.weight"``.
        where: Such as ``"epoch 3, step 5"``; steps and batches count from 1.
        cause: What is known about it, and what to do.
    """

    def __init__(self, what: str, where: str, cause: str) -> None:
        super().__init__(f"{what} is not finite in {where}: {cause}")
        self.what, self.where, self.cause = what, where, cause

    def within(self, place: str) -> NotFinite:
        """The same error, seen from where ``place`` is known."""
        where = f"{place}, {self.where}" if self.where else place
        return NotFinite(self.what, where, self.cause)


class CannotRead(RunFailed):
    """Data that were there when the run started cannot be read any more."""


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What the system says where a disk takes nothing more."""


def explained(error: OSError) -> str:
    """What the system says about a file, and the next step."""
    file = f"{error.filename}: " if error.filename else ""
    step = "make room" if error.errno in NO_ROOM else "check the path, and who may use it"
    return f"{file}{error.strerror}; {step}, and give the same command again"


class _Notices(logging.Handler):
    """Lines on whatever the standard error output is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def run_main(main: Callable[[], object]) -> None:
    """Call ``main`` and leave the process with the exit code of the table above.

    Library code raises; only this function prints an error and exits, so that nothing below
    a script ever calls ``sys.exit``. What the system says about a file, where nobody knew more to
    say, is one message, too; the code is 1 for a disk that takes nothing, else 2. Notices of the
    scan (a kernel that is compiled, a slower backend) and of checkpoints (names read without a
    wrapper's prefix) appear on the standard error output.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal that is not UTF-8 has no plus-minus, and a path may be no text at all. In a
        # file that takes both outputs, what was told before an error stands before it.
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    for name in ("core.scan", "core.checkpoints"):
        notices = logging.getLogger(name)
        if not notices.handlers:
            notices.addHandler(_Notices())
            notices.setLevel(logging.INFO)
    try:
        main()
    except (UserError, RunFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush
        sys.exit(1)
    except OSError as error:
        if error.errno is None:  # a library's own, and no word of the system
            raise
        print(f"error: {explained(error)}", file=sys.stderr)
        sys.exit(1 if error.errno in NO_ROOM else 2)
    except KeyboardInterrupt as stop:  # whoever can be continued says how
        print(str(stop) or "stopped by the user", file=sys.stderr)
        sys.exit(130)
