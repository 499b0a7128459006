"""OpenSLO files become SLOs: everything is checked first, then everything is written, or nothing; again is nothing new.
Documents are kept as they stood, unknown fields included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.slo import measures
from afterlaunch.slo.actions import About, put_slo, remove
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.measures import FRESHNESS, LATENCY, QUALITY, Measure
from afterlaunch.slo.models import Declared, Slo
from afterlaunch.slo.openslo import reading, text
from afterlaunch.slo.openslo.members import Members
from afterlaunch.slo.openslo.objects import RATIO, THRESHOLD, Document, File, Indicator, Objective
from afterlaunch.slo.openslo.problems import Findings, InvalidFile, Problem, Where

CLIENT = "afterlaunch/client"
FLAGS = {"critical": "afterlaunch/critical", "busy": "afterlaunch/always-busy", "paused": "afterlaunch/paused"}
OURS = "afterlaunch/v1"
Found = tuple[Where, dict[str, Any]]


@dataclass(frozen=True)
class Change:
    """`before` None: it was made; `after` None: it was removed."""

    kind: str
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def change(self) -> str:
        return "made" if self.before is None else "removed" if self.after is None else "altered"


@dataclass(frozen=True)
class Imported:
    changes: list[Change]
    notices: list[Problem]


@dataclass
class _Plan:
    """What one client's documents say."""

    client: Client
    file: File
    slos: list[tuple[Objective, About, Definition | None]] = field(default_factory=list)


def import_files(
    actor: Actor,
    files: Iterable[tuple[str, str]],
    client: Client | None = None,
    join: bool = False,
    dry_run: bool = False,
) -> Imported:
    """`files`: (text, name). `client`: whose they are where no annotation says so; None: the only one there is. Raises
    InvalidFile with everything that is wrong; then nothing has changed."""
    findings = Findings()
    found = [one for content, name in files for one in text.documents(content, name, findings)]
    plans = [
        _plan(whose, mine, findings, join)
        for whose, mine in _by_client(
            actor, [one for one in found if one[1].get("apiVersion") != OURS], client, findings
        )
    ]
    if findings.errors:
        raise InvalidFile(findings.errors)
    for plan in plans:
        actor.require(Role.OPERATOR, plan.client.slug)
    with transaction.atomic():
        changes = [change for plan in plans for change in _write(actor, plan)]
        if dry_run:
            transaction.set_rollback(True)
    return Imported(changes, findings.notices)


def _by_client(
    actor: Actor, found: Sequence[Found], client: Client | None, findings: Findings
) -> list[tuple[Client, list[Found]]]:
    """Of the clients that the actor may see."""
    seen = actor.sees()
    known = {one.slug: one for one in Client.objects.all() if seen is None or one.slug in seen}
    only = client or (next(iter(known.values())) if len(known) == 1 else None)
    out: dict[str, list[Found]] = {}
    for where, raw in found:
        metadata = raw.get("metadata")
        notes = metadata.get("annotations") if isinstance(metadata, dict) else None
        slug = notes.get(CLIENT) if isinstance(notes, dict) else None
        at = where.at("metadata").at("annotations").at(CLIENT)
        if slug is None and only is None:
            findings.wrong(at, f"it is missing: whose SLO is this? Clients: {', '.join(sorted(known))}")
        elif slug is not None and slug not in known:
            findings.wrong(at, f"there is no client {slug!r}")
        elif client is not None and slug not in (None, client.slug):
            findings.wrong(at, f"it is of {slug}, and {client.slug} was chosen")
        else:
            out.setdefault(str(slug or (only.slug if only else "")), []).append((where, raw))
    return [(known[slug], mine) for slug, mine in out.items()]


def declared(client: Client) -> dict[tuple[str, str], Document]:
    """What was imported before, for references."""
    return {
        (row.kind, row.name): Document(row.kind, row.name, row.raw, Where(f"imported {row.kind} {row.name}", 1))
        for row in Declared.objects.filter(client=client)
    }


