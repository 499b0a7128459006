from __future__ import annotations

from datetime import UTC, datetime

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.calendars.actions import calendar_of, newest, set_calendar
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import AfterlaunchError, Invalid, NotFound

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
WEEK = {"zone": "Europe/Berlin", "windows": [{"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00"}]}


def operator(client: str | None) -> Actor:
    return Actor("person", "Olga", (Held(Role.OPERATOR, client),), user_id=None)


@pytest.fixture
def acme(db: None) -> Client:
    return Client.objects.create(slug="acme", name="Acme", time_zone="Asia/Tokyo", created_at=AT)


def test_every_edit_is_a_new_version_and_the_same_again_is_none(acme: Client) -> None:
    with clock.frozen(AT):
        first = set_calendar(operator("acme"), acme, "business-hours", WEEK)
        assert set_calendar(operator("acme"), acme, "business-hours", WEEK).pk == first.pk
        second = set_calendar(operator("acme"), acme, "business-hours", {**WEEK, "country": "DE"})
    assert (first.version, second.version) == (1, 2)
    assert newest(acme) == {"business-hours": second} and calendar_of(acme).country == "DE"
    assert second.holidays_package and second.zone_data


def test_without_a_calendar_it_is_the_usual_week_in_the_clients_zone(acme: Client) -> None:
    assert (calendar_of(acme).zone, calendar_of(acme).version) == ("Asia/Tokyo", 0)
    with pytest.raises(NotFound):
        calendar_of(acme, "support")


def test_a_stranger_and_a_calendar_that_never_opens_are_refused(acme: Client) -> None:
    with clock.frozen(AT):
        with pytest.raises(AfterlaunchError):
            set_calendar(operator("other"), acme, "business-hours", WEEK)
        with pytest.raises(Invalid, match="no open second"):
            set_calendar(operator("acme"), acme, "business-hours", {"zone": "UTC", "windows": []})
    assert newest(acme) == {}
