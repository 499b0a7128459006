"""Putting an update's texts on their way, inside the transaction that decided it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Max
from django.utils import timezone

from afterlaunch.accounts.models import User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.deeds import tell
from afterlaunch.incidents.models import Assignment, Incident
from afterlaunch.incidents.timeline import append
from afterlaunch.incidents.updates import promises
from afterlaunch.incidents.updates.models import Stakeholder, Update, UpdateText
from afterlaunch.incidents.updates.rules import Source, needs_approval, written_for
from afterlaunch.notify.outbox import Notice, enqueue


def identity(actor: Actor) -> str:
    return f"{actor.kind}:{actor.user_id or actor.token_id or actor.name}"


def told(at: datetime | None, incident: Incident) -> str:
    """An instant as outsiders read it: in the zone of the incident's system or client, with the zone's name."""
    if at is None:
        return ""
    zone = promises.hours_of(incident.system).zone
    local = timezone.localtime(at, ZoneInfo(zone))
    return local.strftime("%Y-%m-%d %H:%M %Z")


def source(incident: Incident, affected: str, doing: str, next_at: datetime | None, **more: bool) -> Source:
    return Source(
        system=incident.system.name,
        severity=incident.severity,
        title=incident.title,
        affected=affected,
        since=told(incident.occurred_at or incident.detected_at, incident),
        doing=doing,
        next_at=told(next_at, incident),
        ended=told(incident.resolved_at, incident),
        **more,
    )


def audiences_told(incident: Incident) -> list[str]:
    """Who has been sent an update of this incident."""
    rows = UpdateText.objects.filter(update__incident=incident, state="sent").order_by()
    return sorted(set(rows.values_list("audience", flat=True)))


def audiences_waiting_for_the_end(incident: Incident) -> list[str]:
    """Told of it, and not yet told that it is over."""
    ended = UpdateText.objects.filter(update__incident=incident, update__final=True).exclude(state="withdrawn")
    if incident.resolved_at:
        ended = ended.filter(update__at__gte=incident.resolved_at)
    over = set(ended.values_list("audience", flat=True))
    return [name for name in audiences_told(incident) if name not in over]


def make(
    actor: Actor,
    incident: Incident,
    texts: dict[str, str],
    affected: str,
    doing: str,
    next_at: datetime | None,
    no_change: bool = False,
    final: bool = False,
) -> Update:
    """The row with its texts, each sent or waiting for approval; the promise renewed."""
    now = clock.now()
    last = Update.objects.filter(incident=incident).aggregate(last=Max("number"))["last"] or 0
    update = Update.objects.create(
        incident=incident,
        number=last + 1,
        at=now,
        author=actor.name,
        author_identity=identity(actor),
        affected=affected,
        doing=doing,
        no_change=no_change,
        final=final,
        next_at=next_at,
    )
    promises.renew(incident, actor.name, update, now)
    rows = [UpdateText.objects.create(update=update, audience=name, text=text) for name, text in texts.items()]
    waiting = [row for row in rows if needs_approval(row.audience, incident.severity, incident.peak_severity)]
    for row in rows:
        if row not in waiting:
            send(incident, row, now)
    said = f"Update {update.number} to {', '.join(texts)}" + (
        f"; the text for {waiting[0].audience} waits for approval." if waiting else "."
    )
    body = next(iter(texts.values()), "")
    details = {"update": update.number, "audiences": list(texts), "next_at": next_at.isoformat() if next_at else None}
    append(actor, incident, "update", f"{said}\n{body}", details)
    tell(actor, incident, "incident.updated", details)
    return update


def send(incident: Incident, row: UpdateText, now: datetime) -> None:
    """To everybody of the audience, each person once an update, whatever else they belong to."""
    count = 0
    for person in people_of(incident, row.audience):
        facts = {
            "type": "incident.update",
            "incident": incident.pk,
            "title": f"{'Resolved' if row.update.final else 'Update'}: {incident.system.name}",
            "severity": incident.severity,
            "lines": row.text.splitlines(),
            "path": f"/incidents/{incident.pk}",
        }
        occurrence = f"update-{row.update.number}-u{person.pk}"
        if enqueue(person, Notice(incident.topic, occurrence, incident.system.client.slug, facts, "update"), now):
            count += 1
    row.state, row.sent_at, row.told = "sent", now, count
    row.save(update_fields=["state", "sent_at", "told"])


def people_of(incident: Incident, audience: str) -> list[User]:
    if audience == "responders":
        held = Assignment.objects.filter(incident=incident, until=None).select_related("person")
        people = [row.person for row in held]
    else:
        stakes = Stakeholder.objects.filter(client=incident.system.client_id, audience=audience)
        people = [row.person for row in stakes.select_related("person")]
    return [one for one in dict.fromkeys(people) if one.is_active]


def say_it_is_over(actor: Actor, incident: Incident) -> None:
    """Every audience that got an update hears of the end."""
    waiting = audiences_waiting_for_the_end(incident)
    if not waiting:
        return
    last = Update.objects.filter(incident=incident).order_by("-number").first()
    affected = incident.impact or (last.affected if last else "")
    said = source(incident, affected, incident.fix, None, final=True)
    texts = {name: written_for(name, said) for name in waiting}
    make(actor, incident, texts, affected, incident.fix, None, final=True)
