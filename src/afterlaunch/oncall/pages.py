"""Who is on call now, for every schedule that the reader sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client, User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import NotFound
from afterlaunch.look.requests import Request
from afterlaunch.notify.outbox import contacts_of
from afterlaunch.oncall import forms
from afterlaunch.oncall.actions import clients_of, people_for, put_team, remove_team
from afterlaunch.oncall.board import crews
from afterlaunch.oncall.final import final_shifts
from afterlaunch.oncall.gaps import gaps_in
from afterlaunch.oncall.handoffs import reachable
from afterlaunch.oncall.models import CalendarOut, EscalationPolicy, Schedule, Swap, Team
from afterlaunch.oncall.schedule import administrators, loaded, people_by_pk

AHEAD = timedelta(days=21)
PER_PAGE = 40


@dataclass(frozen=True)
class Now:
    """One schedule's line: who is on call until when, and who then. `gaps` counts those of the next 30 days."""

    schedule: Schedule
    people: tuple[User, ...]
    unreachable: bool
    until: datetime | None
    then: tuple[User, ...]
    own_next: tuple[datetime, datetime] | None


def lines_of(rows: Sequence[Schedule], reader: int | None, now: datetime) -> list[Now]:
    """A fixed number of questions for all of them."""
    rules = loaded(rows, now)
    planned = {row.pk: final_shifts(rules[row.pk], now, now + AHEAD) for row in rows}
    everybody = {one.person for shifts in planned.values() for one in shifts}
    people, able = people_by_pk(*everybody), reachable(everybody)
    found = []
    for row in rows:
        shifts = planned[row.pk]
        turns = crews(shifts, now, now + AHEAD)
        mine = next((one for one in shifts if one.person == reader), None)
        found.append(
            Now(
                row,
                tuple(people[pk] for pk in turns[0].people if pk in people),
                any(one.start <= now for one in gaps_in(shifts, able, now, now + AHEAD)) and bool(turns[0].people),
                turns[1].start if len(turns) > 1 else None,
                tuple(people[pk] for pk in turns[1].people if pk in people) if len(turns) > 1 else (),
                (mine.start, mine.end) if mine else None,
            )
        )
    return found


def _boards(actor: Actor, clients: Sequence[Client], lines: Sequence[Now]) -> list[dict[str, Any]]:
    policies: dict[int, list[EscalationPolicy]] = {}
    rows = EscalationPolicy.objects.filter(client__in=clients, removed_at=None).order_by("-default", "name")
    for policy in rows.prefetch_related("systems__system"):
        policies.setdefault(policy.client_id, []).append(policy)
    teams: dict[int, int] = {}
    for key in Team.objects.filter(client__in=clients).values_list("client_id", flat=True):
        teams[key] = teams.get(key, 0) + 1
    return [
        {
            "client": client,
            "lines": [one for one in lines if one.schedule.client_id == client.pk],
            "policies": policies.get(client.pk, []),
            "teams": teams.get(client.pk, 0),
            "reachable": _somebody_reachable(client),
            "may_edit": actor.may(Role.OPERATOR, client.slug),
        }
        for client in clients
    ]


def _somebody_reachable(client: Client) -> bool:
    return any(contacts_of(person).exists() for person in {*people_for(client)[:200], *administrators(client)})


@require_safe
def oncall(request: Request) -> HttpResponse:
    """Who is on call now comes first. `q` looks for schedules by name."""
    now, wanted = clock.now(), request.GET.get("q", "").strip()
    clients = clients_of(request.actor)
    rows = Schedule.objects.filter(client__in=clients, removed_at=None).select_related("client", "owner")
    if wanted:
        rows = rows.filter(name__icontains=wanted)
    page = Paginator(rows.order_by("client__slug", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    reader = request.actor.user_id
    lines = lines_of(list(page), reader, now)
    shown = {line.schedule.client_id for line in lines}
    several = page.paginator.num_pages > 1 or wanted
    boards = _boards(request.actor, [one for one in clients if one.pk in shown or not several], lines)
    own = [line for line in lines if line.own_next and line.own_next[0] <= now]
    begins = sorted((line.own_next[0], n) for n, line in enumerate(lines) if line.own_next and line.own_next[0] > now)
    coming = [lines[number] for _, number in begins[:1]]
    swaps = Swap.objects.filter(state="asked", other=reader, schedule__in=rows, ends_at__gt=now) if reader else []
    context = {
        "boards": boards, "page": page, "q": wanted, "at": now, "own": own, "coming": coming, "swaps": swaps,
        "reader": reader,
        "feeds": CalendarOut.objects.filter(person=reader, schedule=None, revoked_at=None) if reader else [],
    }  # fmt: skip
    return render(request, "oncall/oncall.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def teams(request: Request, slug: str) -> HttpResponse:
    """The client's teams; POST makes one, or changes the one of `team`."""
    client = client_by_slug(request.actor, slug)
    if request.method == "POST":
        chosen = _team(client, request.POST["team"]) if request.POST.get("team") else None
        members = [forms.person(client, text) for text in request.POST.getlist("member") if text]
        row = put_team(request.actor, client, request.POST.get("name", ""), members, chosen)
        messages.success(request, f"Team {row}: {len(members)} people.")
        return redirect(f"/oncall/{slug}/teams")
    context = {
        "client": client,
        "teams": Team.objects.filter(client=client).prefetch_related("members"),
        "people": people_for(client),
        "may_edit": request.actor.may(Role.OPERATOR, slug),
    }
    return render(request, "oncall/teams.html", context)


def _team(client: Client, text: str) -> Team:
    found = Team.objects.filter(client=client, pk=text).first() if text.isdigit() else None
    if found is None:
        raise NotFound("There is no such team.")
    return found


@require_POST
def team_remove(request: Request, slug: str, pk: int) -> HttpResponse:
    remove_team(request.actor, _team(client_by_slug(request.actor, slug), str(pk)))
    return redirect(f"/oncall/{slug}/teams")
