"""One schedule: its calendar, its editor, and what is done to it in a few clicks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.oncall import actions, board, final, forms, overrides
from afterlaunch.oncall.documents import layers_of
from afterlaunch.oncall.final import final_shifts
from afterlaunch.oncall.gaps import Gap, gaps_in
from afterlaunch.oncall.handoffs import local_text, reachable
from afterlaunch.oncall.history import shifts_between
from afterlaunch.oncall.models import OVERRIDE_KINDS, CalendarOut, Override, Schedule, Swap, Team, TemporarySchedule
from afterlaunch.oncall.pages import lines_of
from afterlaunch.oncall.rotations import KINDS
from afterlaunch.oncall.schedule import groups_of, of_schedule, people_by_pk

SPANS = ((1, "1 week"), (2, "2 weeks"), (4, "4 weeks"))
LISTED = 60


def _first_day(request: Request, now: datetime) -> date:
    text = request.GET.get("from", "")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return board.monday_of(now, forms.reader_zone())
    return day - timedelta(days=day.weekday())


def _weeks(request: Request) -> int:
    text = request.GET.get("weeks", "")
    return int(text) if text in {str(number) for number, _ in SPANS} else 2


class _Drawing:
    """The rows of a calendar: layers, overrides, and the final schedule with its gaps."""

    def __init__(self, row: Schedule, first: date, weeks: int, now: datetime) -> None:
        self.row, self.first, self.weeks, self.now = row, first, weeks, now
        self.zone = forms.reader_zone()
        self.start, self.end = board.bounds(first, weeks, self.zone)

    def _when(self, at: datetime) -> str:
        return local_text(at, self.zone.key)

    def weeks_of(
        self, rules: final.Schedule, shifts: Sequence[final.Shift], gaps: Sequence[Gap], changes: Sequence[Any]
    ) -> list[board.Week]:
        layers = self._layers(rules)
        people = people_by_pk(*(one.person for _, found in layers for one in found), *(one.person for one in shifts),
                              *(pk for one in shifts for pk in one.stands_in_for))  # fmt: skip
        tone = board.colours([one.person for one in shifts] + [one.person for _, found in layers for one in found])
        rows: list[tuple[str, str, Sequence[board.Span]]] = []
        for label, found in layers:
            spans = board.spans_of(found, lambda pk: str(people.get(pk, pk)), tone, self._when)
            rows += [(label if not n else "", "layer", lane) for n, lane in enumerate(board.lanes(spans))]
        if changes:
            spans = [self._change(one) for one in changes]
            rows += [("Overrides" if not n else "", "layer", lane) for n, lane in enumerate(board.lanes(spans))]
        spans = board.spans_of(shifts, lambda pk: str(people.get(pk, pk)), tone, self._when)
        spans += [self._gap(one) for one in gaps]
        rows += [("On call" if not n else "", "final", lane) for n, lane in enumerate(board.lanes(spans))]
        return board.drawn(self.first, self.weeks, self.zone, self.now, rows)

    def _layers(self, rules: final.Schedule) -> list[tuple[str, list[final.Shift]]]:
        """What each layer of the version in force says by itself, from now on; larger priorities first."""
        since = max(self.start, self.now)
        standing = [one for one in rules.versions if one.valid_from <= since] or list(rules.versions[:1])
        if not standing or since >= self.end:
            return []
        found = []
        for layer in sorted(standing[-1].layers, key=lambda one: -one.priority):
            alone = final.Schedule((final.Version(standing[-1].valid_from, (layer,)),))
            label = f"{layer.name} ({layer.priority})" if layer.priority else layer.name
            found.append((label, final_shifts(alone, since, self.end)))
        return found

    def _change(self, one: Override | TemporarySchedule) -> board.Span:
        text = str(one) if isinstance(one, Override) else "Temporary schedule"
        title = f"{text}, {self._when(one.starts_at)} to {self._when(one.ends_at)}"
        return board.Span(one.starts_at, one.ends_at, text, title, "change")

    def _gap(self, one: Gap) -> board.Span:
        text = "Nobody" if one.why == "nobody" else "Cannot be reached"
        return board.Span(one.start, one.end, text, f"{text}, {self._when(one.start)} to {self._when(one.end)}", "gap")


def _gaps_from_now(shifts: Sequence[final.Shift], start: datetime, end: datetime) -> list[Gap]:
    if start >= end:
        return []
    later = [one for one in shifts if one.end > start]
    return gaps_in(later, reachable(one.person for one in later), start, end)


@require_safe
def schedule(request: Request, slug: str, pk: int) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    now = clock.now()
    drawing = _Drawing(row, _first_day(request, now), _weeks(request), now)
    shifts = shifts_between(row, drawing.start, drawing.end)
    gaps = _gaps_from_now(shifts, max(drawing.start, now), drawing.end)
    rules = of_schedule(row, min(drawing.start, now))
    changes = _changes(row, drawing.start, drawing.end)
    people = people_by_pk(*(key for one in shifts for key in (one.person, *one.stands_in_for)))
    step = timedelta(weeks=drawing.weeks)
    context = {
        "schedule": row,
        "client": row.client,
        "line": lines_of([row], request.actor.user_id, now)[0],
        "weeks": drawing.weeks_of(rules, shifts, gaps, changes),
        "span": drawing.weeks,
        "spans": SPANS,
        "first": drawing.first,
        "previous": drawing.first - step,
        "next": drawing.first + step,
        "zone": drawing.zone.key,
        "list": _listed(shifts, people, now, request.actor.user_id),
        "overrides": [one for one in changes if isinstance(one, Override)],
        "temporary": TemporarySchedule.objects.filter(schedule=row, cancelled_at=None, ends_at__gt=now),
        "swaps": Swap.objects.filter(schedule=row, state="asked", ends_at__gt=now).select_related("asker", "other"),
        "gaps": _gap_lines(row),
        "more_gaps": max(0, len(row.gaps) - 10),
        "versions": row.versions.order_by("-number")[: actions.VERSIONS_SHOWN],
        "feeds": CalendarOut.objects.filter(schedule=row, person=request.actor.user_id, revoked_at=None),
        "calendars": row.calendars_in.all(),
        "people": actions.people_for(row.client),
        "kinds": OVERRIDE_KINDS,
        "reader": request.actor.user_id,
        "now": now,
        "may_override": request.actor.may(Role.RESPONDER, slug),
        "may_edit": request.actor.may(Role.OPERATOR, slug),
    }
    return render(request, "oncall/schedule.html", context)


def _gap_lines(row: Schedule) -> list[str]:
    zone = forms.reader_zone().key
    names = people_by_pk(*(pk for one in row.gaps for pk in one["people"]))
    found = []
    for one in row.gaps[:10]:
        starts, ends = datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"])
        who = ", ".join(str(names.get(pk, "somebody who is gone")) for pk in one["people"])
        why = f"{who} can't be reached" if who else "nobody is on call"
        hours = (ends - starts) / timedelta(hours=1)
        found.append(f"{local_text(starts, zone)} to {local_text(ends, zone)}, {hours:.1f} h: {why}")
    return found


def _changes(row: Schedule, start: datetime, end: datetime) -> list[Override | TemporarySchedule]:
    lasting = {"schedule": row, "cancelled_at": None, "starts_at__lt": end, "ends_at__gt": start}
    found: list[Override | TemporarySchedule] = list(TemporarySchedule.objects.filter(**lasting))
    return [*found, *Override.objects.filter(**lasting).select_related("person", "absent")]


def _listed(
    shifts: Sequence[final.Shift], people: dict[Any, Any], now: datetime, reader: int | None
) -> list[dict[str, Any]]:
    return [
        {
            "start": one.start,
            "end": one.end,
            "who": people.get(one.person, one.person),
            "pk": one.person,
            "instead": ", ".join(str(people.get(key, key)) for key in one.stands_in_for),
            "layer": one.layer or one.reason,
            "past": one.end <= now,
            "running": one.start <= now < one.end,
            "mine": one.person == reader,
        }
        for one in sorted(shifts, key=lambda shift: shift.start)[:LISTED]
    ]


# -- the editor -----------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request, slug: str) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    request.actor.require(Role.OPERATOR, slug)
    return _editor(request, client, None)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: Request, slug: str, pk: int) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    request.actor.require(Role.OPERATOR, slug)
    return _editor(request, row.client, row)


def _editor(request: Request, client: Client, row: Schedule | None) -> HttpResponse:
    """`do`: save, preview, or one more layer or turn. What is wrong is said above the form, which keeps its words."""
    now, form = clock.now(), request.POST
    zone = form.get("zone", "").strip() or (row.zone if row else client.time_zone)
    monday = board.monday_of(now, forms.reader_zone()).isoformat()
    problem: Invalid | None = None
    preview: list[board.Week] | None = None
    extra = 1
    if request.method == "POST":
        do = form.get("do", "preview")
        given = []
        try:
            given = forms.layers(form)
            if do == "save":
                return _saved(request, client, row, zone, given)
            if do == "preview":
                preview = _preview(client, row, zone, given, now)
        except Invalid as caught:
            problem = caught
        extra = 4 if do == "turns" else 1
        layers = [*given, forms.blank_layer(zone, monday)] if do == "layer" or not given else given
    else:
        newest = row.versions.order_by("-number").first() if row else None
        layers = list(newest.layers) if newest else []
        layers = layers or [forms.blank_layer(zone, monday)]
        extra = 2 if newest and newest.layers else 4
    people = actions.people_for(client)
    teams = Team.objects.filter(client=client)
    options = [(f"p{one.pk}", str(one)) for one in people] + [(f"t{one.pk}", f"Team {one}") for one in teams]
    context = {
        "client": client,
        "schedule": row,
        "name": form.get("name", row.name if row else ""),
        "zone": zone,
        "owner": form.get("owner", str(row.owner_id or "") if row else ""),
        "valid_from": form.get("valid_from", ""),
        "layers": forms.shown_layers(layers, extra, options),
        "people": people,
        "rotations": KINDS,
        "problem": problem,
        "preview": preview,
        "reader_zone": forms.reader_zone().key,
    }
    return render(request, "oncall/schedule_form.html", context, status=400 if problem else 200)


def _saved(
    request: Request, client: Client, row: Schedule | None, zone: str, layers: list[dict[str, Any]]
) -> HttpResponse:
    form = request.POST
    owner = forms.person_or_none(client, form.get("owner"))
    if row is None:
        row = actions.make_schedule(request.actor, client, form.get("name", ""), zone, layers, owner)
    else:
        later = forms.instant(form["valid_from"]) if form.get("valid_from") else None
        actions.edit_schedule(request.actor, row, layers, form.get("name", ""), zone, owner, later)
    row.refresh_from_db()
    if row.gaps:
        messages.warning(request, f"{row} is saved. It has {len(row.gaps)} gaps in the next 30 days.")
    else:
        messages.success(request, f"{row} is saved. It has no gap in the next 30 days.")
    return redirect(row.get_absolute_url())


def _preview(
    client: Client, row: Schedule | None, zone: str, given: list[dict[str, Any]], now: datetime
) -> list[board.Week]:
    """Four weeks of what is not saved yet, with the overrides that there are."""
    checked = actions.checked_layers(client, zone, given)
    drawn_for = row or Schedule(client=client, name="preview", zone=zone, created_at=now, recorded_until=now)
    groups = groups_of(client, row)
    layers = layers_of(checked, groups.group, groups.calendar)
    standing = of_schedule(row, now) if row else final.Schedule()
    rules = final.Schedule((final.Version(now, layers),), standing.temporary, standing.overrides)
    drawing = _Drawing(drawn_for, board.monday_of(now, forms.reader_zone()), 4, now)
    shifts = final_shifts(rules, now, drawing.end)
    changes = _changes(row, now, drawing.end) if row else []
    return drawing.weeks_of(rules, shifts, _gaps_from_now(shifts, now, drawing.end), changes)


# -- deeds ----------------------------------------------------------------------------------------------------------


def _back(row: Schedule) -> HttpResponse:
    return redirect(row.get_absolute_url())


@require_POST
def override(request: Request, slug: str, pk: int) -> HttpResponse:
    """Times are wall times of the reader's zone, as they are shown."""
    row, form = actions.schedule_of(request.actor, slug, pk), request.POST
    starts, ends = forms.instant(form.get("starts_at", "")), forms.instant(form.get("ends_at", ""))
    comes = forms.person_or_none(row.client, form.get("person"))
    goes = people_by_pk(int(form["absent"])).get(int(form["absent"])) if form.get("absent", "").isdigit() else None
    if goes is not None and goes.pk not in {one.pk for one in actions.people_for(row.client)}:
        raise Invalid("Choose a person who can act for this client.")
    made = overrides.add_override(request.actor, row, form.get("kind", ""), starts, ends, comes, goes)
    messages.success(request, f"{made}.")
    return _back(row)


