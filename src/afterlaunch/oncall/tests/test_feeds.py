"""Feeds are served by a secret that can be revoked; calendars that are read in feed a layer and never empty it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.test import Client as Browser
from icalendar import Calendar

from afterlaunch.accounts.models import Grant
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.redaction import masked
from afterlaunch.ground.settings import reload
from afterlaunch.oncall import feeds
from afterlaunch.oncall.duties import hand_over
from afterlaunch.oncall.models import CalendarIn, CalendarOut
from afterlaunch.oncall.schedule import who_is_on_call
from afterlaunch.oncall.tests.conftest import AT, DAY, ENGINE, HOUR, Crew, turning
from afterlaunch.oncall.tests.test_oncall_pages import browser, text


def ics(*people: str) -> bytes:
    """One day for each, from AT on."""
    rows = [
        f"BEGIN:VEVENT\nUID:{n}\nDTSTART:{AT + n * DAY:%Y%m%dT%H%M%SZ}\nDURATION:P1D\nSUMMARY:{who}\nEND:VEVENT"
        for n, who in enumerate(people)
    ]
    return "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *rows, "END:VCALENDAR", ""]).encode()


class Site:
    """A real server of one file."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = b"", 200, 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                same = self.headers.get("If-None-Match") == f'"{hash(site.body)}"'
                self.send_response(304 if same and site.status == 200 else site.status)
                self.send_header("ETag", f'"{hash(site.body)}"')
                self.end_headers()
                if not same:
                    self.wfile.write(site.body)

            def log_message(self, *_: object) -> None:
                """Nothing on the screen."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/on-call.ics?secret=verysecret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    reload()
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()
    monkeypatch.undo()
    reload()


def test_a_feed_is_made_once_fetched_unchanged_and_revoked(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    hand_over(fixed.now())
    ada, outside = browser(crew, "ada"), Browser()
    shown = text(ada.post("/oncall/calendars", {"schedule": row.pk}))
    address = shown.split("/calendars/", 1)[1].split(".ics")[0]
    feed = f"/calendars/{address}.ics"
    assert address not in CalendarOut.objects.get().digest and address not in str(Entry.objects.all().values())
    assert masked(f"GET {feed} 200") == "GET /calendars/… 200"
    answer = outside.get(feed)
    assert answer["Content-Type"].startswith("text/calendar") and "Afterlaunch" in answer.content.decode()
    events = Calendar.from_ical(answer.content).walk("VEVENT")
    assert {str(event["SUMMARY"]) for event in events} == {"Ada: primary", "Ben: primary"} and len(events) >= 179
    assert outside.get(feed, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    fixed.advance(HOUR)
    uids = {str(event["UID"]) for event in events}
    later = Calendar.from_ical(outside.get(feed).content).walk("VEVENT")
    assert uids == {str(event["UID"]) for event in later}
    assert b"VALARM" in outside.get(feed + "?alarm=60").content
    assert browser(crew, "ben").post(f"/oncall/calendars/{CalendarOut.objects.get().pk}/revoke").status_code == 404
    assert ada.post(f"/oncall/calendars/{CalendarOut.objects.get().pk}/revoke").status_code == 302
    assert outside.get(feed).status_code == 404 and outside.get("/calendars/guess.ics").status_code == 404


def test_a_person_has_one_feed_over_all_schedules_until_they_may_not_see_them(crew: Crew, fixed: FixedClock) -> None:
    crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    crew.schedule(turning(crew["ada"].pk), name="second")
    crew.schedule(turning(crew["cleo"].pk), name="third")
    _, secret = feeds.make_feed(crew.actor("ada"), crew["ada"], None)
    events = Calendar.from_ical(feeds.served(secret, (), fixed.now())).walk("VEVENT")
    assert {str(event["SUMMARY"]) for event in events} == {"Acme: primary", "Acme: second"}
    Grant.objects.filter(user=crew["ada"]).delete()
    assert Calendar.from_ical(feeds.served(secret, (), fixed.now())).walk("VEVENT") == []
    crew["ada"].is_active = False
    crew["ada"].save()
    assert Browser().get(f"/calendars/{secret}.ics").status_code == 404


def test_a_calendar_feeds_a_layer_and_a_failing_one_keeps_the_last_good_copy(
    crew: Crew, fixed: FixedClock, site: Site
) -> None:
    row = crew.schedule(turning(crew["cleo"].pk))
    site.body = ics("Ada", "ben@acme.example", "Zoe")
    body, etag = feeds.fetched(site.url, "", trusted=True)
    assert body is not None
    made = feeds.add_calendar(ENGINE, row, "team", body, site.url, etag, priority=5)
    assert who_is_on_call(row, AT + HOUR).person == crew["ada"]
    assert who_is_on_call(row, AT + DAY).person == crew["ben"]
    assert who_is_on_call(row, AT + 2 * DAY).person == crew["cleo"], "a lower layer shows through"
    assert made.unmatched == ["Zoe"] and "verysecret" not in made.sealed
    page = text(browser(crew, "boss").get(row.get_absolute_url()))
    assert "Nobody is known as Zoe" in page and "verysecret" not in page
    for status, body in ((500, site.body), (200, b"nonsense"), (200, b"BEGIN:VCALENDAR\nEND:VCALENDAR\n")):
        site.status, site.body = status, body
        fixed.advance(HOUR)
        feeds.refresh_calendars(fixed.now())
        assert CalendarIn.objects.get().error and len(CalendarIn.objects.get().shifts) == 3
    assert len([one for one in crew.notices("boss") if "can't be read" in one]) == 1, "once, not every hour"
    site.status, site.body = 200, ics("Ben", "Ada")
    fixed.advance(HOUR)
    feeds.refresh_calendars(fixed.now())
    asked = site.asked
    feeds.refresh_calendars(fixed.now())
    assert site.asked == asked and not CalendarIn.objects.get().error
    hand_over(fixed.now())
    assert who_is_on_call(row, fixed.now()).person == crew["ben"]
    assert [one.name for one in row.record.all()] == ["Ada", "Ben"], "what was before the change stays"
    fixed.advance(2 * HOUR)
    feeds.refresh_calendars(fixed.now())
    assert CalendarIn.objects.get().good_at == fixed.now(), "unchanged, and read anew for the days that came near"
    feeds.remove_calendar(ENGINE, row, made.pk)
    assert who_is_on_call(row, fixed.now()).person == crew["cleo"]


def test_only_the_houses_administrators_name_private_addresses(crew: Crew, site: Site) -> None:
    row = crew.schedule()
    answer = browser(crew, "boss").post(row.get_absolute_url() + "/calendars", {"name": "x", "url": site.url})
    assert answer.status_code == 400 and site.asked == 0
    with pytest.raises(Invalid):
        feeds.fetched("http://169.254.169.254/latest", "", trusted=False)
    assert feeds.address_of("webcal://x.example/a.ics") == "https://x.example/a.ics"


def test_a_file_is_read_in_once(crew: Crew, fixed: FixedClock, tmp_path: object) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    row = crew.schedule()
    given = SimpleUploadedFile("x.ics", ics("Ada"), "text/calendar")
    form = {"name": "once", "file": given, "priority": "3"}
    assert browser(crew, "boss").post(row.get_absolute_url() + "/calendars", form).status_code == 302
    assert who_is_on_call(row, AT).person == crew["ada"]
    feeds.refresh_calendars(fixed.advance(timedelta(days=1)))
    assert not CalendarIn.objects.get().error
