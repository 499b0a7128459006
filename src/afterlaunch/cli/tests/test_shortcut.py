"""What is plainly right is read at once, to the same values; everything else is left to the usual way."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterlaunch.cli.drift import compare
from afterlaunch.cli.shortcut import NotPlain, read


def test_flags_and_places_are_read_to_their_types() -> None:
    given = ["a.csv", "--alpha", "0.1", "b.csv", "--json", "--column", "x", "--column=y", "--html", "r.html"]
    found = read(compare, given)
    assert (found["reference"], found["current"], found["html"]) == (Path("a.csv"), Path("b.csv"), Path("r.html"))
    assert (found["alpha"], found["json"], found["column"], found["exclude"]) == (0.1, True, ["x", "y"], [])
    assert (found["line"], found["strict"], found["encoding"], found["delimiter"]) == (0.2, False, "utf-8", "")
    assert read(compare, ["a", "b"])["column"] == []


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["a", "b", "c"],
        ["a", "b", "--help"],
        ["a", "b", "--alpha"],
        ["a", "b", "--alpha", "high"],
        ["a", "b", "--alpha", "-1"],
        ["a", "b", "--json=1"],
        ["a", "b", "--unknown", "1"],
        ["a", "--", "b"],
        ["-", "b"],
    ],
)
def test_what_is_not_plain_is_left_to_the_usual_way(words: list[str]) -> None:
    with pytest.raises(NotPlain):
        read(compare, words)
