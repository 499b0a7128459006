"""Following a runbook, and writing a better one."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.kinds import BY_NAME, kind_named
from afterlaunch.incidents.models import Incident, Tick
from afterlaunch.incidents.places import LABELS
from afterlaunch.incidents.runbooks.models import RunbookVersion
from afterlaunch.incidents.runbooks.rules import Step, check, parse, parts
from afterlaunch.incidents.runbooks.versions import begin, current, digest, followed
from afterlaunch.incidents.runs import Done, run_named, runs
from afterlaunch.incidents.timeline import append

LONGEST = 500


def names_to_run() -> set[str]:
    """What `run:` may say."""
    return {*runs(), *(f"open {place}" for place in LABELS)}


def versions_seen_by(actor: Actor, client: Client, kind: str) -> QuerySet[RunbookVersion]:
    """The client's own versions, the newest first; the caller has checked that the actor may see the client."""
    if kind not in BY_NAME:
        raise NotFound(f"There is no kind {kind!r}.")
    return RunbookVersion.objects.filter(client=client, kind=kind).order_by("-version")


@transaction.atomic
def save(
    actor: Actor, client: Client, kind: str, text: str, note: str = "", after: int | None = None
) -> RunbookVersion:
    """A new version, for incidents that begin from now on. `after`: the version that was edited; Conflict when somebody
    saved another one meanwhile."""
    actor.require(Role.OPERATOR, client.slug)
    if kind not in BY_NAME:
        raise NotFound(f"There is no kind {kind!r}.", "Kinds: " + ", ".join(BY_NAME))
    text = text.replace("\r\n", "\n").strip() + "\n"
    check(text, LABELS, names_to_run())
    Client.objects.select_for_update().get(pk=client.pk)  # two editors take turns
    last = versions_seen_by(actor, client, kind).first()
    number = last.version if last else 0
    if after is not None and after != number:
        raise Conflict("Somebody saved another version meanwhile.", "Open it and put your changes into it.")
    if current(client.pk, kind, clock.now()).sha256 == digest(text):
        raise Invalid("Nothing differs from the version that counts.")
    row = RunbookVersion.objects.create(
        client=client,
        kind=kind,
        version=number + 1,
        text=text,
        sha256=digest(text),
        created_at=clock.now(),
        created_by=actor.name,
        note=note.strip()[:300],
    )
    details = {"kind": kind, "version": row.version, "sha256": row.sha256}
    record(actor, "runbook.saved", f"runbook/{client.slug}/{kind}", client.slug, details)
    return row


def _step(incident: Incident, number: int) -> tuple[RunbookVersion, Step]:
    """Of the version that the incident follows; one from before there were runbooks begins now."""
    book = followed(incident) or begin(incident, clock.now()).runbook
    step = parse(book.text).step(number)
    if step is None:
        raise NotFound(f"The runbook has no step {number}.")
    return book, step


@transaction.atomic
def tick_step(actor: Actor, incident: Incident, number: int, note: str = "") -> Tick:
    """Somebody did it. Twice changes nothing."""
    fresh = locked(actor, incident)
    book, step = _step(fresh, number)
    return _tick(actor, fresh, "runbook", f"{book.pk}/{number}", f"Runbook: {plain(step.text)}", note)


@transaction.atomic
def run_step(actor: Actor, incident: Incident, number: int) -> Done:
    """Perform the step's action, with the actor's own permission, and tick it. One that stops harm goes through its dry
    run instead, and is ticked there."""
    fresh = locked(actor, incident)
    book, step = _step(fresh, number)
    if not step.run:
        raise Invalid("This step is done by hand.", "Tick it.")
    if step.run.startswith("open "):
        done = Done("Opened.", f"place:{step.run.removeprefix('open ')}")
    else:
        run = run_named(step.run)
        if run.contains:
            return Done("Look at the dry run first.", f"/incidents/{fresh.pk}/containment/{run.name}")
        plan = run.plan(actor, fresh)
        if not plan.possible:
            raise Conflict(plan.text)
        done = run.perform(actor, fresh, f"Step {number} of the runbook")
    key = f"{book.pk}/{number}"
    _tick(actor, fresh, "runbook", key, f"Runbook: {plain(step.text)}", done.text, step.run)
    return done


@transaction.atomic
def tick_run(actor: Actor, incident: Incident, run: str, said: str) -> None:
    """An action was performed elsewhere on the page: the first open step that names it is done."""
    fresh = locked(actor, incident)
    book = followed(fresh)
    if book is None:
        return
    done = set(Tick.objects.filter(incident=fresh, list="runbook").values_list("key", flat=True))
    for step in parse(book.text).steps:
        if step.run == run and f"{book.pk}/{step.number}" not in done:
            _tick(actor, fresh, "runbook", f"{book.pk}/{step.number}", f"Runbook: {plain(step.text)}", said, run)
            return


@transaction.atomic
def tick_evidence(actor: Actor, incident: Incident, key: str, note: str = "") -> Tick:
    """Somebody has looked at it; the note says what they saw."""
    fresh = locked(actor, incident)
    item = next((one for one in kind_named(fresh.kind).evidence if one.key == key), None)
    if item is None:
        raise NotFound(f"The checklist of this incident has no {key!r}.")
    return _tick(actor, fresh, "evidence", f"{fresh.kind}/{key}", f"Evidence: {item.text}", note)


def _tick(actor: Actor, fresh: Incident, name: str, key: str, text: str, note: str, run: str = "") -> Tick:
    said = note.strip()[:LONGEST]
    values = {"at": clock.now(), "by": actor.name, "run": run, "said": said}
    row, made = Tick.objects.get_or_create(incident=fresh, list=name, key=key, defaults=values)
    if made:
        append(actor, fresh, f"{name}.done", f"{text[:300]}{f' — {said}' if said else ''}", {"key": key, "run": run})
        tell(actor, fresh, f"incident.{name}_done", {"key": key, "run": run})
    return row


@transaction.atomic
def untick(actor: Actor, incident: Incident, name: str, key: str) -> None:
    """It was not done after all. The timeline keeps both."""
    fresh = locked(actor, incident)
    if Tick.objects.filter(incident=fresh, list=name, key=key).delete()[0]:
        append(actor, fresh, f"{name}.undone", f"Not done after all: {name} {key}.", {"key": key})
        tell(actor, fresh, f"incident.{name}_undone", {"key": key})


def plain(text: str) -> str:
    """A step's words without the addresses of its links."""
    return "".join(part.text for part in parts(text, {}))
