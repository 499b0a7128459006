"""What a stranger's YAML may cost."""

from __future__ import annotations

import pytest

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.yaml_text import load


def test_plain_documents_anchors_and_merges_are_read() -> None:
    told = load("a: &one {x: 1}\nb: {<<: *one, y: 2}\nc: [*one, *one]\n")
    assert told == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]}


MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 2_000_000, "nested"),  # ends the process of the fast loader
        (MERGES, "aliases"),  # 600 bytes, 10^11 pairs
        ("a: &a [*a]", "holds it"),
        ('a: "x\\0y"', "character"),
    ],
    ids=["deep", "merges", "itself", "nul"],
)
def test_what_would_cost_too_much_is_refused_at_once(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        load(text)
