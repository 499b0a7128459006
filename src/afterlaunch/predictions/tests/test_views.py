"""What the page of drift lists of many features."""

from __future__ import annotations

from afterlaunch.predictions.views import LISTED, MOST_LISTED, Row, listed


def rows(breaches: int, fine: int) -> list[Row]:
    states = ["breach"] * breaches + ["ok"] * fine
    return [Row(f"f{at}", "numeric", [(None, {"status": one})], []) for at, one in enumerate(states)]  # type: ignore[list-item]


def test_those_that_drifted_come_first_and_the_chosen_one_is_there() -> None:
    few, some, many = rows(1, 4), rows(45, 155), rows(150, 50)
    assert listed(few, None, False) == few
    assert [len(listed(one, None, False)) for one in (some, many)] == [45, MOST_LISTED]
    assert listed(rows(2, 198), None, False)[-1].name == f"f{LISTED - 1}"
    assert listed(some, some[-1], False)[-1] is some[-1] and len(listed(some, some[0], False)) == 45
    assert listed(many, None, True) == many
