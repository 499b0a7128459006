"""A late span makes no question about all times; every instant is in one of the stretches."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.telemetry.times import MOST, stretches, within

HOUR = 3_600 * 10**9


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(instants=st.lists(st.integers(0, 2**62), min_size=1, max_size=60), margin=st.sampled_from((0, HOUR)))
def test_every_instant_lies_in_one_stretch_with_its_margin(instants: list[int], margin: int) -> None:
    found = stretches(np.array(instants), margin)
    assert len(found) <= MOST and found == sorted(found)
    assert all(any(a + margin <= one <= b - margin for a, b in found) for one in instants)


def test_one_from_1970_costs_a_stretch_of_its_own() -> None:
    now = 1_772_323_200 * 10**9
    assert stretches(np.array([now, 0, now + HOUR // 60]), 10) == [(-10, 10), (now - 10, now + HOUR // 60 + 10)]
    assert within("start_ns", np.array([5])) == ("(start_ns between ? and ?)", [5, 5])
