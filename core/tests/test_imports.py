"""No module imports itself by a detour, also not inside functions or for types alone."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([ROOT / "core/src", *ROOT.glob("papers/*/src")])


def imports(source: Path) -> dict[str, set[str]]:
    """Every module below ``source``, and which others of them it names in an import."""
    modules = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
        for path in source.rglob("*.py")
    }
    graph = {}
    for name, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports relatively"
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {whole if whole in modules else str(node.module) for whole in full}
        graph[name] = found & modules.keys()
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules of which each is imported by the one before, the last again the first; or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.parent.name)
def test_no_imports_in_a_circle(source: Path) -> None:
    graph = imports(source)
    assert any(graph.values())
    assert circle(graph) == []


def test_circles_are_found(tmp_path: Path) -> None:
    package = tmp_path / "a"
    package.mkdir()
    (package / "__init__.py").write_text("from a.b import x\n")
    (package / "b.py").write_text("def f():\n    from a import c\n")
    (package / "c.py").write_text("import a.d\n")
    (package / "d.py").write_text("import os\n")
    graph = imports(tmp_path)
    assert graph == {"a": {"a.b"}, "a.b": {"a.c"}, "a.c": {"a.d"}, "a.d": set()}
    assert circle(graph) == []
    (package / "d.py").write_text("if 0:\n    from a.b import x\n")
    assert set(circle(imports(tmp_path))) == {"a.b", "a.c", "a.d"}


def test_training_draws_nothing() -> None:
    graph = imports(ROOT / "core/src")
    reached: set[str] = set()
    waiting = {name for name in graph if name.startswith("core.training")}
    assert waiting
    while waiting:
        reached |= waiting
        waiting = set().union(*(graph[name] for name in waiting)) - reached
    assert [name for name in reached if name.startswith("core.plots")] == []
