"""Hours, nights, weekends and pages per person, and how even they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.ground.clock import FixedClock
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.oncall.duties import hand_over
from afterlaunch.oncall.fairness import balance, pair_balance
from afterlaunch.oncall.tests.conftest import AT, DAY, HOUR, Crew, turning
from afterlaunch.oncall.tests.test_oncall_pages import browser, text

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(weeks=1)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([], 1),
        ([5], 1),
        ([0, 0], 1),
        ([0, 7], 0),
        ([4, 4, 4], 1),
        ([10, 5], 0.5),
        ([10, 5, 0], 1 / 6),
        ([0, 0, 3], 1 / 3),
    ],
)
def test_balance_is_the_mean_over_all_pairs(amounts: list[float], expected: float) -> None:
    assert pair_balance(amounts) == pytest.approx(expected)


@given(st.lists(st.integers(0, 1000), max_size=8))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_balance_lies_between_nothing_and_even(amounts: list[float]) -> None:
    assert 0 <= pair_balance(amounts) <= 1 and pair_balance(amounts) == pytest.approx(pair_balance(amounts[::-1]))


def test_nights_weekends_and_holidays_are_those_of_each_persons_zone() -> None:
    shifts = [("a", MONDAY, MONDAY + WEEK), ("b", MONDAY, MONDAY + WEEK)]
    zones = {"a": "UTC", "b": "Asia/Tokyo", "c": "UTC"}
    found = balance(shifts, [], zones, MONDAY, MONDAY + WEEK, lambda day: day == date(2026, 3, 4))
    a, b, c = found.loads
    assert (a.hours, a.night_hours, a.weekend_hours, a.holiday_hours, a.consecutive_days) == (168, 56, 48, 24, 7)
    assert (b.hours, b.night_hours, b.weekend_hours, b.consecutive_days) == (168, 56, 48, 8)
    assert (c.hours, c.consecutive_days) == (0, 0), "somebody with no hours counts"
    assert (
        found.hours == pytest.approx(1 / 3)
        and found.coverage == 1
        and [one.overloaded for one in found.loads] == [True, True, False]
    )


def test_a_day_with_a_clock_change_counts_its_real_hours() -> None:
    start = datetime(2026, 3, 27, 23, tzinfo=UTC)  # Saturday 00:00 in Berlin; clocks change on Sunday
    found = balance([("a", start, start + 2 * DAY)], [], {"a": "Europe/Berlin"}, start, start + 2 * DAY)
    (one,) = found.loads
    assert one.weekend_hours == 47 and one.hours == 48


def test_pages_at_night_wake_somebody_once_a_night() -> None:
    at = [MONDAY + timedelta(hours=h) for h in (1, 2, 23, 25, 30, 36)]
    (one,) = balance([], [("a", when) for when in at], {"a": "UTC"}, MONDAY, MONDAY + WEEK).loads
    assert (one.pages, one.night_pages, one.nights_woken) == (6, 4, 2)


def test_the_page_shows_the_record_and_the_plan(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, crew["cleo"].pk, kind="daily"))
    for _ in range(4):
        hand_over(fixed.advance(DAY))
    contact = ContactMethod.objects.get(user=crew["ben"])
    Page.objects.create(key="k", topic="incident/1", client="acme", occurrence="1", person=crew["ben"], contact=contact,
                        created_at=AT + 16 * HOUR, due_at=AT, nonce="n", link_expires_at=AT)  # fmt: skip
    ada = browser(crew, "ada")
    shown = " ".join(text(ada.get(f"/oncall/acme/load?from=2026-03-02&to=2026-03-06&schedule={row.pk}")).split())
    assert shown.count("24.0 h") >= 1 and "Ben" in shown and "Cleo" in shown
    assert "Nobody was on call" in text(ada.get("/oncall/acme/load?from=2025-03-02&to=2025-03-06"))
    assert ada.get("/oncall/acme/load?from=2026-03-02&to=2026-03-01").status_code == 400
    assert "from the plan" in text(ada.get("/oncall/acme/load?from=2026-03-09&to=2026-04-01"))

    period = "from=2026-03-02&to=2026-03-06"
    told = ada.get(f"/api/v1/oncall/acme/load?{period}&schedule={row.name}").json()
    assert told == ada.get(f"/api/v1/oncall/acme/load?{period}").json()
    loads = {one["person"]: one for one in told["people"]}
    assert sum(one["hours"] for one in told["people"]) == 4 * 24 * told["balance"]["coverage"]
    assert (loads["Ben"]["pages"], loads["Cleo"]["pages"]) == (1, 0) and loads["Ben"]["nights_woken"] in (0, 1)
    assert ada.get(f"/api/v1/oncall/acme/load?{period}&schedule=none").status_code == 404
    assert ada.get("/api/v1/oncall/acme/load?from=2026-03-02&to=2026-03-02").status_code == 400
    assert ada.get("/api/v1/oncall/another/load").status_code == 404
