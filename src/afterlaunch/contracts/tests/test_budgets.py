from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.contracts.budgets import WINDOWS, Budget, PriceCard, Step, window_of

CALL = {"client": "acme", "tenant": "t1", "agent": "answers", "user": None}


@pytest.mark.parametrize(
    ("scope", "counter"),
    [
        ({}, ""),
        ({"client": "acme"}, ""),
        ({"client": "other"}, None),
        ({"tenant": "*"}, "tenant=t1"),
        ({"tenant": "*", "agent": "answers"}, "tenant=t1"),
        ({"tenant": "*", "agent": "*"}, "tenant=t1&agent=answers"),
        ({"user": "*"}, None),
        ({"user": "u"}, None),
    ],
)
def test_a_call_is_counted_where_the_scope_says(scope: dict[str, str], counter: str | None) -> None:
    assert Budget("b", "b", scope, "usd", 1, "day").counter(CALL) == counter


@pytest.mark.parametrize(
    ("kind", "zone", "at", "start", "end"),
    [
        ("hour", "UTC", "2026-03-29T00:59", "2026-03-29T00:00", "2026-03-29T01:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        ("week", "UTC", "2026-11-22T12:00", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "America/New_York", "2026-12-31T23:00", "2026-12-01T05:00", "2027-01-01T05:00"),
        ("quarter", "UTC", "2026-11-22T12:00", "2026-10-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_windows_are_the_calendars(kind: str, zone: str, at: str, start: str, end: str) -> None:
    found = window_of(kind, zone, datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert (f"{found.start:%Y-%m-%dT%H:%M}", f"{found.end:%Y-%m-%dT%H:%M}") == (start, end)


@given(
    st.sampled_from([one for one in WINDOWS if one != "once"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)),  # noqa: DTZ001
)
def test_windows_lie_end_to_end(kind: str, zone: str, at: datetime) -> None:
    now = at.replace(tzinfo=UTC)
    found = window_of(kind, zone, now)
    assert found.end is not None and found.start <= now < found.end
    assert window_of(kind, zone, found.end).start == found.end
    assert window_of(kind, zone, found.end - timedelta(seconds=1)) == found


def test_a_cost_is_rounded_up_once_and_unknown_is_not_zero() -> None:
    card = PriceCard((Step(-1, {"input": 20_000, "output": None}), Step(100, {"input": 40_000})), 0, "v", 0.0)
    assert card.nano({"input": 25}) == 500
    assert card.nano({"input": 101}) == 4_040
    assert card.nano({"input": 25, "output": 1}) is None and card.nano({"input": 25, "output": 0}) == 500
    assert PriceCard((Step(-1, {"input": 1}),), 0, "v", 0.0).nano({"input": 1}) == 1
