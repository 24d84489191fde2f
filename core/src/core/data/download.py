"""One file over HTTP into a ``.part`` file, continued where an earlier try stopped.

Not pooch: it starts a cut download again from zero, and these files are fetched over lines that
drop. All that is needed beyond ``requests`` is one Range header and the checks of its answer. No
word of a server is believed, and no file is written but ``.part`` itself.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin

from core.errors import UserError

if TYPE_CHECKING:
    from requests import Response, Session

# Seconds to connect and between two reads: a dead network answers soon, a slow one is waited for.
TIMEOUT = (5.0, 20.0)
_CHUNK = 1 << 16
_MOST_CONTINUATIONS = 20
_MOST_REDIRECTS = 10
_LENGTH = (
    "[0-9]{1,18}"  # what fits into 64 bits; int() itself takes other digits and raises on many
)

MOST_BYTES = 16 << 30
"""A file whose size nobody published may have 16 GiB."""


class DownloadFailed(Exception):
    """This address did not give the file; the message says why, in a few words."""


def download(url: str, part: Path, *, size: int | None, position: Callable[[int], object]) -> None:
    """Bring ``part`` to its whole length from ``url``.

    What ``part`` already holds is kept and only the rest is asked for; a server that ignores the
    Range header sends everything, and ``part`` starts again. As long as a cut connection brought
    new bytes, the same server is asked for the rest. The content is not verified here.

    Args:
        url: http or https address of the file.
        part: file to write.
        size: length of the whole file in bytes; None believes the server up to ``MOST_BYTES``,
            and where the server announces none, the end of the connection is the end of the file.
        position: called with the number of bytes that ``part`` holds, for a progress display.

    Raises:
        DownloadFailed: no connection, an error status, another length, or a cut without progress.
        UserError: ``part`` is a link or no plain file.
        OSError: ``part`` cannot be written.
    """
    for _ in range(_MOST_CONTINUATIONS):
        before = file_size(part)
        if size is not None and before >= size:
            return
        reason, size = _receive(url, part, before, size, position)
        if reason is None or file_size(part) == size:
            return
        if file_size(part) <= before:
            break
    held = file_size(part)
    announced = "" if size is None else f" of {size}"
    raise DownloadFailed(f"{reason} (after {held}{announced} bytes)" if held else str(reason))


def file_size(part: Path) -> int:
    """Return the length of a file in bytes, 0 when there is none.

    Raises:
        UserError: it is no plain file, or one that has another name as well.
    """
    try:
        return _size_of_own(part, os.lstat(part))
    except FileNotFoundError:
        return 0


def _size_of_own(part: Path, found: os.stat_result) -> int:
    # In a folder that others can write, a link would let them choose which file is overwritten.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise UserError(
            f"{part} is a link or no plain file; nothing is written there. Move it away and run "
            "again."
        )
    return found.st_size


def _open_part(part: Path, *, keep: bool) -> BinaryIO:
    """Open the file to append to it or, without ``keep``, from its start."""
    never_follow = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | never_follow, 0o666)
    out = open(descriptor, "ab")  # noqa: SIM115  the caller closes it
    try:
        _size_of_own(part, os.fstat(descriptor))
        if not keep:
            out.truncate(0)
    except BaseException:
        out.close()
        raise
    return out


def _receive(
    url: str, part: Path, start: int, size: int | None, position: Callable[[int], object]
) -> tuple[str | None, int | None]:
    """Append what one connection brings.

    Returns:
        Why it ended before the file was complete, None when nothing says that it did; and the
        length of the file, when it is known or announced.
    """
    import requests  # here: not needed when the files are present
    import urllib3

    # Without "identity" a server may pack a packed file again and every digest would differ.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with requests.Session() as session, _answer(session, url, headers) as response:
            if start and response.status_code == 416:  # nothing follows what is held
                return None, size
            start, size = _check_answer(response, start, size)
            most = MOST_BYTES if size is None else size
            with _open_part(part, keep=start > 0) as out:
                # Undecoded: some servers label every .gz file as "Content-Encoding: gzip".
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    out.write(chunk)
                    start += len(chunk)
                    position(start)
                    # longer than announced: never right, and maybe endless
                    if start > most:
                        if size is None:
                            raise DownloadFailed(f"it sends more than {most} bytes")
                        return "it sends more than the file holds", size
    # Addresses and chunks that make no sense raise ValueError, out of the depths of the libraries.
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        return _in_few_words(error), size
    return (None if size in (None, start) else "the connection ended early"), size


def _answer(session: Session, url: str, headers: dict[str, str]) -> Response:
    """Return the answer to a GET request, after redirects to other http or https addresses.

    They are followed here because requests reads the body of every redirect into memory.
    """
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
    for _ in range(_MOST_REDIRECTS):
        response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        if not response.is_redirect:
            return response
        response.close()
        location = response.headers["location"].encode("latin-1").decode()
        url = urljoin(url, location)
        if not url.startswith(("http://", "https://")):
            raise DownloadFailed(f"it sends to {_printable(url)}, no http or https address")
    raise DownloadFailed("it redirects without end")


def _check_answer(response: Response, start: int, size: int | None) -> tuple[int, int | None]:
    """Return the offset from which the body counts and the length of the file.

    The offset is ``start``, or 0 when Range was ignored.
    """
    if response.status_code not in (200, 206):
        raise DownloadFailed(f"HTTP {response.status_code} {_printable(response.reason or '')}")
    total: str | None = response.headers.get("Content-Length")
    if response.status_code == 206:
        content_range = response.headers.get("Content-Range", "")
        answer = re.fullmatch(rf"bytes ({_LENGTH})-{_LENGTH}/({_LENGTH}|\*)", content_range)
        if not answer or int(answer[1]) != start:
            raise DownloadFailed("it continues at another place than it was asked to")
        total = None if answer[2] == "*" else answer[2]
    else:
        start = 0
    if total is None:
        return start, size
    if not re.fullmatch(_LENGTH, total):
        raise DownloadFailed(f"it announces a length of {_printable(total)!r}")
    if size is not None and int(total) != size:
        raise DownloadFailed(f"it offers {total} bytes, the file has {size}")
    if int(total) > MOST_BYTES and size is None:
        raise DownloadFailed(f"it offers {total} bytes, at most {MOST_BYTES} are taken")
    return start, int(total)


def _printable(text: str) -> str:
    """Return what a server says, short and without control characters for the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:160])


def _in_few_words(error: Exception) -> str:
    """Return the cause of a network error without the library's nested class names."""
    import requests

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no answer within {TIMEOUT[0]:.0f} s"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused the connection"
    if isinstance(error, requests.exceptions.SSLError):
        return "the secure connection failed (certificate?)"
    text = str(error)
    known = ("Connection refused", "Name or service not known", "Network is unreachable")
    found = re.search(
        "|".join([*known, "[Nn]ame resolution", "timed out", "Connection aborted"]), text
    )
    return found[0] if found else _printable(text) or type(error).__name__
