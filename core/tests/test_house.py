"""The rules of the house: who may import whom, the same rooms in each paper, nothing private."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAPERS = sorted(path.parent.name for path in ROOT.glob("papers/*/pyproject.toml"))
MAX_LINES = 400

# Brackets in the patterns keep this file from matching itself.
PRIVATE = {
    "a path of one machine": rb"(?<![\w.~-])/(wor[k]|hom[e]|roo[t]|Use[r]s)/",
    "the address of a package registry": (
        rb"pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.org|deb[.]debian\.org|//[\w.:@-]+/[\w/.-]*simpl[e]\b"
    ),
}


@functools.cache
def files() -> tuple[Path, ...]:
    """What a commit holds or would hold: ignored files do not count."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout to tell the project's files from other files")
    paths = (ROOT / name for name in sorted(set(listing.split("\0"))) if name)
    return tuple(path for path in paths if path.is_file())


def python_files(folder: str) -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and ROOT / folder in path.parents]


def imported_packages(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            packages.add(node.module.split(".")[0])
    return packages


def test_there_is_a_paper() -> None:
    assert PAPERS


def importers(folder: str, forbidden: set[str]) -> dict[Path, set[str]]:
    """The files in a folder that import what they must not."""
    paths = python_files(folder)
    assert paths
    return {path: bad for path in paths if (bad := imported_packages(path) & forbidden)}


def test_core_imports_no_paper() -> None:
    assert importers("core", set(PAPERS)) == {}


@pytest.mark.parametrize("paper", PAPERS)
def test_paper_imports_no_other_paper(paper: str) -> None:
    assert importers(f"papers/{paper}", set(PAPERS) - {paper}) == {}


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        "import a.b as c, d\nfrom e.f import g\nfrom . import h\ndef i():\n    from j import k\n"
    )
    assert imported_packages(tmp_path / "x.py") == {"a", "d", "e", "j"}


@pytest.mark.parametrize("paper", PAPERS)
def test_paper_has_all_rooms(paper: str) -> None:
    home = ROOT / "papers" / paper
    inside = [path.relative_to(home).as_posix() for path in files() if home in path.parents]
    rooms = [
        r"README\.md",
        r"pyproject\.toml",
        r"claims\.yaml",
        *(rf"src/{paper}/{name}\.py" for name in ("__init__", "config", "models", "task", "paper")),
        r"configs/.+\.yaml",
        r"checkpoints/.+",
        r"results/.+",
        r"tests/test_.+\.py",
    ]
    missing = [room for room in rooms if not any(re.fullmatch(room, name) for name in inside)]
    assert missing == [], f"papers/{paper} lacks {missing}"


@pytest.mark.parametrize("paper", PAPERS)
def test_paper_is_a_package_on_core(paper: str) -> None:
    project = tomllib.loads((ROOT / "papers" / paper / "pyproject.toml").read_text())["project"]
    assert project["name"] == paper
    assert "core" in project["dependencies"]


# What becomes values without core.outside: text of this process itself and of the system.
OWN_TEXT = ("core/outside/", "core/testing", "core/bench/memory.py", "core/scan/cpu/")
READERS = re.compile(
    r"json\.(?:loads?|dumps?)\(|yaml\.(?:safe_load|load|compose|parse)\w*\(|torch\.load\(|"
    r"(?<!def )\bread_text\(encoding"
)


def test_text_of_others_becomes_values_in_one_place() -> None:
    """``core.outside`` alone reads JSON, YAML and archives, and writes JSON (which has no NaN)."""
    places = [path for path in python_files(".") if "src" in path.relative_to(ROOT).parts]
    others = [p for p in places if not any(own in p.as_posix() for own in OWN_TEXT)]
    assert len(places) > len(others) > 0
    found = {path: READERS.findall(path.read_text(encoding="utf-8")) for path in others}
    # A list of words whose digest was compared; advice that is printed.
    allowed = ("core/data/audio.py", "sparch/config.py", "plif/published.py")
    assert {
        path: calls
        for path, calls in found.items()
        if calls and not path.as_posix().endswith(allowed)
    } == {}


