"""Integrations as pages: what comes in, the keys, what could not be read."""

from __future__ import annotations

from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.alerts.models import Alert, Integration, RawEvent
from afterlaunch.alerts.pages import TABS
from afterlaunch.alerts.quiet_pages import clients_of
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.receivers.doors import KINDS
from afterlaunch.receivers.integrations import (
    Values,
    integration_by_id,
    integrations_seen_by,
    put_integration,
    remove_integration,
    send_test,
)
from afterlaunch.receivers.keys import add_key, revoke_key
from afterlaunch.receivers.landing import body_of
from afterlaunch.receivers.snippets import KEY, snippet

SHOWN = 50
LONGEST_SHOWN = 100_000
WORDS = {
    "prometheus": "Prometheus sends here as to an Alertmanager; amtool reads and silences.",
    "alertmanager": "The webhook of an Alertmanager that you keep.",
    "grafana": "A contact point of Grafana's alerting, by key or signed.",
    "pagerduty": "Clients of PagerDuty's Events API v2: alerts and change events.",
    "sns": "Alarms of CloudWatch through an SNS topic, signature checked.",
    "generic": "Any JSON, by a mapping.",
}


@require_http_methods(["GET", "HEAD", "POST"])
def integrations(request: Request) -> HttpResponse:
    if request.method == "POST":
        client = client_by_slug(request.actor, request.POST.get("client", ""))
        row, made = put_integration(request.actor, client, request.POST.get("name", "").strip(), _values(request))
        if not made:
            return redirect(row.get_absolute_url())
        return _page(request, row, add_key(request.actor, row)[1])
    rows = list(integrations_seen_by(request.actor))
    context = {
        "tabs": TABS,
        "rows": [(row, KINDS[row.kind], getattr(row, "tally", None)) for row in rows],
        "kinds": [(kind, word, WORDS[kind]) for kind, word in KINDS.items()],
        "clients": clients_of(request.actor, Role.OPERATOR),
        "systems": sorted({one.key for one in systems_seen_by(request.actor)}),
    }
    return render(request, "receivers/integrations.html", context)


def _values(request: Request) -> Values:
    form = request.POST

    def number(name: str, otherwise: int) -> int:
        text = form.get(name, "").strip()
        if text and not (text.isascii() and text.isdigit()):
            raise Invalid(f"{name.replace('_', ' ').capitalize()} must be a whole number.")
        return int(text) if text else otherwise

    return Values(
        kind=form.get("kind", ""),
        system=form.get("system", "").strip(),
        environment=form.get("environment", "").strip() or "prod",
        system_label=form.get("system_label", "").strip(),
        environment_label=form.get("environment_label", "").strip(),
        severity_label=form.get("severity_label", "severity").strip(),
        severities=_pairs(form.get("severities", "")),
        group_by=[part.strip() for part in form.get("group_by", "alertname").split(",") if part.strip()],
        group_wait=number("group_wait", 30),
        group_interval=number("group_interval", 300),
        repeat_interval=number("repeat_interval", 14_400),
        storm_limit=number("storm_limit", 100),
        expires_after=number("expires_after", 0),
        may_silence=bool(form.get("may_silence")),
        options=_options(form.get("options", "")),
    )


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        word, sign, grade = part.partition("=")
        if part.strip() and not sign:
            raise Invalid(f"{part.strip()!r} is no mapping of a severity.", "Write: wake-me=P1, chatter=")
        if part.strip():
            found[word.strip()] = grade.strip()
    return found


def _options(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"The options are no JSON: {problem}.") from None
    if not isinstance(given, dict):
        raise Invalid("The options must be an object.")
    return given


@require_http_methods(["GET", "HEAD", "POST"])
def integration(request: Request, pk: int) -> HttpResponse:
    row = integration_by_id(request.actor, pk)
    if request.method == "POST":
        put_integration(request.actor, row.client, row.name, _values(request))
        return redirect(row.get_absolute_url())
    return _page(request, row)


def _page(request: Request, row: Integration, secret: str = "", signing: bool = False) -> HttpResponse:
    may = request.actor.may(Role.OPERATOR, row.client.slug)
    events = row.events.all()
    if request.GET.get("state") == "unparsed":
        events = events.filter(state="unparsed")
    key = secret if secret and not signing else KEY
    stamp = str(row.options.get("timestampHeader", ""))
    context = {
        "tabs": TABS,
        "row": row,
        "kind": KINDS[row.kind],
        "tally": getattr(row, "tally", None),
        "firing": Alert.objects.filter(integration=row, resolved_at=None).count(),
        "keys": row.keys.filter(revoked_at=None),
        "events": events.defer("body")[:SHOWN],
        "unparsed": row.events.filter(state="unparsed").count(),
        "only_unparsed": request.GET.get("state") == "unparsed",
        "snippet": snippet(row.kind, settings().public_url, row.public_id, key, stamp),
        "secret": secret,
        "signing": signing,
        "may": may,
        "may_read": request.actor.may(Role.RESPONDER, row.client.slug),
        "severities": ", ".join(f"{word}={grade}" for word, grade in row.severities.items()),
        "group_by": ", ".join(row.group_by),
        "options": orjson.dumps(row.options, option=orjson.OPT_INDENT_2).decode() if row.options else "",
        "systems": sorted({one.key for one in systems_seen_by(request.actor) if one.client_id == row.client_id}),
    }
    return render(request, "receivers/integration.html", context)


@require_POST
def new_key(request: Request, pk: int) -> HttpResponse:
    row = integration_by_id(request.actor, pk)
    signing = bool(request.POST.get("signing")) and row.kind == "grafana"
    return _page(request, row, add_key(request.actor, row, signing)[1], signing)


@require_POST
def revoke(request: Request, pk: int, key: int) -> HttpResponse:
    row = integration_by_id(request.actor, pk)
    found = row.keys.filter(pk=key).first()
    if found is None:
        raise NotFound(f"There is no key {key}.")
    revoke_key(request.actor, found)
    return redirect(row.get_absolute_url())


@require_POST
def test(request: Request, pk: int) -> HttpResponse:
    row = integration_by_id(request.actor, pk)
    send_test(request.actor, row)
    messages.success(request, "A test alert was stored, and is over. It pages nobody.")
    return redirect("/alerts?state=all&q=AfterlaunchTest")


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    row = integration_by_id(request.actor, pk)
    remove_integration(request.actor, row)
    messages.success(request, f"{row.name} takes nothing any more.")
    return redirect("/integrations")


@require_safe
def event(request: Request, pk: int) -> HttpResponse:
    """A body as it came. Whoever responds may see it: it holds what the sender knows."""
    row = RawEvent.objects.select_related("integration__client").filter(pk=pk).first()
    seen = request.actor.sees()
    if row is None or (seen is not None and row.integration.client.slug not in seen):
        raise NotFound(f"There is no event {pk}.")
    request.actor.require(Role.RESPONDER, row.integration.client.slug)
    body = body_of(row)
    try:
        text = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "backslashreplace")
    context = {
        "tabs": TABS,
        "event": row,
        "text": text[:LONGEST_SHOWN],
        "cut": len(text) > LONGEST_SHOWN,
        "alerts": Alert.objects.filter(occurrences__event=row).distinct()[:SHOWN],
    }
    return render(request, "receivers/event.html", context)
