"""Incidents become publications, as far as each page's policy allows; what is told of them follows."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.ground.actors import automation
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.updates.models import UpdateText
from afterlaunch.status_pages import actions
from afterlaunch.status_pages.models import Publication, StatusComponent, StatusPage
from afterlaunch.status_pages.rules import FALLBACK_TEXT, automatic, phase_of
from afterlaunch.status_pages.shown import of_security

FOLLOWING = automation("status pages")


def follow(now: datetime) -> None:
    """Open what opened, move on what moved on."""
    for page in StatusPage.objects.exclude(policy="nothing").select_related("client"):
        _open(page, now)
    watched = Publication.objects.filter(incident__isnull=False, ends_at=None).exclude(state="withheld")
    for pk in list(watched.values_list("pk", flat=True)):
        _move(pk, now)


def _open(page: StatusPage, now: datetime) -> None:
    parts = list(page.components.all())
    open_ones = Incident.objects.filter(system__in={one.system_id for one in parts}, status="open")
    fresh = open_ones.filter(detected_at__gte=page.created_at).exclude(publications__page=page)
    for incident in fresh.select_related("system").order_by("detected_at", "pk"):
        touched = [one for one in parts if _touches(one, incident)]
        does = automatic(page.policy, of_security(incident), incident.severity)
        if touched and does != "nothing" and not _covered(page, touched):
            _make(page, incident, touched, does, now)


def _covered(page: StatusPage, parts: list[StatusComponent]) -> bool:
    """Outsiders are told once that a component has a problem, however many incidents it has; should the first end
    while another is open, that one is told next."""
    for one in page.publications.filter(incident__isnull=False, ends_at=None).exclude(state="withheld"):
        if {part.pk for part in parts} <= set(one.components.values_list("pk", flat=True)):
            return True
    return False


def _touches(part: StatusComponent, incident: Incident) -> bool:
    return part.system_id == incident.system_id and part.environment in ("", incident.environment)


@transaction.atomic
def _make(page: StatusPage, incident: Incident, parts: list[StatusComponent], does: str, now: datetime) -> None:
    """The title names components, never what the incident is called inside."""
    title = f"Problem with {', '.join(one.name for one in parts)}"[:200]
    made, new = Publication.objects.get_or_create(
        page=page,
        incident=incident,
        defaults={"title": title, "phase": "investigating", "starts_at": incident.detected_at},
    )
    if not new:
        return
    made.components.set(parts)
    actions.post(
        FOLLOWING, made, FALLBACK_TEXT["investigating"], "investigating", f"{incident.topic}/investigating",
        incident.detected_at,
    )  # fmt: skip
    if does == "publish":
        actions.publish(FOLLOWING, made)


@transaction.atomic
def _move(pk: int, now: datetime) -> None:
    row = Publication.objects.select_for_update(of=("self",)).select_related("incident").get(pk=pk)
    incident = row.incident
    if incident is None or row.state == "withheld":
        return
    if incident.outcome == "false_alarm" and row.state == "draft":
        actions.withhold(FOLLOWING, row)
        return
    _carry_over(row)
    phase = phase_of(incident.acknowledged_at is not None, incident.recovered_at is not None, incident.status != "open")
    if phase != row.phase and not of_security(incident):
        actions.post(FOLLOWING, row, FALLBACK_TEXT[phase], phase, f"{incident.topic}/{phase}/{_turn(row, phase)}")


def _carry_over(row: Publication) -> None:
    """What customers were sent about the incident stands on the page as well, in the same words."""
    told = set(row.posts.exclude(source="").values_list("source", flat=True))
    texts = UpdateText.objects.filter(update__incident=row.incident_id, audience="customers", state="sent")
    for text in texts.select_related("update").order_by("sent_at", "pk"):
        if (source := f"update/{text.pk}") not in told:
            phase = "resolved" if text.update.final else row.phase
            actions.post(FOLLOWING, row, text.text, phase, source, text.sent_at)
            row.refresh_from_db()


def _turn(row: Publication, phase: str) -> int:
    """An incident may come to the same phase again."""
    return row.posts.filter(phase=phase).count()
