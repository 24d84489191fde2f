"""Archives of many files: unpacked as a whole, or read file by file; no header is believed."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Self

from core.data.packing import SUFFIXES, open_packed
from core.errors import UserError

_MOST_EXTENDED = 1 << 20  # bytes of a header that stands before another one: a long name, mostly


class _Member(tarfile.TarInfo):
    """A member whose header is plausible: tarfile itself reads extended ones whole into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        extended = member.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE)
        if member.size < 0 or (extended and member.size > _MOST_EXTENDED):
            raise tarfile.ReadError(f"a header announces {member.size} bytes")
        return member


def unpack_tar(archive: Path, target: Path, *, top: str) -> None:
    """Unpack what lies below ``top`` in a tar archive into the new folder ``target``.

    Raises:
        UserError: it is truncated or damaged, or holds links or names that lead outside.
    """
    # By hand: Python before 3.11.4 cannot filter what it extracts.
    target.mkdir(parents=True, exist_ok=True)
    try:
        # As a stream: what is unpacked is counted, and nothing is looked for far away.
        with (
            open_packed(archive) if archive.suffix in SUFFIXES else archive.open("rb") as packed,
            tarfile.open(fileobj=packed, mode="r|", tarinfo=_Member) as files,  # type: ignore[call-overload]
        ):
            for member in files:
                _extract(files, member, target, top=top)
    except OSError as error:
        if not isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
            raise
        raise _damaged(archive, f"{error.filename} twice, or as file and folder") from error
    except Exception as error:  # tarfile raises whatever a damaged archive makes it stumble over
        raise _damaged(archive, error) from error


Choose = Callable[[Iterable[str]], Iterable[str]]
"""From all names to those that are wanted, in their order."""


def files_of(
    place: Path, suffix: str, *, most: int, choose: Choose = sorted
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of files with a suffix in a folder, a ``.zip`` or a packed tar.

    Hidden files are left out. A tar is read as a stream: all its files, in its own order.

    Args:
        place: the folder or archive.
        suffix: such as ``.bin``.
        most: bytes that a single file may have.
        choose: of a folder or zip, which files in which order.

    Raises:
        UserError: the archive is truncated or damaged, or a file is larger than ``most``.
    """
    if place.is_dir():
        yield from _of_folder(place, suffix, most, choose)
        return
    try:
        if place.suffix == ".zip":
            yield from _of_zip(place, suffix, most, choose)
        else:
            yield from _of_tar(place, suffix, most)
    except (UserError, GeneratorExit):
        raise
    except FileNotFoundError as error:
        raise UserError(f"{place} does not exist. Name the folder that holds it.") from error
    except Exception as error:  # both libraries raise whatever they stumble over
        raise _damaged(place, error or type(error).__name__) from error


def _of_folder(place: Path, suffix: str, most: int, choose: Choose) -> Iterator[tuple[str, bytes]]:
    paths = (path for path in place.rglob(f"[!.]*{suffix}") if path.is_file())
    for name in choose(path.relative_to(place).as_posix() for path in paths):
        path = place / name
        if path.stat().st_size > most:
            raise _large(path, path.stat().st_size, most)
        yield name, path.read_bytes()


def _of_zip(place: Path, suffix: str, most: int, choose: Choose) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(place) as archive:
        known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        for name in choose(name for name in archive.namelist() if _wanted(name, suffix)):
            member = archive.getinfo(name)
            if member.compress_type not in known or member.flag_bits & 1:
                raise ValueError(f"{member.filename} is packed in another way than deflate")
            with archive.open(member) as stream:  # as many bytes as are asked for, not as promised
                content = stream.read(most + 1)
            if len(content) > most:
                raise _large(place / member.filename, len(content), most)
            yield member.filename, content


def _of_tar(place: Path, suffix: str, most: int) -> Iterator[tuple[str, bytes]]:
    with (
        open_packed(place) if place.suffix in SUFFIXES else place.open("rb") as packed,
        tarfile.open(fileobj=packed, mode="r|", tarinfo=_Member) as archive,  # type: ignore[call-overload]
    ):
        for member in archive:
            if not member.isfile() or member.issparse() or not _wanted(member.name, suffix):
                continue
            if member.size > most:
                raise _large(place / member.name, member.size, most)
            content = archive.extractfile(member)
            if content is not None:
                yield member.name.removeprefix("./"), content.read()


def _wanted(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and not PurePosixPath(name).name.startswith(".")


def _extract(files: tarfile.TarFile, member: tarfile.TarInfo, target: Path, *, top: str) -> None:
    """Write one member below ``target``; TarError when it is anything but a file or a folder."""
    name = member.name.removeprefix("./")
    if member.isdir() or not name.startswith(f"{top}/" if top else ""):
        return
    place = PurePosixPath(name.removeprefix(f"{top}/") if top else name)
    # a sparse file may be a petabyte of nothing
    content = files.extractfile(member) if member.isfile() and not member.issparse() else None
    if content is None or place.is_absolute() or ".." in place.parts:
        raise tarfile.TarError(f"{member.name} is a link, is sparse or lies outside")
    (target / place).parent.mkdir(parents=True, exist_ok=True)
    with content, (target / place).open("xb") as stream:
        shutil.copyfileobj(content, stream)


def _large(path: Path, size: int, most: int) -> UserError:
    return UserError(f"{path} has {size} bytes or more, where at most {most} are expected.")


def _damaged(archive: Path, problem: object) -> UserError:
    return UserError(
        f"{archive} is truncated or damaged ({problem}). Move it away and get it again from "
        "where it came."
    )