def _plan(client: Client, found: Sequence[Found], findings: Findings, join: bool) -> _Plan:
    file = reading.read(found, findings, declared(client), join)
    plan = _Plan(client, file)
    raw = {one.name: one.raw for one in file.documents if one.kind == "SLO"}
    for objective in file.objectives:
        definition = definition_of(objective, findings)
        plan.slos.append((objective, _about(objective, raw[objective.of], findings), definition))
        for name in objective.alerting.targets:
            findings.note(objective.where, f"{name} is kept; who is paged says the on-call of the system")
    return plan


def _about(objective: Objective, raw: Any, findings: Findings) -> About:
    notes = Members(raw.get("metadata"), objective.where, findings).texts("annotations")
    flags = {name: notes.get(key, "false").lower() == "true" for name, key in FLAGS.items()}
    return About(objective.title, objective.description, objective.service, of=objective.of, **flags)


def definition_of(objective: Objective, findings: Findings) -> Definition | None:
    """None where its events come from elsewhere: then it is a draft."""
    ours = [one.type.lower() == measures.SOURCE.lower() for one in objective.indicator.sources]
    if not any(ours):
        kind = objective.indicator.sources[0].type
        findings.note(objective.where, f"its events come from {kind}, which is not read here: it is kept as a draft")
        return None
    if not all(ours):
        findings.wrong(objective.where, f"its sources must all be of type {measures.SOURCE}")
        return None
    measure = _measure(objective.indicator, objective.where, findings)
    if measure is None:
        return None
    off = objective.alerting.off
    definition = Definition(
        objective.target,
        objective.period,
        measure,
        objective.method,
        objective.slice_target,
        objective.slice_seconds,
        objective.pairs if objective.alerting.pairs is not None or off else None,
    )
    for problem in definition.problems():
        findings.wrong(objective.where, problem)
    for warning in definition.warnings():
        findings.note(objective.where, warning)
    return definition


def _measure(indicator: Indicator, where: Where, findings: Findings) -> Measure | None:
    source = indicator.only or indicator.bad or indicator.good
    assert source is not None, "an indicator that was read has a source"
    members = Members(dict(source.spec), where, findings)
    if indicator.shape == THRESHOLD:
        found = measures.read(members, indicator.op, indicator.value)
        if found is not None and found.kind not in (LATENCY, QUALITY, FRESHNESS):
            findings.wrong(where, f"{found.kind} has no threshold: use a ratioMetric")
        return found
    if indicator.shape != RATIO:
        findings.wrong(
            where, "events of Afterlaunch are counted: use a ratioMetric of bad and total, or a thresholdMetric"
        )
        return None
    return measures.read(members)


def _write(actor: Actor, plan: _Plan) -> list[Change]:
    now, changes = clock.now(), []
    before = {(row.kind, row.name): row for row in Declared.objects.filter(client=plan.client)}
    for one in plan.file.documents:
        row, raw = before.get((one.kind, one.name)), plain(one.raw)
        if row is not None and row.raw == raw:
            continue
        changes.append(Change(one.kind, one.name, row.raw if row else None, raw))
        Declared.objects.update_or_create(
            client=plan.client, kind=one.kind, name=one.name, defaults={"raw": raw, "updated_at": now}
        )
    documents = {one.name for one in plan.file.documents if one.kind == "SLO"}
    names = {objective.name for objective, _, _ in plan.slos}
    for objective, about, definition in plan.slos:
        put_slo(actor, plan.client, objective.name, about, definition)
    for gone in Slo.objects.filter(client=plan.client, of__in=documents, removed_at=None).exclude(name__in=names):
        remove(actor, gone)
        changes.append(Change("SLO", gone.name, {"name": gone.name}, None))
    return changes


def plain(value: Any) -> Any:
    """As JSON keeps it: YAML's times as they are written in a file of OpenSLO."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return value.isoformat(sep=" ") if hasattr(value, "hour") else str(value)
