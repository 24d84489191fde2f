"""What is made once from data files and kept in the user's cache folder.

Data folders may be read-only, shared or somebody else's, so nothing is unpacked in place. A thing
in the cache is either whole or not there, whoever is killed while making it, and processes that
want the same thing at once make it once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from core.data.packing import Damaged, open_packed
from core.errors import UserError
from core.files import sync, user_cache

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20


def cached(name: str, make: Callable[[Path], object]) -> Path:
    """Return ``user_cache() / name``, made by ``make(path)`` when it is not there yet.

    Args:
        name: path inside the cache; it must tell apart everything that ``make`` depends on.
        make: writes a file or a folder at the path it is given, which does not exist.

    Raises:
        UserError: the cache folder cannot be written, for instance because the disk is full.
    """
    from filelock import FileLock

    target = user_cache() / name
    if target.exists():
        return target
    scratch = target.with_name(f".{target.name}.making")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.exists():  # another process was faster
                return target
            _remove(scratch)  # left by a kill
            try:
                make(scratch)
                os.replace(scratch, target)
            except BaseException:
                _remove(scratch)
                raise
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}. Free some space or make this "
            "folder writable; XDG_CACHE_HOME sets another cache folder on Linux."
        ) from error
    return target


def unpacked(path: Path) -> Path:
    """Return the content of a ``.gz``, ``.xz`` or ``.zip`` file as a file in the cache.

    It is named by the digest of the packed file, so a changed file is unpacked anew. The checksum
    inside the packed file is verified on the way.

    Raises:
        UserError: the file is missing, truncated or damaged, it unpacks to more than
            :mod:`core.data.packing` allows, or the cache cannot be written.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Name the folder that holds this file.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    inside = Path(path.stem)  # NAME.h5.gz -> NAME.h5

    def unpack(scratch: Path) -> None:
        logger.info("unpacking %s", path)
        try:
            with open_packed(path) as packed, scratch.open("xb") as plain:
                shutil.copyfileobj(packed, plain, _CHUNK)
                plain.flush()
                sync(plain.fileno())
        except Damaged as error:
            raise UserError(
                f"{path} is truncated or damaged ({error}). Move it away and get it again from "
                "where it came."
            ) from error

    return cached(f"unpacked/{inside.stem}-{digest}{inside.suffix}", unpack)


def _remove(scratch: Path) -> None:
    if scratch.is_dir():
        shutil.rmtree(scratch)
    else:
        scratch.unlink(missing_ok=True)
