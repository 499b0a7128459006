import time
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


def test_a_scaled_clock_slows_down_to_real_time_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = clock.ScaledClock(1000.0, AT, 600.0, until=AT + timedelta(hours=1))
    monkeypatch.setattr(time, "time", lambda: 1005.0)
    assert (scaled.now(), scaled.factor) == (AT + timedelta(minutes=50), 600.0)
    monkeypatch.setattr(time, "time", lambda: 1006.0 + 30.0)
    assert (scaled.now(), scaled.factor) == (AT + timedelta(hours=1, seconds=30), 1.0)
    assert clock.from_setting(scaled.setting()) == scaled


@pytest.mark.parametrize("text", ["fast", "scaled:1,2", "scaled:1,2,0", "scaled:1,2,3,4,5", "scaled:a,b,c"])
def test_a_clock_setting_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        clock.from_setting(text)


def test_nanoseconds_keep_the_microsecond() -> None:
    instant = datetime(2026, 3, 1, 2, 0, 0, 123457, tzinfo=UTC)
    assert clock.from_ns(clock.to_ns(instant)) == instant
