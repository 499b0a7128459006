"""Each address, and what stands behind it: authenticate, parse, store, answer."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta

import orjson
from django.db import transaction

from afterlaunch.accounts.actions import digest
from afterlaunch.alerts.fingerprints import fingerprint
from afterlaunch.alerts.models import Integration
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, NotAllowed, NotFound, NotSignedIn
from afterlaunch.receivers import acknowledging, api_v2, sns
from afterlaunch.receivers.answering import answered
from afterlaunch.receivers.formats import alertmanager, cloudwatch, generic, pagerduty, prometheus
from afterlaunch.receivers.formats.shape import Parsed, document, instant
from afterlaunch.receivers.keys import PREFIX, check_hmac, integration_by_public_id, integration_of_key
from afterlaunch.receivers.landing import complaint, keep, kept_unparsed, land, told
from afterlaunch.receivers.models import SeenMessage, ToldChange
from afterlaunch.receivers.wire import Answer, Request, WrongMethod, as_json

Handler = Callable[[Request], Answer]
HOOKS = ("/hooks/alertmanager", "/hooks/grafana", "/hooks/sns", "/hooks/generic")
KINDS = {
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "grafana": "Grafana",
    "pagerduty": "PagerDuty events",
    "sns": "CloudWatch (SNS)",
    "generic": "Generic JSON",
}


def serves(path: str) -> bool:
    """Whether an address is one of ours; all others are the pages'."""
    return (
        path.startswith(("/api/v2/", "/-/"))
        or path in ("/v2/enqueue", "/v2/change/enqueue")
        or any(path == hook or path.startswith(f"{hook}/") for hook in HOOKS)
    )


def answer(request: Request, get: sns.Fetch = sns.fetch) -> Answer:
    return answered(request, lambda one: _routed(one, get), "what a sender told", api_v2.log)


def _routed(request: Request, get: sns.Fetch) -> Answer:
    path = request.path.rstrip("/") or "/"
    if path in ("/-/healthy", "/-/ready"):
        _only(request, "GET", "HEAD")
        return Answer(200, b"OK", (("content-type", "text/plain; charset=utf-8"),))
    if path == "/api/v2/alerts" and request.method == "POST":
        return post_alerts(request)
    if path.startswith("/api/v2/"):
        return api_v2.answer(request)
    _only(request, "POST", *(["PUT"] if path.startswith("/hooks/grafana") else []))
    if path == "/v2/enqueue":
        return enqueue(request)
    if path == "/v2/change/enqueue":
        return enqueue_change(request)
    hook = next((one for one in HOOKS if path == one or path.startswith(f"{one}/")), "")
    behind: dict[str, Handler] = {
        "/hooks/alertmanager": lambda one: _hook(one, "alertmanager", lambda body, _: alertmanager.parse(body)),
        "/hooks/grafana": lambda one: _hook(one, "grafana", lambda body, _: alertmanager.parse_grafana(body)),
        "/hooks/generic": lambda one: _hook(
            one, "generic", lambda body, of: generic.parse(body, of.options.get("mapping", {}))
        ),
        "/hooks/sns": lambda one: notify(one, get),
    }
    if hook not in behind:
        raise NotFound("There is nothing at this address.")
    return behind[hook](request)


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise WrongMethod(f"Only {' and '.join(methods)} is taken here.")


def _last_part(request: Request) -> str:
    """What follows /hooks/NAME/ in the address: a key, or the public id of an integration that signs."""
    parts = request.path.strip("/").split("/")
    return parts[2] if len(parts) == 3 else ""


def _authenticated(request: Request, kind: str) -> Integration:
    """By bearer token, basic password, a key in the address, or a signature (Grafana). Raises NotSignedIn."""
    named = _last_part(request)
    if not request.headers.get("authorization") and named and not named.startswith(PREFIX):
        integration = integration_by_public_id(named, kind)
        if integration is None or kind != "grafana":
            raise NotSignedIn("This address names no integration.", "Copy it from the integration's page.")
        check_hmac(integration, request)
        return integration
    return integration_of_key(request.credentials() or named, kind)


def _hook(request: Request, kind: str, read: Callable[[object, Integration], Parsed]) -> Answer:
    integration = _authenticated(request, kind)
    parsed = _parsed(integration, request, lambda: read(document(request.body), integration))
    taken = land(integration, request, parsed)
    if (problem := complaint(parsed)) is not None:
        raise problem
    return as_json({"status": "ok", "alerts": len(taken)})


def _parsed(integration: Integration, request: Request, read: Callable[[], Parsed]) -> Parsed:
    """Raises Invalid, once what could not be read is kept."""
    try:
        return read()
    except Invalid as problem:
        kept_unparsed(integration, request, problem)
        raise


def post_alerts(request: Request) -> Answer:
    """As an Alertmanager: 200 with an empty body, or 400 with what was wrong once the good are stored."""
    integration = integration_of_key(request.credentials(), "prometheus")
    parsed = _parsed(integration, request, lambda: prometheus.parse(document(request.body), clock.now()))
    land(integration, request, parsed)
    if (problem := complaint(parsed)) is not None:
        raise problem
    return Answer(200)


