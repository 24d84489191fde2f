"""Numbers of other types: exactly the same, or an error that names what cannot be kept."""

import numpy as np
import pytest

from core.data.numbers import exact_float64, exact_int64, whole_numbers


@pytest.mark.parametrize("kind", [*"bBhHiIlLefdg", ">f2", ">i4", ">u8", "?"])
def test_whole_numbers_of_any_type(kind: str) -> None:
    found = exact_int64(np.array([1, 0, 1], kind), "labels")
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 1]


def test_integers_keep_their_width_and_nothing_is_copied() -> None:
    array = np.arange(3, dtype=np.uint16)
    assert whole_numbers(array, "units") is array
    assert whole_numbers(array.astype(">u2"), "units").dtype == np.uint16


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 0.5, 1.7], "labels must be whole numbers, found 0.5"),
        ([0.0, np.nan], "found nan"),
        ([0.0, np.inf], "found inf"),
        ([2.0**53, 2.0**54], "found 1.8"),
        (np.array([2**63], np.uint64), "do not fit into 64 bits"),
    ],
)
def test_what_is_not_whole_is_named(values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact_int64(values, "labels")


def test_other_things_than_numbers() -> None:
    for values in (["1", "2"], [1j], [None]):
        with pytest.raises(TypeError, match=r"labels of type .*, expected numbers"):
            exact_int64(values, "labels")  # type: ignore[arg-type]


def test_float64_is_exact_or_refused() -> None:
    times = np.array([0.1, np.nan, -np.inf, 3e38], np.float32)
    np.testing.assert_array_equal(exact_float64(times.astype(">f4"), "times"), times)
    assert exact_float64(np.array([2**53, -(2**60)]), "times").tolist() == [2.0**53, -(2.0**60)]
    for values in ([2**53 + 1], [2**63 - 1], np.array([1], "g") / 3):
        with pytest.raises(ValueError, match=r"times such as .* are not exact in float64"):
            exact_float64(values, "times")
