"""The pages of on-call: who is on now, a schedule's calendar, its editor with a preview, policies played through."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.test import Client as Browser

from afterlaunch.ground.clock import FixedClock
from afterlaunch.oncall.duties import hand_over
from afterlaunch.oncall.models import EscalationPolicy, Override, Schedule, Swap, SystemPolicy
from afterlaunch.oncall.overrides import add_override
from afterlaunch.oncall.policy_actions import save_policy
from afterlaunch.oncall.tests.conftest import AT, DAY, ENGINE, Crew, turning

BACKEND = "django.contrib.auth.backends.ModelBackend"


def browser(crew: Crew, name: str) -> Browser:
    made = Browser()
    made.force_login(crew[name], backend=BACKEND)
    return made


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content[:500]
    return str(answer.content.decode())


def layer(crew: Crew, *names: str, **rest: str) -> dict[str, str]:
    """The editor's fields of one daily layer."""
    form = {"layer-0-name": "main", "layer-0-type": "daily", "layer-0-start": "2026-03-02T09:00"}
    form |= {f"layer-0-turn-{n}": f"p{crew[name].pk}" for n, name in enumerate(names)}
    return {**form, "name": "primary", "zone": "UTC", **rest}


def test_a_schedule_is_made_previewed_and_changed_in_the_editor(crew: Crew, fixed: FixedClock) -> None:
    boss = browser(crew, "boss")
    assert "New schedule" in text(boss.get("/oncall/acme/schedules/new"))
    shown = text(boss.post("/oncall/acme/schedules/new", layer(crew, "ada", "ben", do="preview")))
    assert "not saved yet" in shown and "Ada" in shown and not Schedule.objects.exists()
    assert 'value="main"' in text(boss.post("/oncall/acme/schedules/new", layer(crew, "ada", do="layer")))
    answer = boss.post("/oncall/acme/schedules/new", layer(crew, "ada", "ben", do="save"))
    row = Schedule.objects.get()
    assert answer["Location"] == row.get_absolute_url()
    assert "Ada" in text(boss.get(row.get_absolute_url() + "/edit"))
    hours = {"layer-0-day": "1", "layer-0-from": "09:00", "layer-0-to": "17:00"}
    refused = boss.post(row.get_absolute_url() + "/edit", layer(crew, "ada", do="save", **hours))
    assert refused.status_code == 400 and b"advanceOn must be said" in refused.content
    assert b'value="main"' in refused.content, "the form keeps its words"
    later = layer(crew, "cleo", do="save", valid_from="2026-03-09T09:00")
    assert boss.post(row.get_absolute_url() + "/edit", later).status_code == 302
    assert [one.number for one in row.versions.all()] == [1, 2]
    assert boss.post(f"{row.get_absolute_url()}/versions/2/drop").status_code == 302
    assert browser(crew, "ada").get(row.get_absolute_url() + "/edit").status_code == 403


def test_what_the_editor_does_not_show_of_a_schedule_is_saved_as_it_was(crew: Crew, fixed: FixedClock) -> None:
    shift = {"from": "2026-03-20T00:00:00Z", "to": "2026-03-21T00:00:00Z", "people": [crew["ada"].pk]}
    hours = [{"days": [1], "start": "08:00", "end": "12:00"}, {"days": [2, 3], "start": "13:00", "end": "18:00"}]
    many = turning(*[crew[name].pk for name in ("ada", "ben", "cleo")] * 23, name="many", kind="daily")
    layers = [many, turning(crew["ben"].pk, name="two windows", windows=hours), {"name": "fixed", "shifts": [shift]}]
    row = crew.schedule(*layers)
    before = row.versions.get().layers
    boss, address = browser(crew, "boss"), row.get_absolute_url() + "/edit"
    page = HTMLForm(text(boss.get(address)))
    assert boss.post(address, {**page.fields, "layer-1-priority": "3", "do": "save"}).status_code == 302
    after = row.versions.order_by("-number").first()
    assert after is not None and after.number == 2
    before[1]["priority"] = 3
    assert after.layers == before and len(after.layers[0]["rotation"]["members"]) == 69
    damaged = {**page.fields, "layer-2-shifts": "{", "do": "save"}
    assert boss.post(address, damaged).status_code == 400 and row.versions.count() == 2


