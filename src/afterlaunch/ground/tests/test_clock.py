from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.ground import clock

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def test_time_stands_still_until_it_is_moved() -> None:
    with clock.frozen(AT) as fixed:
        assert clock.now() == AT
        fixed.advance(90)
        assert clock.now() == AT + timedelta(seconds=90)


def test_a_scaled_clock_is_the_same_in_another_process() -> None:
    scaled = clock.ScaledClock(1000.0, AT, 960.0)
    again = clock.from_setting(scaled.setting())
    assert isinstance(again, clock.ScaledClock) and again == scaled


@pytest.mark.parametrize("text", ["fast", "scaled:1,2", "scaled:1,2,0", "scaled:a,b,c"])
def test_a_clock_setting_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        clock.from_setting(text)


def test_nanoseconds_keep_the_microsecond() -> None:
    instant = datetime(2026, 3, 1, 2, 0, 0, 123457, tzinfo=UTC)
    assert clock.from_ns(clock.to_ns(instant)) == instant
