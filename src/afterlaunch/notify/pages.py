from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from afterlaunch.accounts.models import User
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.notify import actions
from afterlaunch.notify.kinds import kinds
from afterlaunch.notify.models import Page

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
    rows = [{"method": one, "label": kinds()[one.kind].label, "test": newest.get(one.pk)} for one in methods]
    return render(request, "notify/contacts.html", {"rows": rows, "kinds": kinds().values()})


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
    if row.verified_at is None:
        messages.error(request, "That is not the code. Send a new test message and try again.")
    else:
        messages.success(request, "Verified: pages can reach you here.")
    return redirect(HERE)


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    actions.remove_contact(request.actor, actions.method_by_id(request.actor, pk))
    return redirect(HERE)
