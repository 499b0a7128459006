"""What clients of a Prometheus Alertmanager read, and how they silence: amtool, karma, Grafana.

Who asks is an API token (viewer reads, responder silences), or the key of a Prometheus integration that may silence.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from afterlaunch import __version__
from afterlaunch.accounts.actions import actor_of_token
from afterlaunch.alerts import matchers
from afterlaunch.alerts.actions import alerts_seen_by
from afterlaunch.alerts.matchers import Matcher
from afterlaunch.alerts.models import Alert, Group, Integration, Silence
from afterlaunch.alerts.silences import end_silence, silence_matching, silences_seen_by, state_of
from afterlaunch.alerts.suppression import labels_of
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound, NotSignedIn
from afterlaunch.receivers.formats.shape import an_object, document, instant, text
from afterlaunch.receivers.keys import PREFIX, actor_of, integration_of_key
from afterlaunch.receivers.wire import Answer, Request, WrongMethod, as_json

log = logging.getLogger(__name__)
MOST = 10_000
STARTED = clock.now()
KEPT = timedelta(days=5)  # expired silences are listed for so long


def reader(request: Request) -> Actor:
    """Raises NotSignedIn, NotAllowed."""
    secret = request.credentials()
    if not secret:
        raise NotSignedIn("Credentials are missing.", "Basic authentication with a token as the password, or a bearer.")
    actor = actor_of(integration_of_key(secret, "prometheus")) if secret.startswith(PREFIX) else actor_of_token(secret)
    if actor.sees() == frozenset():
        actor.require(Role.VIEWER, None)
    return actor


def answer(request: Request) -> Answer:
    actor = reader(request)
    path, method = request.path.rstrip("/"), request.method
    reads: dict[str, Callable[[], Any]] = {
        "/api/v2/status": status,
        "/api/v2/receivers": lambda: receivers(actor),
        "/api/v2/alerts": lambda: [as_alert(one, by) for one, by in _listed(actor, request)],
        "/api/v2/alerts/groups": lambda: groups(actor, request),
        "/api/v2/silences": lambda: silences(actor, request),
    }
    if method == "GET" and path in reads:
        return as_json(reads[path]())
    if method == "POST" and path == "/api/v2/silences":
        return as_json({"silenceID": str(make_silence(actor, document(request.body)).public_id)})
    if path.startswith("/api/v2/silence/") and method in ("GET", "DELETE"):
        row = _silence(actor, path.rpartition("/")[2])
        if method == "GET":
            return as_json(as_silence(row, clock.now()))
        end_silence(actor, row)
        return Answer(200)
    if path in reads or path.startswith("/api/v2/silence/"):
        raise WrongMethod(f"{method} is not taken here.")
    raise NotFound("There is nothing at this address.", "As of an Alertmanager: status, alerts, silences, receivers.")


def status() -> dict[str, Any]:
    version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
    return {
        "cluster": {"status": "disabled", "peers": []},
        "config": {"original": "# Afterlaunch poses as an Alertmanager; its routing is set on its pages.\n"},
        "uptime": _time(STARTED),
        "versionInfo": {**version, "version": __version__, "branch": "afterlaunch"},
    }


def receivers(actor: Actor) -> list[dict[str, str]]:
    rows = Integration.objects.filter(removed_at=None)
    seen = actor.sees()
    rows = rows if seen is None else rows.filter(client__slug__in=seen)
    return [{"name": name} for name in sorted(set(rows.values_list("name", flat=True)) | {"judges"})]


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _flag(request: Request, name: str) -> bool:
    given = request.asked(name)
    if given and given[-1] not in ("true", "false"):
        raise Invalid(f"{name} must be true or false.")
    return not given or given[-1] == "true"


def wanted(request: Request) -> list[Matcher]:
    return [one for name in ("filter", "filter[]") for given in request.asked(name) for one in matchers.parse(given)]


def _listed(actor: Actor, request: Request) -> list[tuple[Alert, dict[str, list[str]]]]:
    chosen, asked = wanted(request), request.asked("receiver")
    pattern = matchers.matcher("receiver", "=~", asked[-1]) if asked and asked[-1] else None
    silenced, inhibited, active = (_flag(request, name) for name in ("silenced", "inhibited", "active"))
    rows = alerts_seen_by(actor).filter(resolved_at=None).order_by("-fired_at")[:MOST]
    found = []
    names = _silence_ids(actor)
    for row in rows:
        by = _by(row, names)
        if not matchers.all_match(chosen, labels_of(row)):
            continue
        if pattern is not None and not pattern.matches({"receiver": _receiver(row)}):
            continue
        kept = (silenced and by["silencedBy"]) or (inhibited and (by["inhibitedBy"] or by["mutedBy"]))
        if kept or (active and not row.suppressed_as):
            found.append((row, by))
    return found


def _silence_ids(actor: Actor) -> dict[str, str]:
    """ "silence 12" to the id under which programs know it."""
    rows = silences_seen_by(actor).filter(ends_at__gt=clock.now()).values_list("pk", "public_id")
    return {f"silence {pk}": str(public_id) for pk, public_id in rows}


def _by(row: Alert, names: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"silencedBy": [], "inhibitedBy": [], "mutedBy": []}
    if row.suppressed_as == "silence":
        found["silencedBy"] = [names.get(row.suppressed_by.partition(" of ")[0], row.suppressed_by)]
    elif row.suppressed_as == "inhibited":
        found["inhibitedBy"] = [row.suppressed_by]
    elif row.suppressed_as:
        found["mutedBy"] = [row.suppressed_by]
    return found


def _receiver(row: Alert) -> str:
    return row.integration.name if row.integration else row.source


def as_alert(row: Alert, by: dict[str, list[str]]) -> dict[str, Any]:
    state = "suppressed" if row.suppressed_as else "active" if row.incident_id else "unprocessed"
    ends = row.expires_at or row.told_at + timedelta(minutes=5)
    return {
        "annotations": row.annotations or {"summary": row.explanation},
        "endsAt": _time(max(ends, clock.now() + timedelta(minutes=1))),
        "fingerprint": row.fingerprint[:16],
        "receivers": [{"name": _receiver(row)}],
        "startsAt": _time(row.started_at),
        "status": {"state": state, **by},
        "updatedAt": _time(row.told_at),
        "generatorURL": row.url,
        "labels": labels_of(row) if row.verdict_id else {"alertname": row.name, **row.labels},
    }


def groups(actor: Actor, request: Request) -> list[dict[str, Any]]:
    found: dict[tuple[int, str], dict[str, Any]] = {}
    listed = _listed(actor, request)
    ids = {row.group_id for row, _ in listed if row.group_id is not None}
    from_ids = {row.pk: row.labels for row in Group.objects.filter(pk__in=sorted(ids)[:900])}
    for row, by in listed:
        labels = from_ids.get(row.group_id or 0, {"system": row.system.key, "environment": row.environment})
        place = (row.group_id or 0, "" if row.group_id else f"{row.system_id} {row.environment}")
        entry = found.setdefault(place, {"labels": labels, "receiver": {"name": _receiver(row)}, "alerts": []})
        entry["alerts"].append(as_alert(row, by))
    return list(found.values())


def silences(actor: Actor, request: Request) -> list[dict[str, Any]]:
    now, chosen = clock.now(), wanted(request)
    rows = silences_seen_by(actor).filter(ends_at__gt=now - KEPT).order_by("ends_at")[:MOST]
    found = []
    for row in rows:
        equal = {one.name: one.value for one in matchers.from_rows(row.matchers) if one.op in ("=", "=~")}
        if matchers.all_match(chosen, equal):
            found.append(as_silence(row, now))
    return found


def as_silence(row: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": str(row.public_id),
        "matchers": [
            {"name": m.name, "value": m.value, "isRegex": m.op in ("=~", "!~"), "isEqual": m.op in ("=", "=~")}
            for m in matchers.from_rows(row.matchers)
        ],
        "startsAt": _time(row.starts_at),
        "endsAt": _time(row.ends_at),
        "updatedAt": _time(row.starts_at),
        "createdBy": row.author,
        "comment": row.comment,
        "status": {"state": state_of(row, now)},
    }


def _silence(actor: Actor, given: str) -> Silence:
    try:
        row = silences_seen_by(actor).filter(public_id=uuid.UUID(given)).first()
    except ValueError:
        row = None
    if row is None:
        raise NotFound(f"There is no silence {given[:60]!r}.")
    return row


OPERATORS = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}


def read_matchers(value: Any) -> list[Matcher]:
    if not isinstance(value, list):
        raise Invalid("matchers must be a list.")
    found = []
    for one in value[: matchers.MOST + 1]:
        given = an_object(one, "A matcher")
        regex, equal = given.get("isRegex", False), given.get("isEqual", True)
        op = OPERATORS[bool(regex), bool(equal)]
        name, told = text(given.get("name"), "name", 300), text(given.get("value"), "value", matchers.LONGEST + 1)
        found.append(matchers.matcher(name, op, told))
    return found


@transaction.atomic
def make_silence(actor: Actor, body: Any) -> Silence:
    """With an id it takes the place of that one. An actor of several clients names one by the matcher client="…"."""
    given = an_object(body, "The body")
    found = read_matchers(given.get("matchers"))
    starts, ends = instant(given.get("startsAt"), "startsAt"), instant(given.get("endsAt"), "endsAt")
    if ends is None:
        raise Invalid("endsAt is missing.", "No end, no silence.")
    before = _silence(actor, text(given["id"], "id", 60)) if given.get("id") else None
    client = before.client if before else matchers.equals(found, "client")
    seen = actor.sees()
    if not client and seen is not None and len(seen) == 1:
        (client,) = seen
    if not client or (seen is not None and client not in seen):
        raise Invalid("It is not clear whose alerts these are.", 'Add the matcher client="SLUG".')
    if before is not None and state_of(before, clock.now()) != "expired":
        end_silence(actor, before)
    author = text(given.get("createdBy"), "createdBy", 200)
    said = f"{author}, with {actor.name}" if author else actor.name
    return silence_matching(actor, client, found, ends, text(given.get("comment"), "comment", 300), starts, said)
