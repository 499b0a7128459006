"""People on call in three zones, with an override, a swap that is asked, a gap and policies; promised times and a
handover, for the pages that show them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any


def people() -> list[Any]:
    from afterlaunch.accounts.actions import first_administrator, house_client
    from afterlaunch.accounts.models import Grant, User
    from afterlaunch.ground import clock
    from afterlaunch.notify.models import ContactMethod

    made = [first_administrator()]
    zones = {"Ada Nguyen": "Europe/Berlin", "Mateo Alvarez-Fernandez": "America/Sao_Paulo", "Yui": "Asia/Tokyo"}
    for name, zone in zones.items():
        mail = f"{name.split()[0].lower()}@acme.example"
        user = User.objects.create_user(mail, name, time_zone=zone)
        Grant.objects.create(user=user, role="responder", client=house_client())
        now = clock.now()
        ContactMethod.objects.create(user=user, kind="email", address=mail, created_at=now, verified_at=now)
        made.append(user)
    return made


def on_call() -> None:
    """Two schedules, the second with nights that nobody covers; a policy of its own for one system."""
    from afterlaunch.accounts.actions import house_client
    from afterlaunch.estate.models import System
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.oncall.actions import make_schedule, put_team
    from afterlaunch.oncall.overrides import add_override, ask_swap
    from afterlaunch.oncall.policy_actions import assign_policy, save_policy

    someone, client, now = automation("Ada Nguyen"), house_client(), clock.now().replace(minute=0, second=0)
    me, ada, mateo, yui = people()
    start = (now - timedelta(days=now.weekday())).strftime("%Y-%m-%dT09:00")
    turning = {"type": "weekly", "length": 1, "start": start, "advanceOn": "calendar"}
    turns = [ada.pk, mateo.pk, me.pk]
    week = {"name": "week", "timeZone": "Europe/Berlin", "rotation": {**turning, "members": turns}}
    first = make_schedule(someone, client, "Answers, round the clock", "Europe/Berlin", [week], owner=me)
    days = [{"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}]
    desk = {"name": "desk", "timeZone": "Asia/Tokyo", "rotation": {**turning, "members": [yui.pk]}, "windows": days}
    second = make_schedule(someone, client, "Contracts desk", "Asia/Tokyo", [desk])
    add_override(someone, first, "replace", now + timedelta(days=1), now + timedelta(days=2), mateo, ada)
    ask_swap(someone, first, ada, mateo, now + timedelta(days=3), now + timedelta(days=4))
    team = put_team(someone, client, "Platform", [ada, yui])
    steps = [
        {"delay": 300, "targets": [{"kind": "schedule", "id": first.pk}]},
        {"delay": 600, "targets": [{"kind": "schedule", "id": second.pk}, {"kind": "team", "id": team.pk}]},
    ]
    policy = save_policy(someone, client, "Answers", steps, repeat=2)
    assign_policy(someone, System.objects.get(key="support-assistant"), policy)


def promises() -> None:
    """Business hours with holidays, and a system whose internal team is first."""
    from afterlaunch.accounts.actions import house_client
    from afterlaunch.calendars.actions import set_calendar
    from afterlaunch.estate.models import System
    from afterlaunch.ground.actors import automation
    from afterlaunch.sla.postures import set_support

    someone = automation("Ada Nguyen")
    days = ["mon", "tue", "wed", "thu", "fri"]
    hours = {"zone": "Europe/Berlin", "windows": [{"days": days, "start": "08:00", "end": "18:00"}]}
    closed = {"country": "DE", "subdivision": "BY", "closures": ["2026-12-28", "2026-12-29"]}
    half = [{"date": "2026-12-23", "windows": [{"start": "08:00", "end": "12:00"}]}]
    set_calendar(someone, house_client(), "business-hours", {**hours, **closed, "half_days": half})
    rule = {"after": "30m", "counting": "elapsed", "unless": "resolved"}
    given = {"posture": "escalation", "handover": rule, "contacts": "Desk 12, +49 30 1234"}
    set_support(someone, System.objects.get(key="contract-reader"), given)
