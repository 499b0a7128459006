"""Calendars in and out as pages; the feeds themselves need no sign-in, only their secret."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.accounts.models import User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.oncall import feeds, forms
from afterlaunch.oncall.actions import clients_of, schedule_of
from afterlaunch.oncall.calendar_in import LIMIT
from afterlaunch.oncall.calendar_out import etag_of
from afterlaunch.oncall.models import Schedule


@require_POST
def make(request: Request) -> HttpResponse:
    """The address is shown once."""
    if request.actor.user_id is None:
        raise Invalid("An address is made for a person.", "Sign in as one.")
    row, text = None, request.POST.get("schedule", "")
    if text:
        rows = Schedule.objects.filter(client__in=clients_of(request.actor), removed_at=None)
        row = rows.select_related("client").filter(pk=text).first() if text.isdigit() else None
        if row is None:
            raise NotFound("There is no such schedule.")
    _, secret = feeds.make_feed(request.actor, User.objects.get(pk=request.actor.user_id), row)
    address = f"{settings().public_url}/calendars/{secret}.ics"
    back = row.get_absolute_url() if row else "/oncall"
    return render(request, "oncall/feed.html", {"address": address, "schedule": row, "back": back})


@require_POST
def revoke(request: Request, pk: int) -> HttpResponse:
    found = feeds.revoke_feed(request.actor, pk)
    messages.success(request, "The address is revoked: calendars that have it get nothing any more.")
    return redirect(found.schedule.get_absolute_url() if found.schedule else "/oncall")


@require_safe
def serve(request: HttpRequest, secret: str) -> HttpResponse:
    """`alarm`: minutes before each shift, up to three of them."""
    reminders = tuple(int(one) for one in request.GET.getlist("alarm")[:3] if one.isdigit() and int(one) <= 20_160)
    try:
        body = feeds.served(secret, reminders, clock.now())
    except NotFound as problem:
        return HttpResponse(problem.message, status=404, content_type="text/plain")
    tag = etag_of(body)
    fresh = tag in [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    answer = HttpResponse(status=304) if fresh else HttpResponse(body, content_type="text/calendar; charset=utf-8")
    answer["ETag"] = tag
    answer["Cache-Control"] = "private, max-age=300"
    answer["Referrer-Policy"] = "no-referrer"
    return answer


@require_POST
def add(request: Request, slug: str, pk: int) -> HttpResponse:
    """Fetched, or taken as it is given, before anything is kept."""
    row, form = schedule_of(request.actor, slug, pk), request.POST
    request.actor.require(Role.OPERATOR, slug)
    url, etag = feeds.address_of(form.get("url", "")), ""
    given = request.FILES.get("file")
    if url:
        fetched, etag = feeds.fetched(url, "", request.actor.may(Role.ADMIN, None))
        body = fetched or b""
    elif given is not None:
        body = given.read(LIMIT + 1)
    else:
        raise Invalid("Give the address of a calendar, or a file.")
    priority = forms.whole(form.get("priority") or "0", "The priority")
    made = feeds.add_calendar(request.actor, row, form.get("name", ""), body, url, etag, priority)
    if made.unmatched:
        names = ", ".join(made.unmatched[:5])
        messages.warning(request, f"{made} is read: {len(made.shifts)} shifts. Nobody is known as {names}.")
    else:
        messages.success(request, f"{made} is read: {len(made.shifts)} shifts within 400 days.")
    return redirect(row.get_absolute_url())


@require_POST
def remove(request: Request, slug: str, pk: int, calendar: int) -> HttpResponse:
    row = schedule_of(request.actor, slug, pk)
    feeds.remove_calendar(request.actor, row, calendar)
    return redirect(row.get_absolute_url())
