"""A paper from nothing: written, tested, trained, tabled; a bad name changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from core.cli import main
from core.errors import UserError
from core.new import paper as new
from core.testing import call_script, contents, message, rows

ROOT = Path(__file__).parents[2]
SMALL = ("NOTICE", "CITATION.cff", "README.md", "pyproject.toml", "conftest.py")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root's small files, and a paper that makes it a project."""
    for name in SMALL:
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "papers/brf").mkdir(parents=True)
    (tmp_path / "papers/brf/claims.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> int:
    try:
        main(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


def test_from_nothing_to_a_table(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("new", "toy_paper") == 0
    home = root / "papers/toy_paper"
    monkeypatch.syspath_prepend(home / "src")
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)
    before = set(sys.modules)
    try:
        assert pytest.main(["-q", "-p", "no:cacheprovider", str(home)]) == 0
        assert "3 passed" in capsys.readouterr().out
        monkeypatch.chdir(home)
        assert call_script(home, "train", "--config", "configs/quick.yaml", "--out", "runs/a") == 0
    finally:
        for module in [name for name in set(sys.modules) - before if "toy_paper" in name]:
            del sys.modules[module]
    assert rows(home / "runs/a")[-1]["test_accuracy"] > 60
    assert call("record", "runs/a", "--trial") == 0
    assert call("table", "toy_paper", "--write") == 0
    capsys.readouterr()
    assert call("table", "toy_paper") == 0
    assert "75.0 ± 2.0 (5 runs)" in capsys.readouterr().out
    sweep = "core sweep toy_paper train --config configs/quick.yaml --seeds 0-4 --record --trial`"
    assert sweep in (home / "README.md").read_text()


def test_the_root_knows_it_and_keeps_its_texts(root: Path) -> None:
    before = {name: (root / name).read_text() for name in SMALL}
    new.new_paper("ada")
    after = {name: (root / name).read_text() for name in SMALL}
    for name in SMALL[:-1]:
        kept = [line for line in before[name].splitlines() if not line.startswith("mypy_path")]
        rest = iter(after[name].splitlines())
        assert all(line in rest for line in kept), f"{name} lost a line, or their order"
    old, found = (yaml.safe_load(text["CITATION.cff"]) for text in (before, after))
    assert found["references"][:-1] == old["references"]
    assert found["references"][-1]["notes"] == "Reproduced in papers/ada."
    assert {"type", "title", "authors", "year"} <= set(found["references"][-1])
    was, mypy = (tomllib.loads(text["pyproject.toml"])["tool"]["mypy"] for text in (before, after))
    assert mypy["mypy_path"] == was["mypy_path"] + ":papers/ada/src"
    entries = re.findall(r"^(\w+) .*:\n {8}", after["NOTICE"], re.MULTILINE)
    assert entries.count("ada") == 1
    assert entries[-1] == "ada"
    assert "| [papers/ada](papers/ada/README.md) |" in after["README.md"]
    assert sorted(path.name for path in (root / "papers").iterdir()) == ["ada", "brf"]


def test_an_origin_that_is_named_already_keeps_its_entry(root: Path) -> None:
    with (root / "NOTICE").open("a") as notice:
        notice.write("\nada     A. Lovelace:\n        Notes.\n")
    before = (root / "NOTICE").read_text()
    new.new_paper("ada")
    assert (root / "NOTICE").read_text() == before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((name, "at most 20 small letters") for name in ("", "1a", "a-b", "A", "a/b", "..", "_a")),
        *((name, "at most 20 small letters") for name in ("é", "a_", "a__b", "a\n", "a" * 21)),
        *((name, "a word of Python") for name in ("class", "match")),
        *((name, "something else so") for name in ("core", "tests", "lint", "papers")),
        *((name, "Python package") for name in ("json", "torch", "test")),
        ("brf", "exists already"),
    ],
)
def test_a_bad_name_is_refused_with_one_message(
    name: str, why: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(root)
    assert call("new", name) == 2
    assert why in message(capsys)
    assert contents(root) == before


@pytest.mark.parametrize("file", SMALL[:-1])
@pytest.mark.parametrize("text", [None, "empty\n"])
def test_a_root_without_a_place_is_left_as_it_was(file: str, text: str | None, root: Path) -> None:
    (root / file).unlink()
    if text is not None:
        (root / file).write_text(text)
    before = contents(root)
    with pytest.raises(UserError, match=file):
        new.new_paper("ada")
    assert contents(root) == before


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(
    error: BaseException, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(root)
    write, left = new.write_text_atomically, [None] * 2

    def fail_at_the_third(path: Path, text: str) -> None:
        if not left:
            raise error
        left.pop()
        write(path, text)

    monkeypatch.setattr(new, "write_text_atomically", fail_at_the_third)
    with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
        new.new_paper("ada")
    assert contents(root) == before
    assert [path.name for path in (root / "papers").iterdir()] == ["brf"]


@pytest.mark.parametrize("name", ["ada", "zeta_with_a_long_nam"])
def test_it_is_in_the_style_of_the_house(name: str, root: Path) -> None:
    """Imports stand in another order for a name before and behind ``core``."""
    text = (new.new_paper(name) / "evaluate.py").read_text()
    places = [text.index(f"from {package}.paper") for package in (name, "core")]
    assert places == sorted(places, reverse=name > "core")
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.is_file():
        pytest.skip("needs ruff")
    # that core is no library is seen in a whole checkout alone
    for command in (("check", "--ignore=I001"), ("format", "--check")):
        line: list[str] = [str(ruff), *command, "--no-cache", "papers"]
        result = subprocess.run(line, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout
