"""Kernels on disk are code: only what nobody but the user can have written is run."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import UserError
from core.scan.cpu import backend, cache

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes on this system")
ELSEWHERE = 54321
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives files away"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "a" / "b" / "kernels")
    return tmp_path / "a" / "b" / "kernels"


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_the_users_alone(folder: Path, umask: int) -> None:
    assert cache.keep("k.o", b"code") is None
    assert cache.read("k.o") == b"code"
    assert [mode(p) for p in (folder.parent.parent, folder.parent, folder)] == [0o700] * 3
    assert mode(folder / "k.o") == 0o600


def test_a_file_under_another_name_is_not_run(folder: Path) -> None:
    cache.keep("k.o", b"code")
    os.rename(folder / "k.o", folder / "other.o")
    assert cache.read("other.o") is None


@pytest.mark.parametrize("bits", [0o620, 0o602])
def test_a_file_that_others_may_write_is_not_run(folder: Path, bits: int, alone: None) -> None:
    cache.keep("k.o", b"code")
    (folder / "k.o").chmod(bits)
    assert cache.read("k.o") is None
    assert cache.keep("k.o", b"code") is None  # put in its place
    assert cache.read("k.o") == b"code"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the user's group had other members."""
    monkeypatch.setattr(cache, "_is_own_group", lambda group: False)


@pytest.mark.parametrize("bits", [0o720, 0o702, 0o1777])
@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_folder_that_others_may_write_is_left_alone(
    folder: Path, bits: int, above: int, alone: None
) -> None:
    cache.keep("k.o", b"code")
    place = (folder, *folder.parents)[above]
    place.chmod(bits)
    if bits == 0o1777 and above:  # like /tmp: what is ours stays ours
        assert cache.read("k.o") == b"code"
        return
    assert cache.read("k.o") is None
    assert cache.keep("new.o", b"code") == f"others may write {place}"
    assert not (folder / "new.o").exists()


def test_a_group_without_anybody_else_is_the_user(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_is_own_group", lambda group: group == os.getgid())
    cache.keep("k.o", b"code")
    os.chown(folder, -1, os.getgid())
    folder.chmod(0o770)
    assert cache.read("k.o") == b"code"
    folder.chmod(0o772)
    assert cache.read("k.o") is None


def test_links_and_pipes_are_not_followed(folder: Path) -> None:
    cache.keep("k.o", b"code")
    os.rename(folder / "k.o", folder / "elsewhere")
    (folder / "k.o").symlink_to(folder / "elsewhere")
    assert cache.read("k.o") is None
    (folder / "k.o").unlink()
    os.mkfifo(folder / "k.o")
    assert cache.read("k.o") is None


def test_a_link_on_the_way_leads_to_what_is_looked_at(folder: Path, alone: None) -> None:
    real = folder.parents[2] / "scratch"
    real.mkdir(mode=0o700)
    folder.parents[1].symlink_to(real)
    assert cache.keep("k.o", b"code") is None
    assert cache.read("k.o") == b"code"
    real.chmod(0o777)
    assert cache.read("k.o") is None


@root_only
@pytest.mark.parametrize("above", [-1, 0, 1])
def test_what_belongs_to_another_user_is_not_run(folder: Path, above: int) -> None:
    cache.keep("k.o", b"code")
    place = folder / "k.o" if above < 0 else (folder, *folder.parents)[above]
    os.chown(place, ELSEWHERE, -1)
    assert cache.read("k.o") is None
    if above >= 0:
        assert cache.keep("new.o", b"code") == f"{place} belongs to another user"


def test_nothing_is_made_below_a_folder_that_is_not_trusted(folder: Path, alone: None) -> None:
    folder.parents[2].chmod(0o777)
    assert cache.keep("k.o", b"code") == f"others may write {folder.parents[2]}"
    assert not folder.parents[1].exists()


def test_without_a_home_kernels_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_path", nowhere)
    with pytest.raises(UserError, match="set XDG_CACHE_HOME"):
        cache.folder()
    assert cache.read("k.o") is None
    assert "no home folder" in str(cache.keep("k.o", b"code"))
    assert "compiled at each start: this user has no home folder" in backend.here()