class HTMLForm(HTMLParser):
    """What a browser would send of a page's form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str | list[str]] = {}
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        name = told.get("name") or ""
        if tag == "select":
            self._select = name
        elif tag == "option" and "selected" in told:
            self.fields[self._select] = told.get("value") or ""
        elif tag == "input" and name and (told.get("type") != "checkbox" or "checked" in told):
            if told.get("type") == "checkbox":
                found = self.fields.setdefault(name, [])
                assert isinstance(found, list)
                found.append(told.get("value") or "on")
            else:
                self.fields[name] = told.get("value") or ""

    def handle_data(self, data: str) -> None:
        """Options without a value are their text."""
        if self._select and self.fields.get(self._select) == "" and data.strip():
            self.fields[self._select] = data.strip()


def test_who_is_on_call_comes_first_and_gaps_are_red(crew: Crew, fixed: FixedClock) -> None:
    windows = [{"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00"}]
    row = crew.schedule(turning(crew["ada"].pk, windows=windows))
    ada = browser(crew, "ada")
    shown = text(ada.get("/oncall"))
    assert "You are on call" in shown and "22 gaps" in shown
    shown = text(ada.get(row.get_absolute_url()))
    assert "On call now: <strong>Ada</strong>" in shown
    assert 'class="board-bar gap"' in shown and 'class="today"' in shown and 'class="board-now"' in shown
    assert "Mon 02 Mar 17:00 UTC to Tue 03 Mar 09:00 UTC, 16.0 h: nobody is on call" in shown


def test_the_past_is_drawn_from_the_record(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    for _ in range(9):
        hand_over(fixed.advance(DAY))
    shown = text(browser(crew, "boss").get(f"{row.get_absolute_url()}?from=2026-03-02&weeks=1"))
    assert shown.count("Take it") == 0 and shown.count('class="board-bar who-') == 7


def test_a_shift_is_taken_with_one_button_and_given_back(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    cleo = browser(crew, "cleo")
    assert "Take it" in text(cleo.get(row.get_absolute_url()))
    form = {"kind": "replace", "person": crew["cleo"].pk, "absent": crew["ben"].pk,
            "starts_at": "2026-03-03T09:00", "ends_at": "2026-03-04T09:00"}  # fmt: skip
    assert cleo.post(row.get_absolute_url() + "/overrides", form).status_code == 302
    made = Override.objects.get()
    assert '<strong>Cleo</strong> <span class="muted">for Ben</span>' in text(cleo.get(row.get_absolute_url()))
    assert cleo.post(f"{row.get_absolute_url()}/overrides/{made.pk}/cancel").status_code == 302
    form["ends_at"] = "2026-03-03T08:00"
    assert cleo.post(row.get_absolute_url() + "/overrides", form).status_code == 400


def test_a_swap_is_asked_and_accepted_on_the_page(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    form = {"asker": crew["ada"].pk, "other": crew["ben"].pk, "starts_at": "2026-03-04T09:00",
            "ends_at": "2026-03-05T09:00"}  # fmt: skip
    ada, ben = browser(crew, "ada"), browser(crew, "ben")
    assert ada.post(row.get_absolute_url() + "/swaps", form).status_code == 302
    assert "Ada asks you to swap" in text(ben.get("/oncall"))
    assert "Withdraw" in text(ada.get(row.get_absolute_url())) and "Accept" in text(ben.get(row.get_absolute_url()))
    assert ben.post(f"{row.get_absolute_url()}/swaps/{Swap.objects.get().pk}/accept").status_code == 302
    assert Override.objects.get().person == crew["ben"]


def test_a_temporary_schedule_shares_the_time(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    form = {"starts_at": "2026-03-04T00:00", "ends_at": "2026-03-06T00:00", "person": [crew["ben"].pk, crew["cleo"].pk]}
    assert browser(crew, "boss").post(row.get_absolute_url() + "/temporary", form).status_code == 302
    shifts = row.temporary.get().layers[0]["shifts"]
    assert [(one["from"], one["people"]) for one in shifts] == [
        ("2026-03-04T00:00:00Z", [crew["ben"].pk]), ("2026-03-05T00:00:00Z", [crew["cleo"].pk]),
    ]  # fmt: skip


def test_a_policy_is_played_through_with_names_before_it_is_saved(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    boss = browser(crew, "boss")
    form = {
        "name": "main", "repeat": "0", "step-0-target": [f"schedule:{row.pk}"], "step-0-minutes": "5",
        "step-1-target": [f"person:{crew['ben'].pk}", "owner:"], "step-1-minutes": "10", "catch-all": ["owner:"],
        "again-P1": "30", "severity": "P1", "at": "2026-03-03T03:00",
    }  # fmt: skip
    shown = text(boss.post("/oncall/acme/policies/new", {**form, "do": "preview"}))
    plain = " ".join(shown.split())
    assert "+0 s" in plain and "Ada" in plain and "+5 min" in plain and "Ben, Boss" in plain and "+15 min" in plain
    assert not EscalationPolicy.objects.exists()
    saved = boss.post("/oncall/acme/policies/new", {**form, "do": "save", "assigned": crew.system.pk})
    policy = EscalationPolicy.objects.get()
    assert saved["Location"].endswith(f"/policies/{policy.pk}") and policy.default
    assert SystemPolicy.objects.get().policy == policy
    assert "Ben" in text(browser(crew, "ada").get(f"/oncall/acme/policies/{policy.pk}"))
    refused = boss.post("/oncall/acme/policies/new", {**form, "name": "other", "do": "save", "catch-all": ""})
    assert refused.status_code == 400 and b"needs a catch-all" in refused.content


def test_a_long_policy_of_a_file_survives_its_editor(crew: Crew, fixed: FixedClock) -> None:
    steps = [{"delay": 90 + 60 * n, "targets": [{"kind": "person", "id": crew["ada"].pk}]} for n in range(20)]
    policy = save_policy(ENGINE, crew.client, "long", steps)
    before = policy.steps
    boss, address = browser(crew, "boss"), f"/oncall/acme/policies/{policy.pk}"
    sent = {**HTMLForm(text(boss.get(address))).fields, "do": "save"}
    assert boss.post(address, sent).status_code == 302
    policy.refresh_from_db()
    assert policy.steps == before and len(before) == 20


def test_lists_ask_a_fixed_number_of_questions(
    crew: Crew, fixed: FixedClock, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk), name=f"s{number}")
        add_override(ENGINE, row, "cover", AT + DAY, AT + 2 * DAY, crew["cleo"])
    boss = browser(crew, "boss")
    with django_assert_max_num_queries(40):
        assert text(boss.get("/oncall")).count("<strong>Ada</strong>") == 12
