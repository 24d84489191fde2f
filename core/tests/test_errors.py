"""Errors become one message and an exit code."""

from __future__ import annotations

import errno
import os

import pytest

from core.errors import RunFailed, UserError, run_main


def left(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        run_main(main)
    assert isinstance(stop.value.code, int)
    return stop.value.code, capsys.readouterr().err


def test_every_error_has_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert left(UserError("no such flag"), capsys) == (2, "error: no such flag\n")
    assert left(RunFailed("NaN"), capsys) == (1, "error: NaN\n")
    assert left(KeyboardInterrupt(), capsys) == (130, "stopped by the user\n")
    assert left(KeyboardInterrupt("stopped. Go on"), capsys) == (130, "stopped. Go on\n")


@pytest.mark.parametrize(
    ("number", "file", "code", "told"),
    [
        (errno.ENOSPC, "a/b", 1, "a/b: No space left on device; make room, and give"),
        (errno.ENOSPC, None, 1, "No space left on device; make room, and give"),
        (errno.EACCES, "a/b", 2, "a/b: Permission denied; check the path, and who may use it"),
        (errno.EISDIR, "a/b", 2, "a/b: Is a directory; check the path, and who may use it"),
    ],
)
def test_what_the_system_says_about_a_file_is_one_message(
    number: int, file: str | None, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, text = left(OSError(number, os.strerror(number), file), capsys)
    assert found == code
    assert text.startswith(f"error: {told}")
    assert text.count("\n") == 1


def test_an_error_of_a_library_keeps_its_traceback() -> None:
    def main() -> None:
        raise OSError("no word of the system")

    with pytest.raises(OSError, match="no word"):
        run_main(main)
