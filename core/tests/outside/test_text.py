"""What text becomes, and what is no text of ours."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.outside.shape import check
from core.outside.text import (
    DEPTH,
    DOCUMENT_BYTES,
    from_json,
    read_json_lines,
    read_text,
    read_yaml,
    shown,
    to_json,
)


def yaml_of(text: str, folder: Path) -> Any:
    (folder / "a.yaml").write_text(text, encoding="utf-8", newline="")
    return read_yaml(folder / "a.yaml")


def test_json_becomes_plain_values() -> None:
    text = '{"a": [1, -2.5, true, null, "ä😀"], "b": {"c": NaN, "d": -Infinity, "e": 1e999}}'
    assert from_json(text, "x") == {
        "a": [1, -2.5, True, None, "ä😀"],
        "b": {"c": None, "d": None, "e": None},
    }


def test_yaml_becomes_plain_values(tmp_path: Path) -> None:
    text = "a: [1, 2.5, yes, null, ä]\nday: 2024-01-01\n3: {x: '1'}\n# nothing\n"
    expected = {"a": [1, 2.5, True, None, "ä"], "day": "2024-01-01", 3: {"x": "1"}}
    assert yaml_of(text, tmp_path) == expected
    assert yaml_of("", tmp_path) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 3000 + "]" * 3000, "nested too deep"),
        ("[" * (DEPTH + 2) + "]" * (DEPTH + 2), "nested too deep"),
        ("[" * 10**6, "nested too deep"),
        ("9" * 20, "more than 64 bits"),
        ("9" * 5000, "cannot be read as JSON"),
        (r'"\ud800"', "half a character"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('"' + "x" * DOCUMENT_BYTES + '"', "more than"),
    ],
)
def test_no_json(text: str, problem: str) -> None:
    with pytest.raises(UserError, match=f"^here.*{problem}"):
        from_json(text, "here")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 3000, "nested too deep"),
        ("- " * 3000 + "a", "nested too deep"),
        ("a: &x [1]\nb: *x", "anchors and aliases are not read, line 1"),
        ("a: &x [*x]", "anchors and aliases"),
        ("!!python/name:os.system a", "tags are not read, line 1"),
        ("a: 1\nb: !!timestamp 2024-01-01", "tags are not read, line 2"),
        ("a: 1\na: 2", "'a' is given twice"),
        ("null: 1", "a key is neither"),
        ("yes: 1", "a key is neither"),
        ("[1]: 1", "a key is neither"),
        ("a: .nan", "which is no number"),
        ("a: " + "9" * 30, "more than 64 bits"),
        ("a: " + "9" * 5000, "cannot be read as YAML"),
        (r'"\UFFFFFFFF"', "cannot be read as YAML"),
        (r'"\ud800"', "half a character"),
        ("a: 1\n---\nb: 2", "cannot be read as YAML"),
        ("a: \0", "cannot be read as YAML"),
    ],
)
def test_no_yaml_of_ours(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"a\.yaml.*{problem}"):
        yaml_of(text, tmp_path)


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("ä".encode("latin-1"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 11)
    for name, problem in (
        ("latin", "cannot be read as text"),
        ("pipe", "is not a file: fetch it"),
        (".", "is not a file: fetch it"),
        ("large", "has more than 10 bytes"),
        ("nothing", "does not exist: fetch it"),
    ):
        with pytest.raises(UserError, match=problem):
            read_text(tmp_path / name, missing="fetch it", limit=10)


def test_lines_have_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("1\nx\n")
    (one, _), (two, where) = read_json_lines(tmp_path / "a.jsonl")
    assert from_json(one, "") == 1
    with pytest.raises(UserError, match=r"a\.jsonl, line 2: cannot be read"):
        from_json(two, where)


def test_what_is_written_is_json_that_comes_back() -> None:
    value = {"a": [math.nan, -math.inf, 1.5, (1, None)], "b": "ä\udcff", 3: True}
    text = to_json(value)
    assert json.loads(text) == {"a": [None, None, 1.5, [1, None]], "b": "ä?", "3": True}
    assert from_json(text, "") == json.loads(text)


def test_shapes() -> None:
    shape = {"a": int, "b?": (float, None), "c": [{"d": {"x", "y"}}], "e": {str: bool}}
    good = {"a": 1, "b": 2, "c": [{"d": "x"}], "e": {"f": True}, "more": object}
    assert check(good, shape, "here") is good
    for change, problem in (
        ({"a": True}, "a must be a whole number, found True"),
        ({"a": "1"}, "a must be a whole number, found '1'"),
        ({"b": "2"}, "b must be a number or null, found '2'"),
        ({"b": 1e200}, "b must be a number or null"),
        ({"c": {}}, "c must be a list, found {}"),
        ({"c": [{"d": "x"}, {}]}, "c: entry 2 lacks d"),
        ({"c": [{"d": ["x"]}]}, r"c: entry 1: d must be one of x, y, found \['x'\]"),
        ({"e": {"f": 1}}, "e: 'f' must be true or false, found 1"),
        ({"e": None}, "e must be an object, found None"),
    ):
        with pytest.raises(UserError, match=f"^here: {problem}.*; next"):
            check({**good, **change}, shape, "here", "next")


def test_values_in_messages_are_short_and_printable() -> None:
    for value in ("\x1b[2J\n", "x" * 1000, 10**5000, [10**5000], "\ud800", object(), [[]] * 999):
        assert len(shown(value)) <= 80
        assert shown(value).isprintable()
