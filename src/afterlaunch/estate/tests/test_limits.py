"""Limits of infrastructure as people type them."""

from __future__ import annotations

import pytest

from afterlaunch.estate.limits import DEFAULTS, LIMITS, checked, in_force, typed, written
from afterlaunch.ground.errors import Invalid


def test_shares_are_typed_in_percent_and_empty_is_the_default() -> None:
    found = typed({"cpu_above": " 90 % ", "gpu_below": "off", "database_ms_above": "150", "queue_above": ""})
    assert found == {"cpu_above": 0.9, "gpu_below": None, "database_ms_above": 150.0}
    assert in_force(found) == {**DEFAULTS, **found}
    assert [written(row, in_force(found)[row.name]) for row in LIMITS[:3]] == ["90 %", "95 %", "off"]


@pytest.mark.parametrize(
    "given",
    [
        {"cpu_above": "much"},
        {"cpu_above": "900"},
        {"sustained_minutes": "off"},
        {"sustained_minutes": "2.5"},
        {"gpu_below": "99", "gpu_above": "95"},
        {"database_ms_above": "nan"},
    ],
)
def test_what_is_no_limit_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        typed(given)
    with pytest.raises(Invalid, match="no limit"):
        checked({"unheard_of": 1.0})