def test_files_are_short() -> None:
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in python_files(".")}
    assert lengths
    assert {path: lines for path, lines in lengths.items() if lines >= MAX_LINES} == {}


@pytest.mark.parametrize("what", PRIVATE)
def test_nothing_private(what: str) -> None:
    found = {
        path: match.group()
        for path in files()
        if (match := re.search(PRIVATE[what], path.read_bytes()))
    }
    assert found == {}, f"{what} does not belong into the repository"


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        (0, [b"read ", b"work", b"main"]),
        (0, [b'"', b"home", b'ada/data"']),
        (1, [b"https:", b"", b"pypi" + bytes([46]) + b"org", b"simple"]),
        (1, [b"http:", b"", b"host:80", b"root", b"simple", b"torch"]),
    ],
)
def test_private_patterns_find(what: int, parts: list[bytes]) -> None:
    assert re.search(list(PRIVATE.values())[what], b"/".join(parts))


@pytest.mark.parametrize("parts", [[b"a", b"work", b"b"], [b"..", b"shared", b"data"]])
def test_private_patterns_let_pass(parts: list[bytes]) -> None:
    assert not any(re.search(pattern, b"/".join(parts)) for pattern in PRIVATE.values())


def anchors(page: Path) -> set[str]:
    """What a link may name behind ``#``: the page's headings, as GitHub spells them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


def test_links_lead_somewhere() -> None:
    pages = [path for path in files() if path.suffix == ".md"]
    links = [
        (page, *link)
        for page in pages
        for link in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8"))
    ]
    assert len(links) > 30
    for page, file, anchor in links:
        target = page.parent / file if file else page
        assert target.exists(), f"{page} shows {file}"
        assert not anchor or anchor in anchors(target), f"{page} shows {file}#{anchor}"


# ---- the test command stands in README.md, and continuous integration runs that very line


def test_readme_gives_the_test_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^[ \t]*(pip install uv && .+?)[ \t]*$", text, re.MULTILINE)
    assert len(commands) == 2
    assert commands[1] == "pip install uv && uv run --all-packages pytest"


def test_the_workflow_runs_the_script_on_every_supported_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["tests"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    core = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]
    assert core["requires-python"] == ">=3.11,<3.14"
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose ``pip`` installs nothing, beside a folder of data sets."""
    project = tmp_path / "project"
    (project / ".ci").mkdir(parents=True)
    (project / ".ci/run").write_bytes((ROOT / ".ci/run").read_bytes())
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pip").write_text("#!/bin/sh\n")
    (tmp_path / "bin/pip").chmod(0o755)
    (project / "README.md").write_text(
        "pip install uv is needed\n"
        "    pip install uv && echo the first\n"
        '    pip install uv && echo "second in $PWD with $SNN_DATA" && exit 7\n'
        "pip install uv && echo the third\n"
    )
    return project


def run_ci(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{project.parent / 'bin'}:{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if key != "SNN_DATA"}
    return subprocess.run(
        ["bash", project / ".ci/run"],
        cwd=project.parent,
        env={**kept, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_ci_runs_the_second_command_of_the_readme(checkout: Path) -> None:
    result = run_ci(checkout)
    assert result.returncode == 7
    assert result.stdout.splitlines()[-1].rstrip() == f"second in {checkout} with"


def test_ci_finds_the_data_sets_beside_the_checkout(checkout: Path) -> None:
    data = checkout.parent / "shared/data"
    data.mkdir(parents=True)
    assert run_ci(checkout).stdout.endswith(f"with {data}\n")
    assert run_ci(checkout, SNN_DATA="elsewhere").stdout.endswith("with elsewhere\n")


def test_ci_says_what_the_readme_lacks(checkout: Path) -> None:
    (checkout / "README.md").write_text("pip install uv && echo the only one\n")
    result = run_ci(checkout)
    assert result.returncode == 2
    assert "README.md has no second line" in result.stderr


# ---- the papers behind the project


def test_citation_and_notice_name_every_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= set(citation)
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(reference)
    packaged = {word for entry in citation["references"] for word in entry["notes"].split()}
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for paper in PAPERS:
        assert f"papers/{paper}." in packaged
        assert re.search(rf"^{paper} ", notice, re.MULTILINE)
