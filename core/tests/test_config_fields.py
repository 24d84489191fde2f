from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from core.config_fields import Text, config_fields, describe, read_value
from core.config_ranges import number


@dataclass(frozen=True)
class Base:
    lr: float = number(0.1)
    """Learning
    rate."""
    epochs: int = number(300)
    """Epochs."""
    silent: bool = False
    out: Path = field(default=Path("runs"), metadata={"hash": False})
    sizes: list[int] = number([1, 2])


def test_fields_of_a_class_and_its_base() -> None:
    @dataclass(frozen=True)
    class Longer(Base):
        """Strings elsewhere, such as this one, explain no field."""

        epochs: int = number(5)
        """Fewer epochs."""
        seed: int = number(0)
        """First seed."""

    fields = config_fields(Longer)
    assert {key: item.explanation for key, item in fields.items()} == {
        "lr": "Learning rate.",
        "epochs": "Fewer epochs.",
        "silent": "",
        "out": "",
        "sizes": "",
        "seed": "First seed.",
    }
    assert [item.default for item in fields.values()] == [0.1, 5, False, Path("runs"), [1, 2], 0]
    assert [key for key, item in fields.items() if not item.hashed] == ["out"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "int"),
        (bool, "true|false"),
        (str, "text"),
        (Path | None, "path or none"),
        (Literal["sgd", 3], "{sgd,3}"),
        (list[float], "list of float"),
        (tuple[int, ...] | None, "list of int or none"),
        (tuple[int, float], "2 values: int, float"),
    ],
)
def test_describe(kind: Any, words: str) -> None:
    assert describe(kind) == words


def test_unusable_classes_are_refused() -> None:
    @dataclass
    class NoDefault:
        lr: float

    @dataclass
    class OddType:
        lr: dict[str, int] = field(default_factory=dict)

    @dataclass
    class OddItems:
        lr: tuple[bytes, ...] = ()

    @dataclass
    class TwoTypes:
        lr: int | str = 1

    @dataclass
    class Taken:
        config: str = ""

    @dataclass
    class NoRange:
        lr: float = 1.0

    @dataclass
    class NothingToRange:
        name: str = number("x")

    @dataclass
    class NoRangeOfItems:
        omega: tuple[float, ...] | None = None

    for without in (NoRange, NothingToRange, NoRangeOfItems):
        with pytest.raises(TypeError, match=f"{without.__name__}.*a number, and only that"):
            config_fields(without)
    for config_class in (NoDefault, OddType, OddItems, TwoTypes, Taken):
        with pytest.raises(TypeError, match=config_class.__name__):
            config_fields(config_class)


@pytest.mark.parametrize("value", [True, False])
def test_booleans_have_many_words(value: bool) -> None:
    words = "true t yes y on 1" if value else "false f no n off 0"
    for word in (*words.split(), *words.upper().split()):
        assert read_value(bool, Text(word)) is value
