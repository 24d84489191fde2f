"""What numbers and paths of a config may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.config import load_yaml, parse, with_values
from core.config_ranges import number
from core.errors import UserError
from core.paths import user_path


@dataclass(frozen=True)
class Ranged:
    size: int = number(1, least=1, most=100)
    lr: float = number(0.1, above=0, most=10)
    share: float | None = number(None, least=0, below=1)
    range: tuple[float, float] = number((1.0, 2.0), least=-5, most=5, ascending=True)
    tau: tuple[float, float] = number((1.0, 2.0), least=(-5.0, 0.0), most=9)
    sizes: list[int] = number([3], least=1, most=4)
    threads: int = number(0, least=0, metadata={"hash": False})


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        ("--size 0", "size is 0; it must be at least 1 and at most 100;"),
        ("--size 101", "size is 101; it must be"),
        ("--lr 0", "lr is 0.0; it must be above 0 and at most 10"),
        ("--lr 1e300", "lr is 1e[+]300; it must be"),
        ("--share 1", "share is 1.0; it must be at least 0 and below 1"),
        ("--range -1e300 1", "range is -1e[+]300 1.0; value 1 must be at least -5 and at most 5"),
        ("--range 3 2", "range is 3.0 2.0; the lower end of the range comes first"),
        ("--tau -5 -1", "tau is -5.0 -1.0; value 2 must be at least 0 and at most 9"),
        ("--sizes 1 2 5", "sizes is 1 2 5; value 3 must be at least 1 and at most 4"),
        ("--threads -1", "threads is -1; it must be at least 0;"),
    ],
)
def test_ranges(argv: str, problem: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"prog": "train.py", "description": ""}
    with pytest.raises(UserError, match=rf"^train\.py: {problem}.*--help explains each option$"):
        parse(Ranged, argv.split(), **options)
    key, *values = argv.removeprefix("--").split()
    (tmp_path / "x.yaml").write_text(
        f"{key}: [{', '.join(values)}]" if values[1:] else argv[2:].replace(" ", ": ")
    )
    with pytest.raises(UserError, match=rf"x\.yaml: {problem}"):
        load_yaml(Ranged, tmp_path / "x.yaml")
    read = parse(Ranged, [], **options)
    assert read == Ranged()
    with pytest.raises(UserError, match=r"evaluate\.py: size is 0"):
        with_values(read, "evaluate.py", size=0)


def test_the_ends_of_a_range() -> None:
    argv = "--size 100 --lr 10 --share 0 --range -5 5 --tau -5 0 --sizes 1 4 --threads 999999"
    read = parse(Ranged, argv.split(), prog="", description="")
    assert (read.size, read.lr, read.share, read.tau) == (100, 10.0, 0.0, (-5.0, 0.0))
    assert with_values(read, "", size=7) == replace(read, size=7)


# ---- paths


@dataclass(frozen=True)
class Places:
    out: Path = Path("runs")
    title: str = "run"


def read(*argv: str) -> Places:
    return parse(Places, argv, prog="train.py", description="")


def refuse(*argv: str) -> str:
    with pytest.raises(UserError) as error:
        read(*argv)
    return str(error.value)


def test_a_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written = tmp_path / "x.yaml"
    written.write_text("out: ~/x")
    assert read("--out", "~/runs/x").out == read("--out=~/runs/x").out == tmp_path / "runs" / "x"
    assert load_yaml(Places, written).out == tmp_path / "x"
    assert read("--config=~/x.yaml").out == tmp_path / "x"
    assert read("--out", "a~b/~").out == Path("a~b/~")
    assert user_path("~") == tmp_path


@pytest.mark.parametrize("path", ["x" * 5000, "x/" * 2500, "~nobody-has-this-name/x"])
def test_a_path_that_cannot_be(path: str) -> None:
    for argv in (["--out", path], [f"--config={path}"]):
        message = refuse(*argv)
        assert "expected path, got" in message
        assert len(message) < 300
    with pytest.raises(UserError, match="name another path"):
        user_path(path)
    assert len(refuse("--title", "x" * 5000)) < 300
