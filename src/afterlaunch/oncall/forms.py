"""What the forms of on-call send, as the actions take it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from afterlaunch.accounts.models import Client, User
from afterlaunch.calendars.wall import first_instant
from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.actions import people_for
from afterlaunch.oncall.documents import LAYERS, MEMBERS
from afterlaunch.oncall.policies import STEPS

MORE = 4  # empty turns or steps, behind those that are there
WEEKDAYS = ((1, "Mon"), (2, "Tue"), (3, "Wed"), (4, "Thu"), (5, "Fri"), (6, "Sat"), (7, "Sun"))
Document = dict[str, Any]


def reader_zone() -> ZoneInfo:
    """The zone in which whoever reads this page sees times, and writes them."""
    return ZoneInfo(timezone.get_current_timezone_name())


def instant(text: str) -> datetime:
    """A wall time of the reader's."""
    try:
        return first_instant(datetime.fromisoformat(text).replace(tzinfo=None), reader_zone())
    except ValueError:
        raise Invalid(f"{text!r} is no date and time.", "For example: 2026-03-01T18:00") from None


def person(client: Client, text: str | None) -> User:
    for user in people_for(client):
        if str(user.pk) == text:
            return user
    raise Invalid("Choose a person who can act for this client.")


def person_or_none(client: Client, text: str | None) -> User | None:
    return person(client, text) if text else None


def whole(text: str, what: str) -> int:
    if not text.strip().lstrip("-").isdigit():
        raise Invalid(f"{what} must be a whole number.")
    return int(text)


def member_code(token: Any) -> str:
    """A member as the value of an option."""
    return f"t{token['team']}" if isinstance(token, Mapping) else f"p{token}"


def _member(code: str) -> Any:
    kind, number = code[:1], code[1:]
    if kind not in "pt" or not number.isdigit():
        raise Invalid("Choose a person or a team.")
    return {"team": int(number)} if kind == "t" else int(number)


def layers(form: QueryDict) -> list[Document]:
    """Fields layer-N-…: a layer without a name, or ticked to be gone, is left out. What a form can't change of a layer
    (a calendar that feeds it, fixed shifts) it carries along."""
    found = []
    for number in range(LAYERS):
        name = form.get(f"layer-{number}-name", "").strip()
        if name and not form.get(f"layer-{number}-gone"):
            found.append(_layer(form, f"layer-{number}", name))
    return found


def _layer(form: QueryDict, at: str, name: str) -> Document:
    made: Document = {
        "name": name,
        "priority": whole(form.get(f"{at}-priority") or "0", f"The priority of {name}"),
        "timeZone": form.get(f"{at}-zone", "").strip() or None,
        "windows": _windows(form, at),
    }
    if calendar := form.get(f"{at}-calendar", ""):
        return {**made, "calendar": calendar}
    if f"{at}-shifts" in form:
        return {**made, "shifts": _carried(form.get(f"{at}-shifts", ""))}
    made["rotation"] = {
        "type": form.get(f"{at}-type", "weekly"),
        "length": whole(form.get(f"{at}-length") or "1", f"The length of a turn of {name}"),
        "start": form.get(f"{at}-start", ""),
        "advanceOn": form.get(f"{at}-advance") or None,
        "members": _turns(form, at),
    }
    return made


