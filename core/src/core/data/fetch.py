"""Get a registered data set: from disk when it is there, else by download or from a folder.

One rule everywhere: a file counts only when its digest is right, and no file is deleted or
overwritten. A data set lies in ``<data root>/<name>/``; a mirror serves the same layout, so any
web server over somebody's data root is a mirror.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from core.data.download import DownloadFailed, download, file_size
from core.data.files import copy_verified, mismatch, os_errors_explained, set_aside
from core.data.registry import DataSource, SourceFile, find_source
from core.errors import UserError
from core.files import user_cache

logger = logging.getLogger(__name__)


def data_root() -> Path:
    """Return the folder that holds one folder per data set.

    It is ``$SNN_DATA`` when that is set and not empty, else ``snn`` in the user's cache folder.
    """
    if chosen := os.environ.get("SNN_DATA"):
        return Path(chosen).expanduser()
    return user_cache()


def is_present(name: str) -> bool:
    """Tell whether all files of a data set lie in the data root, without reading them.

    A quick look for listings; only :func:`fetch` verifies digests.
    """
    entry = find_source(name)
    return all((data_root() / entry.place / file.name).is_file() for file in entry.files)


def fetch(
    name: str, *, source: Path | None = None, mirror: str | None = None, progress: bool = True
) -> Path:
    """Return the folder in which every file of the data set lies, verified.

    Files that are there and right cost one hash each: no network, nothing written. Missing ones
    are downloaded, mirrors in order, continuing partial downloads. Several processes may call
    this at once; one downloads, the others wait.

    Args:
        name: a name of the registry, such as ``"mnist"``.
        source: folder with files fetched by hand; they are verified and copied, and nothing is
            downloaded. For ``NAME.gz`` the unpacked ``NAME`` is taken as well.
        mirror: base address tried before the registered ones, default ``$SNN_MIRROR``. It serves
            ``<mirror>/<folder>/<file>``, where most sets have their name as folder.
        progress: show a progress bar when standard error is a terminal.

    Raises:
        UserError: unknown name, a wrong file, an unusable folder, or no way to get a file. The
            message names the file and the next step.
    """
    entry = find_source(name)
    folder = data_root() / entry.place
    with os_errors_explained(folder, purpose="read the data"):
        missing = _missing(entry, folder)
    if not missing:
        return folder
    mirror = mirror or os.environ.get("SNN_MIRROR") or None
    if mirror and not mirror.startswith(("http://", "https://")):
        raise UserError(
            f"the mirror {mirror!r} is not an http or https address. "
            f"For a folder use `core fetch {name} --from FOLDER`."
        )
    with os_errors_explained(folder, purpose=f"put {_names(missing)}, missing so far,"):
        folder.mkdir(parents=True, exist_ok=True)
        for file in missing:  # a name may have folders of its own
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            missing = _missing(entry, folder)  # again: another process may have brought them
            if source is not None:
                _take(missing, Path(source).expanduser(), folder)
            else:
                _download(entry, missing, folder, mirror, progress)
    return folder


def _missing(entry: DataSource, folder: Path) -> list[SourceFile]:
    """Return the files that are not there; raises UserError when one is there and wrong."""
    # a link that leads nowhere, to a disk that is away, is no reason to download or to replace it
    missing = [file for file in entry.files if not os.path.lexists(folder / file.name)]
    present = [file for file in entry.files if file not in missing]
    problems = [text for file in present if (text := mismatch(folder / file.name, file))]
    if problems:
        raise UserError(
            "\n".join(problems)
            + "\nIt was left untouched and is not used. Move it away and run "
            + f"`core fetch {entry.name}` (or `core fetch {entry.name} --from FOLDER` with a right "
            + "copy), or set SNN_DATA to another folder."
        )
    return missing


def _take(missing: Sequence[SourceFile], source: Path, folder: Path) -> None:
    """Copy files that somebody fetched by hand, after checking that all of them are there."""
    found: dict[SourceFile, Path] = {}
    for file in missing:
        names = (file.name, file.name.removesuffix(".gz"))
        candidates = [source / name for name in names if (source / name).is_file()]
        if not candidates:
            raise UserError(
                f"{source / file.name} does not exist. Put the files {_names(missing)} into one "
                "folder and name that folder."
            )
        found[file] = candidates[0]
    for file, path in found.items():
        copy_verified(path, folder / file.name, file)


def _download(
    entry: DataSource,
    missing: Sequence[SourceFile],
    folder: Path,
    mirror: str | None,
    progress: bool,
) -> None:
    with _progress(missing, shown=progress) as position_of:
        for file in missing:
            urls = list(file.urls)
            if mirror:
                urls.insert(0, f"{mirror.rstrip('/')}/{entry.place}/{quote(file.name)}")
            failures = _download_file(file, urls, folder, position_of(file))
            if not (folder / file.name).exists():  # the others' timeouts are not waited for
                raise UserError(_ways_out(entry, file, failures, folder))


def _download_file(
    file: SourceFile, urls: Sequence[str], folder: Path, position: Callable[[int], object]
) -> list[str]:
    """Try the addresses in order; return why the ones before the file was there failed."""
    part = folder / f"{file.name}.part"
    failures: list[str] = []
    for url in urls:
        # What an earlier try left may be wrong itself; then this address gets a clean second try.
        for _ in range(2 if file_size(part) else 1):
            logger.info("downloading %s", url)
            try:
                # a mirror may serve a copy of another size
                size = None if file.copies else file.size
                download(url, part, size=size, position=position)
            except DownloadFailed as error:
                failures.append(f"{url}: {error}")
                break
            if mismatch(part, file) is None:
                os.replace(part, folder / file.name)
                return failures
            kept = set_aside(part)
            failures.append(f"{url}: the content is wrong, kept as {kept.name}")
            logger.warning("%s", failures[-1])
    return failures


def _ways_out(entry: DataSource, file: SourceFile, failures: list[str], folder: Path) -> str:
    tried = "\n".join(f"  {failure}" for failure in failures) or "  it has no address"
    by_hand = f"{entry.by_hand}\n" if entry.by_hand else ""
    without = f"\n  3. no download at all: {entry.stands_in}" if entry.stands_in else ""
    return (
        f"{file.name} of {entry.name} could not be downloaded to {folder}:\n{tried}\n"
        f"{by_hand}Ways out:\n"
        f"  1. a folder of files: put {_names(entry.files)} into FOLDER and run\n"
        f"     `core fetch {entry.name} --from FOLDER`, or set SNN_DATA to a folder that holds "
        f"them as {entry.place}/FILE\n"
        f"  2. a mirror: set SNN_MIRROR or --mirror to an address that serves "
        f"{entry.place}/{file.name}{without}"
    )


def _names(files: Sequence[SourceFile]) -> str:
    return ", ".join(file.name for file in files)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the data set's lock; it is freed by the system when the process dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("another process is fetching into %s; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _progress(
    files: Sequence[SourceFile], *, shown: bool
) -> Iterator[Callable[[SourceFile], Callable[[int], object]]]:
    """Show one bar per file; yields file -> function that is told the bytes held so far."""
    if not shown or not sys.stderr.isatty():
        yield lambda file: lambda held: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.progress import TransferSpeedColumn as Speed

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {file: bars.add_task(file.name, total=file.size, start=False) for file in files}

        def position_of(file: SourceFile) -> Callable[[int], object]:
            bars.start_task(tasks[file])
            return lambda held: bars.update(tasks[file], completed=held)

        yield position_of
