"""Which incidents a list shows."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, Q, QuerySet

from afterlaunch.incidents.models import Incident

EXACT = ("status", "severity", "kind", "phase")
ASKED = (*EXACT, "system", "q", "mine", "taken")
LONGEST = 200


def asked_of(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "").strip()[:LONGEST] for name in ASKED}


def narrowed(rows: QuerySet[Incident], asked: Mapping[str, str], me: int | None) -> QuerySet[Incident]:
    """`q`: words that all occur in title, summary, system or cause; or a number. `mine`: those in which I hold a role.
    `taken` "no": open ones that nobody has acknowledged."""
    rows = rows.filter(**{name: asked[name] for name in EXACT if asked[name]})
    if asked["system"].isdigit():
        rows = rows.filter(system=int(asked["system"]))
    if asked["mine"]:
        rows = rows.filter(pk__in=Incident.objects.filter(assignments__person=me, assignments__until=None).values("pk"))
    if asked["taken"] == "no":
        rows = rows.filter(status="open", acknowledged_at=None)
    for word in asked["q"].split():
        rows = rows.filter(_holds(word))
    return rows


def _holds(word: str) -> Q:
    told = ("title", "summary", "cause", "cause_key", "system__name", "system__key")
    found = Q(*[(f"{name}__icontains", word) for name in told], _connector=Q.OR)
    number = word.removeprefix("#")
    return found | Q(pk=int(number)) if number.isdigit() and len(number) < 10 else found


def counts(rows: QuerySet[Incident]) -> dict[str, int]:
    """Of everything the actor may see, in one question."""
    is_open = Q(status="open")
    return rows.order_by().aggregate(
        open=Count("pk", filter=is_open),
        p1=Count("pk", filter=is_open & Q(severity="P1")),
        untaken=Count("pk", filter=is_open & Q(acknowledged_at=None)),
        review=Count("pk", filter=Q(phase="review")),
    )
