"""One file over HTTP into a ``.part`` file, continued where an earlier try stopped.

Not pooch: it starts a cut download again from zero, and these files are fetched over lines that
drop. All that is needed beyond ``requests`` is one Range header and the checks of its answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response

# Seconds to connect and between two reads: a dead network answers soon, a slow one is waited for.
TIMEOUT = (5.0, 20.0)
_CHUNK = 1 << 16
_MOST_CONTINUATIONS = 20


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
        size: length of the whole file in bytes; None believes the server, and where the server
            announces none either, the end of the connection is the end of the file.
        position: called with the number of bytes that ``part`` holds, for a progress display.

    Raises:
        DownloadFailed: no connection, an error status, another length, or a cut without progress.
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


def file_size(path: Path) -> int:
    """Return the length of a file in bytes, 0 when there is none."""
    return path.stat().st_size if path.exists() else 0


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
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if start and response.status_code == 416:  # nothing follows what is held
                return None, size
            start, size = _check_answer(response, start, size)
            with part.open("ab" if start else "wb") as out:
                # Undecoded: some servers label every .gz file as "Content-Encoding: gzip".
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    out.write(chunk)
                    start += len(chunk)
                    position(start)
                    # longer than announced: never right, and maybe endless
                    if size is not None and start > size:
                        return "it sends more than the file holds", size
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        return _in_few_words(error), size
    return (None if size in (None, start) else "the connection ended early"), size


def _check_answer(response: Response, start: int, size: int | None) -> tuple[int, int | None]:
    """Return the offset from which the body counts and the length of the file.

    The offset is ``start``, or 0 when Range was ignored.
    """
    if response.status_code not in (200, 206):
        raise DownloadFailed(f"HTTP {response.status_code} {response.reason}")
    total: str | None = response.headers.get("Content-Length")
    if response.status_code == 206:
        content_range = response.headers.get("Content-Range", "")
        answer = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        if not answer or int(answer[1]) != start:
            raise DownloadFailed("it continues at another place than it was asked to")
        total = None if answer[2] == "*" else answer[2]
    else:
        start = 0
    if not total or not total.isdigit():
        return start, size
    if size is not None and int(total) != size:
        raise DownloadFailed(f"it offers {total} bytes, the file has {size}")
    return start, int(total)


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
    return found[0] if found else text.splitlines()[0][:160] or type(error).__name__