def _carried(text: str) -> list[Any]:
    """What the form holds of a layer without showing it; it is checked like everything else."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise Invalid("The form is damaged: it lacks what it carried along.", "Open the editor again.")
    return found


def _windows(form: QueryDict, at: str) -> list[Document]:
    if f"{at}-windows" in form:
        return _carried(form.get(f"{at}-windows", ""))
    days = [int(one) for one in form.getlist(f"{at}-day") if one.isdigit()]
    start, end = form.get(f"{at}-from", ""), form.get(f"{at}-to", "")
    if not days and not start and not end:
        return []
    if not (days and start and end):
        raise Invalid("Hours of a layer need days, a start and an end.", "Leave all three empty for always.")
    return [{"days": days, "start": start[:5], "end": "24:00" if end == "00:00" else end[:5]}]


def _turns(form: QueryDict, at: str) -> list[list[Any]]:
    turns = [[_member(code) for code in form.getlist(f"{at}-turn-{n}") if code] for n in range(MEMBERS + MORE)]
    return [one for one in turns if one]


def blank_layer(zone: str, monday: str) -> Document:
    rotation = {"type": "weekly", "length": 1, "start": f"{monday}T09:00", "advanceOn": "", "members": []}
    return {"name": "", "priority": 0, "timeZone": zone, "windows": [], "rotation": rotation}


def shown_layers(given: list[Document], extra: int, options: list[tuple[str, str]]) -> list[Document]:
    """Stored or half-written layers as the editor shows them, with `extra` empty turns at the end of each. `options`:
    (code, name) of who can have a turn; a turn is a list of the options of each select."""
    found = []
    choices = _Choices(options)
    for number, one in enumerate(given):
        window = (one.get("windows") or [{}])[0]
        windows_text = orjson.dumps(one.get("windows") or []).decode()
        turning = one.get("rotation") or {}
        groups = [[member_code(token) for token in group] for group in map(_as_list, turning.get("members", []))]
        found.append(
            {
                **one,
                "at": f"layer-{number}",
                "turning": turning,
                "turns": [
                    (n, [choices.with_one(code) for code in group])
                    for n, group in enumerate([*groups, *([[""]] * extra)])
                ],
                "days": [(n, label, n in window.get("days", ())) for n, label in WEEKDAYS],
                "opens": window.get("start", ""),
                "closes": "00:00" if window.get("end") == "24:00" else window.get("end", ""),
                "windows_text": windows_text if len(one.get("windows") or []) > 1 else "",
                "shifts_text": orjson.dumps(one["shifts"]).decode() if "shifts" in one else "",
            }
        )
    return found


class _Choices:
    """The same options again and again, one of them chosen: written once for each that is."""

    def __init__(self, options: list[tuple[str, str]]) -> None:
        rows = [("", ""), *options]
        self._parts = [(code, format_html('<option value="{}">{}</option>', code, name)) for code, name in rows]
        self._chosen = {code: format_html('<option value="{}" selected>{}</option>', code, name) for code, name in rows}
        self._made: dict[str, SafeString] = {}

    def with_one(self, code: str) -> SafeString:
        if code not in self._made:
            rows = [self._chosen[one] if one == code and code else text for one, text in self._parts]
            self._made[code] = SafeString("".join(rows))
        return self._made[code]


def _as_list(group: Any) -> list[Any]:
    return list(group) if isinstance(group, list) else [group]


# -- policies -------------------------------------------------------------------------------------------------------


def target_code(one: Mapping[str, Any]) -> str:
    return f"{one['kind']}:{one.get('id') or ''}"


def _target(code: str) -> Document:
    kind, _, key = code.partition(":")
    return {"kind": kind, "id": int(key)} if key.isdigit() else {"kind": kind}


def steps(form: QueryDict) -> list[Document]:
    """Fields step-N-…: a step without a target is left out."""
    found = []
    for number in range(STEPS + MORE):
        at = f"step-{number}"
        targets = [_target(code) for code in form.getlist(f"{at}-target") if code]
        if not targets:
            continue
        conditions: Document = {
            "severities": form.getlist(f"{at}-severity"),
            "calendar": form.get(f"{at}-calendar", ""),
            "weekdays": [int(one) for one in form.getlist(f"{at}-day") if one.isdigit()],
            "types": [one.strip() for one in form.get(f"{at}-types", "").split(",") if one.strip()],
        }
        holiday = form.get(f"{at}-holiday", "")
        conditions["holiday"] = None if not holiday else holiday == "yes"
        delay = _seconds(form.get(f"{at}-minutes") or "5")
        found.append({"delay": delay, "targets": targets, "conditions": conditions})
    return found


def _seconds(minutes: str) -> int:
    try:
        return round(float(minutes) * 60)
    except (ValueError, OverflowError):
        raise Invalid(f"A step's delay in minutes is {minutes!r}.", "For example 5, or 1.5.") from None


def catch_all(form: QueryDict) -> list[Document]:
    return [_target(code) for code in form.getlist("catch-all") if code]


def again(form: QueryDict) -> dict[str, int]:
    found = {name: form.get(f"again-{name}", "").strip() for name in ("P1", "P2", "P3")}
    return {name: whole(text, f"The minutes for {name}") for name, text in found.items() if text}


def shown_steps(given: list[Document], extra: int) -> list[Document]:
    """Steps as the editor shows them, with `extra` empty ones; each has room for another target."""
    found = []
    empty: Document = {"delay": 300, "targets": [], "conditions": {}}
    for number, one in enumerate([*given, *([empty] * extra)]):
        told = one.get("conditions", {})
        found.append(
            {
                "at": f"step-{number}",
                "number": number + 1,
                "minutes": f"{one['delay'] / 60:.7g}",
                "targets": [*(target_code(target) for target in one["targets"]), ""],
                "severities": [(name, name in told.get("severities", ())) for name in ("P1", "P2", "P3")],
                "calendar": told.get("calendar", ""),
                "days": [(n, label, n in told.get("weekdays", ())) for n, label in WEEKDAYS],
                "holiday": {True: "yes", False: "no"}.get(told.get("holiday"), ""),
                "types": ", ".join(told.get("types", ())),
                "conditional": any(told.values()) or told.get("holiday") is False,
            }
        )
    return found
