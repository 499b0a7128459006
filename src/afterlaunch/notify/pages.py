from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from afterlaunch.accounts.models import User
from afterlaunch.calendars.windows import NAMES, read_window
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.notify import actions
from afterlaunch.notify.duties import RETEST
from afterlaunch.notify.kinds import kinds
from afterlaunch.notify.models import Page
from afterlaunch.notify.personal import rules_of, set_rules
from afterlaunch.notify.preferences import MOST_STEPS, NORMAL, URGENT, Rules, Step

HERE = "/settings/contacts"


def _self(request: Request) -> User:
    user = User.objects.filter(pk=request.actor.user_id).first() if request.actor.user_id else None
    if user is None:
        raise Invalid("A token has no contact methods.", "Sign in as a person.")
    return user


@require_GET
def contacts(request: Request) -> HttpResponse:
    user = _self(request)
    methods = list(actions.methods_of(request.actor, user))
    tests = Page.objects.filter(contact__in=methods, purpose__in=("verify", "test")).order_by("contact_id", "pk")
    newest = {page.contact_id: page for page in tests}
    old = clock.now() - RETEST
    rules = rules_of(user)
    context = {
        "rows": [
            {
                "method": one,
                "label": kinds()[one.kind].label,
                "test": newest.get(one.pk),
                "old": one.verified_at is not None and (one.proved_at or one.verified_at) < old,
            }
            for one in methods
        ],
        "kinds": [kind for kind in kinds().values() if kind.for_people],
        "lists": [
            ("urgent", "A P1", _padded(rules.urgent)),
            ("normal", "Everything else", _padded(rules.normal)),
        ],
        "collect": rules.collect // 60,
        "quiet": [*((one, set(one.days)) for one in rules.quiet), (None, set())],
        "days": [(number, name[:3].capitalize()) for number, name in enumerate(NAMES, 1)],
        "zone": rules.zone,
    }
    return render(request, "notify/contacts.html", context)


def _padded(steps: Sequence[Step]) -> list[tuple[int, int | None, int]]:
    """Rows of the form: number, contact, minutes; some are empty."""
    rows = [(number, one.contact, one.delay // 60) for number, one in enumerate(steps)]
    room = min(max(len(rows) + 1, 3), MOST_STEPS)
    return [*rows, *((number, None, 0) for number in range(len(rows), room))]


@require_POST
def set_personal_rules(request: Request) -> HttpResponse:
    user, form = _self(request), request.POST
    quiet = [
        read_window({"days": [int(day) for day in days], "start": start, "end": form.get(f"quiet-{number}-end", "")})
        for number in range(10)
        if (days := [one for one in form.getlist(f"quiet-{number}-day") if one.isdigit()])
        and (start := form.get(f"quiet-{number}-start", ""))
    ]
    rules = Rules(_steps(form, URGENT), _steps(form, NORMAL), tuple(quiet), 60 * _minutes(form.get("collect", "")))
    set_rules(request.actor, user, replace(rules, zone=rules_of(user).zone))
    messages.success(request, "Your rules are saved.")
    return redirect(HERE)


def _steps(form: QueryDict, urgency: str) -> tuple[Step, ...]:
    found = []
    for number in range(MOST_STEPS):
        contact = form.get(f"{urgency}-{number}", "")
        if contact.isdigit():
            found.append(Step(int(contact), 60 * _minutes(form.get(f"{urgency}-{number}-minutes", ""))))
    return tuple(found)


def _minutes(text: str) -> int:
    if text.strip() and not text.strip().isdigit():
        raise Invalid("Minutes are a whole number.")
    return int(text) if text.strip() else 0


@require_POST
def first(request: Request, pk: int) -> HttpResponse:
    actions.make_first(request.actor, actions.method_by_id(request.actor, pk))
    return redirect(HERE)


@require_POST
def add(request: Request) -> HttpResponse:
    form = request.POST
    row = actions.add_contact(request.actor, _self(request), form.get("kind", ""), form.get("address", ""))
    actions.send_test(request.actor, row)
    messages.success(request, "Added. A test message with a code is on its way.")
    return redirect(HERE)


@require_POST
def test(request: Request, pk: int) -> HttpResponse:
    actions.send_test(request.actor, actions.method_by_id(request.actor, pk))
    messages.success(request, "A test message with a new code is on its way.")
    return redirect(HERE)


@require_POST
def verify(request: Request, pk: int) -> HttpResponse:
    row = actions.verify(request.actor, actions.method_by_id(request.actor, pk), request.POST.get("code", ""))
    if row.verified_at is None or row.proved_at is None or row.proved_at < clock.now() - timedelta(minutes=1):
        messages.error(request, "That is not the code. Send a new test message and try again.")
    else:
        messages.success(request, "Verified: pages can reach you here.")
    return redirect(HERE)


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    actions.remove_contact(request.actor, actions.method_by_id(request.actor, pk))
    return redirect(HERE)