def _pagerduty(request: Request) -> tuple[Integration, object]:
    body = document(request.body)
    return integration_of_key(pagerduty.routing_key(body), "pagerduty"), body


def enqueue(request: Request) -> Answer:
    integration, body = _pagerduty(request)
    request = _without_key(request, body)
    try:
        event = pagerduty.parse(body, secrets.token_hex(16))
    except Invalid as problem:
        kept_unparsed(integration, request, problem)
        faults = problem.message.rstrip(".").split("; ")
        return as_json({"status": "invalid event", "message": "Event object is invalid", "errors": faults}, 400)
    with transaction.atomic():
        raw = keep(integration, request, alerts=1)
        if event.told is not None:
            told(integration, [event.told], raw)
        else:
            acknowledging.acknowledge(integration, fingerprint(f"integration/{integration.pk}", {}, event.dedup_key))
    return as_json({"status": "success", "message": "Event processed", "dedup_key": event.dedup_key}, 202)


def enqueue_change(request: Request) -> Answer:
    integration, body = _pagerduty(request)
    request = _without_key(request, body)
    try:
        change = pagerduty.parse_change(body)
    except Invalid as problem:
        kept_unparsed(integration, request, problem)
        return as_json(
            {"status": "invalid event", "message": "Event object is invalid", "errors": [problem.message]}, 400
        )
    with transaction.atomic():
        raw = keep(integration, request)
        now = clock.now()
        ToldChange.objects.get_or_create(
            integration=integration,
            digest=hashlib.sha256(request.body).hexdigest(),
            defaults={
                "event": raw,
                "summary": change.summary,
                "source": change.source,
                "at": min(change.at or now, now),
                "kind": change.kind,
                "before": change.before,
                "after": change.after,
                "url": change.url,
                "details": change.details,
            },
        )
    return as_json({"status": "success", "message": "Change event processed"}, 202)


def _without_key(request: Request, body: object) -> Request:
    """What is kept holds no secret."""
    assert isinstance(body, dict)
    kept = orjson.dumps({**body, "routing_key": "…"})
    return Request(request.method, request.path, request.headers, kept, request.query)


CERTIFICATES: dict[sns.Fetch, sns.Certificates] = {}


def notify(request: Request, get: sns.Fetch) -> Answer:
    """SNS: an allowed topic, a signature that fits, not over an hour old, and each message once."""
    integration = _authenticated(request, "sns")
    try:
        message = sns.read(document(request.body), request.headers.get("x-amz-sns-message-type", ""))
    except Invalid as problem:
        kept_unparsed(integration, request, problem)
        raise
    now, options = clock.now(), integration.options
    if message["TopicArn"] not in options.get("topics", []):
        raise NotAllowed("This topic is not on the integration's list.", "Add its ARN on the integration's page.")
    certificates = CERTIFICATES.setdefault(get, sns.Certificates(get))
    sns.verify(message, bool(options.get("signatureVersion2Only")), certificates, now)
    sent = instant(message["Timestamp"], "Timestamp")
    if sent is None or now - sent > sns.OLDEST or sent - now > timedelta(minutes=15):
        raise Invalid("The message is over an hour old, or from the future.")
    if message["Type"] != "Notification":
        return _subscription(integration, request, message, get)
    return _notification(integration, request, message)


def _subscription(integration: Integration, request: Request, message: dict[str, str], get: sns.Fetch) -> Answer:
    """A confirmation is visited once verified; that somebody ended it is kept and shown, and not undone."""
    said = f"The topic {message['TopicArn']} was subscribed."
    if message["Type"] == "SubscriptionConfirmation":
        sns.confirm(message, get)
    else:
        said = f"The subscription to {message['TopicArn']} was ended at Amazon."
    hidden = orjson.dumps({name: value for name, value in message.items() if name not in ("Token", "SubscribeURL")})
    with transaction.atomic():
        keep(integration, Request(request.method, request.path, request.headers, hidden), error=said)
    return as_json({"status": "ok"})


def _notification(integration: Integration, request: Request, message: dict[str, str]) -> Answer:
    options = integration.options
    insufficient = str(options.get("insufficientData", "no_telemetry"))
    with transaction.atomic():
        key = digest(f"{message['TopicArn']} {message['MessageId']}")
        _, fresh = SeenMessage.objects.get_or_create(integration=integration, key=key, defaults={"at": clock.now()})
        if not fresh:
            return as_json({"status": "ok", "duplicate": True})
        try:
            parsed = cloudwatch.parse(message["Message"], insufficient, options.get("severityByAlarm", {}))
        except Invalid as problem:  # of another publisher on the topic: ours to look at, nothing to send again
            keep(integration, request, "unparsed", problem.message)
            return as_json({"status": "ok", "unparsed": problem.message})
        land(integration, request, parsed)
    return as_json({"status": "ok"})