@require_POST
def override_cancel(request: Request, slug: str, pk: int, override: int) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    overrides.cancel_override(request.actor, row, override)
    return _back(row)


@require_POST
def swap(request: Request, slug: str, pk: int) -> HttpResponse:
    row, form = actions.schedule_of(request.actor, slug, pk), request.POST
    asker, other = forms.person(row.client, form.get("asker")), forms.person(row.client, form.get("other"))
    span = forms.instant(form.get("starts_at", "")), forms.instant(form.get("ends_at", ""))
    back = None
    if form.get("return_starts_at"):
        back = forms.instant(form["return_starts_at"]), forms.instant(form.get("return_ends_at", ""))
    overrides.ask_swap(request.actor, row, asker, other, *span, back)
    messages.success(request, f"{other} is asked.")
    return _back(row)


@require_POST
def swap_answer(request: Request, slug: str, pk: int, swap: int, deed: str) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    if deed == "withdraw":
        overrides.withdraw_swap(request.actor, row, swap)
    else:
        overrides.answer_swap(request.actor, row, swap, accept=deed == "accept")
    return _back(row)


@require_POST
def temporary(request: Request, slug: str, pk: int) -> HttpResponse:
    """One person, or several in equal parts, in the place of all layers."""
    row, form = actions.schedule_of(request.actor, slug, pk), request.POST
    starts, ends = forms.instant(form.get("starts_at", "")), forms.instant(form.get("ends_at", ""))
    people = [forms.person(row.client, text).pk for text in form.getlist("person") if text]
    if not people:
        raise Invalid("Choose at least one person.")
    part = (ends - starts) / len(people)
    shifts = [
        {"from": starts + part * number, "to": starts + part * (number + 1), "people": [one]}
        for number, one in enumerate(people)
    ]
    actions.add_temporary(request.actor, row, starts, ends, [{"name": "temporary", "shifts": shifts}])
    return _back(row)


@require_POST
def temporary_cancel(request: Request, slug: str, pk: int, temporary: int) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    actions.cancel_temporary(request.actor, row, temporary)
    return _back(row)


@require_POST
def version_drop(request: Request, slug: str, pk: int, number: int) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    actions.drop_version(request.actor, row, number)
    return _back(row)


@require_POST
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    row = actions.schedule_of(request.actor, slug, pk)
    actions.remove_schedule(request.actor, row)
    messages.success(request, f"{row} is removed; what happened by it stays on record.")
    return redirect("/oncall")
