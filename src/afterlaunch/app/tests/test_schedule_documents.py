"""A schedule's calendars and temporary schedules, by file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import yaml

from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.ground.settings import reload
from afterlaunch.notify.models import Page
from afterlaunch.oncall.duties import refresh_calendars
from afterlaunch.oncall.models import CalendarIn, Schedule, ScheduleVersion, TemporarySchedule
from afterlaunch.oncall.oneshot import shifts
from afterlaunch.oncall.schedule import who_is_on_call
from afterlaunch.oncall.tests.conftest import AT, DAY, HOUR
from afterlaunch.oncall.tests.test_feeds import Site, ics, site  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
PEOPLE = """
apiVersion: afterlaunch/v1
kind: Client
metadata: {name: acme}
---
apiVersion: afterlaunch/v1
kind: Person
metadata: {name: ada@acme.example}
spec: {displayName: Ada, roles: [{role: responder, client: acme}]}
---
apiVersion: afterlaunch/v1
kind: Person
metadata: {name: ben@acme.example}
spec: {displayName: Ben, roles: [{role: responder, client: acme}]}
---
"""


@pytest.fixture
def fixed() -> Iterator[FixedClock]:
    with clock.frozen(AT) as one:
        yield one


def document(**spec: object) -> str:
    whole = {"apiVersion": "afterlaunch/v1", "kind": "Schedule", "metadata": {"client": "acme", "name": "primary"}}
    return yaml.safe_dump({**whole, "spec": {"timeZone": "UTC", **spec}})


def put(text: str) -> list[str]:
    return [one.kind for one in apply(LOCAL, parse(PEOPLE + text, "site.yaml"))]


def fed(**calendar: object) -> str:
    return document(layers=[{"name": "rota", "calendar": "rota"}], calendars=[{"name": "rota", **calendar}])


def days(*people: str) -> list[dict[str, object]]:
    return [
        {"from": f"{AT + n * DAY:%Y-%m-%dT%H:%MZ}", "to": f"{AT + (n + 1) * DAY:%Y-%m-%dT%H:%MZ}", "people": [who]}
        for n, who in enumerate(people)
    ]


def test_an_address_is_named_not_told_and_fetched_by_the_engine(
    fixed: FixedClock,
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.1/32")
    monkeypatch.setenv("ROTA", site.url)
    reload()
    site.body = ics("Ada", *["Ben"] * 40)
    put(fed(address="env:ROTA"))
    assert site.asked == 0, "the network is no part of the transaction"
    assert not Page.objects.exists(), "what is still to be fetched is no gap to be warned of"
    fixed.advance(HOUR / 60)
    refresh_calendars(fixed.now())
    row = Schedule.objects.get()
    assert [str(who_is_on_call(row, at).person) for at in (fixed.now(), AT + DAY)] == ["Ada", "Ben"]
    told = to_yaml(export())
    assert "address: env:ROTA" in told and "verysecret" not in told
    before = Entry.objects.count()
    assert (
        put(told.partition("kind: Schedule")[0] and fed(address="env:ROTA")) == [] and Entry.objects.count() == before
    )


def test_a_new_address_keeps_what_was_read_until_it_is_fetched(
    fixed: FixedClock,
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.1/32")
    monkeypatch.setenv("ROTA", site.url)
    reload()
    put(fed(text=ics("Ada", "Ada").decode()))
    site.status = 503
    put(fed(address="env:ROTA"))
    refresh_calendars(fixed.now())
    assert str(who_is_on_call(Schedule.objects.get(), AT + HOUR).person) == "Ada"
    assert "503" in CalendarIn.objects.get().error


def test_a_text_is_read_at_once_and_comes_back_the_same(fixed: FixedClock) -> None:
    put(fed(text=ics("Ada", "Ben").decode().replace("\n", "\r\n")))
    row = Schedule.objects.get()
    assert str(who_is_on_call(row, AT + DAY + HOUR).person) == "Ben"
    assert apply(LOCAL, parse(to_yaml(export()), "export")) == []
    assert put(fed(text=ics("Ada", "Ben").decode())) == []


def test_a_calendar_that_is_not_named_any_more_is_gone_and_its_layer_must_be(fixed: FixedClock) -> None:
    put(fed(text=ics("Ada").decode()))
    with pytest.raises(AfterlaunchError, match="fed by no calendar"):
        put(document(layers=[{"name": "rota", "calendar": "other"}], calendars=[]))
    put(document(layers=[{"name": "fixed", "shifts": days("ben@acme.example")}], calendars=[]))
    assert not CalendarIn.objects.exists()
    assert str(who_is_on_call(Schedule.objects.get(), AT + HOUR).person) == "Ben"


def test_one_that_somebody_typed_in_is_kept_where_it_is_and_asked_for_elsewhere(fixed: FixedClock) -> None:
    put(fed(text=ics("Ada").decode()))
    CalendarIn.objects.update(sealed="something", host="calendar.example.com")
    assert put(fed(address=None)) == []
    Schedule.objects.all().delete()
    with pytest.raises(Invalid, match="Nobody says where the calendar 'rota' lies"):
        put(fed(address=None))


def test_a_temporary_schedule_is_put_altered_taken_back_and_passed_by_when_over(fixed: FixedClock) -> None:
    layers = [{"name": "week", "shifts": days(*["ada@acme.example"] * 5)}]
    one = {
        "from": AT + DAY,
        "to": AT + 2 * DAY,
        "layers": [{"name": "away", "shifts": days("", "ben@acme.example")[1:]}],
    }
    short = {"from": AT + 3 * DAY, "to": AT + 4 * DAY, "shifts": days("", "", "", "ben@acme.example")[3:]}
    put(document(layers=layers, temporary=[one, short]))
    row, versions = Schedule.objects.get(), ScheduleVersion.objects.count()

    def people() -> str:
        return "".join(str(who_is_on_call(row, AT + n * DAY + HOUR).person)[0] for n in range(5))

    assert people() == "ABABA"
    assert put(document(layers=layers, temporary=[one, short])) == []
    spec = next(d.spec for d in export() if d.kind.name == "Schedule")
    assert [told["from"] for told in spec["temporary"]] == ["2026-03-03T09:00:00Z", "2026-03-05T09:00:00Z"]
    told = shifts({"kind": "Schedule", "spec": spec}, "2026-03-02T09:00", "2026-03-06T09:00", AT)
    assert [one["person"][0] for one in told["shifts"]] == ["a", "b", "a", "b"]
    put(document(layers=layers, temporary=[short]))
    assert people() == "AAABA" and ScheduleVersion.objects.count() == versions
    fixed.advance(timedelta(days=10))
    assert put(document(layers=layers, temporary=[one])) == []
    assert TemporarySchedule.objects.filter(cancelled_at=None).count() == 1


def test_the_command_reads_a_calendar_that_stands_in_the_file() -> None:
    spec = {
        "layers": [{"name": "rota", "calendar": "rota"}],
        "calendars": [{"name": "rota", "text": ics("Zoe").decode()}],
    }
    told = shifts({"timeZone": "UTC", **spec}, "2026-03-02T09:00", "2026-03-03T09:00", AT)
    assert [(one["person"], one["hours"]) for one in told["shifts"]] == [("zoe", 24.0)]
    spec["calendars"] = [{"name": "rota", "address": "env:ROTA"}]
    with pytest.raises(Invalid, match="not part of the file"):
        shifts({"timeZone": "UTC", **spec}, "2026-03-02T09:00", "2026-03-03T09:00", AT)
