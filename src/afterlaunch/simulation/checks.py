"""What must be true in the end. Each check compares the world's own record, or an independent computation, with the
product's rows, and names what does not fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from afterlaunch.evidence.checkpoints import folder, verifier_key
from afterlaunch.evidence.models import Entry, SignedCheckpoint
from afterlaunch.evidence.verify import check as check_evidence
from afterlaunch.incidents.timeline import first_broken
from afterlaunch.notify.models import Page
from afterlaunch.simulation import naive
from afterlaunch.simulation.facts import Facts, Segment
from afterlaunch.simulation.plan import HOUR, ClientPlan, OverridePlan, SystemPlan

PROMPT = timedelta(seconds=12)  # of a duty that runs every five seconds, with its sender's next round
TOLD_WITHIN = timedelta(minutes=5) + PROMPT  # the longest that a group waits with its news
SHOWN = 20
OF_A_STEP = re.compile(r"e\d+-s\d+-u")  # an occurrence that the escalation policy decided
OF_A_GROUP = "group/"
Order = tuple[str, str, int]  # a decided page: topic, occurrence, person


@dataclass
class Check:
    """`of`: how many things were looked at; `problems` empty: it holds. `notes`: figures worth telling."""

    name: str
    title: str
    of: int = 0
    problems: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.problems

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "title": self.title,
            "holds": self.good,
            "looked_at": self.of,
            "violations": len(self.problems),
            "first_violations": self.problems[:SHOWN],
            "notes": self.notes,
        }


def all_checks(facts: Facts) -> list[Check]:
    return [one(facts) for one in CHECKS]


class Availability:
    """When the product could not do a thing: dead, or waiting for a provider while its clock went on."""

    def __init__(self, facts: Facts) -> None:
        kills = [(one.at, one.up_again) for one in facts.record.kills]
        self._away = sorted([*kills, *facts.record.busy])

    def latest(self, due: datetime, slack: timedelta = PROMPT) -> datetime:
        """By when something that is due then is done."""
        at = due + slack
        for since, until in self._away:
            if since > at:
                break
            if until > due:
                at = max(at, until + slack)
        return at


def alerts_kept(facts: Facts) -> Check:
    """1. Every telling was taken in the end. 2. What opened is a row. 3. Each row is of an incident, was suppressed by
    a rule that is recorded, or was over before its group was told."""
    found = Check(
        "alerts-kept", "Every alert that was acknowledged to its sender is kept, and of an incident or suppressed"
    )
    up = Availability(facts)
    opened: dict[int, str] = {}
    for telling in facts.record.tellings:
        found.of += 1
        name = f"alert {telling.alert.number} {telling.status} at {telling.at:%m-%d %H:%M:%S}"
        if telling.taken_at is None:
            found.problems.append(f"{name} was never taken")
        elif telling.reason == "opens" and telling.row not in facts.alerts:
            found.problems.append(f"{name} was acknowledged and is not stored")
        if telling.row is not None:
            opened[telling.row] = name
    for pk, row in facts.alerts.items():
        if row.incident_id is not None:
            continue
        if pk in facts.suppressed:
            found.notes["suppressed for all their life"] = found.notes.get("suppressed for all their life", 0) + 1
            continue
        over = row.resolved_at
        if over is None or over > up.latest(row.fired_at, TOLD_WITHIN):
            found.problems.append(f"alert row {pk} ({opened.get(pk, 'unknown')}) is of no incident")
        else:
            found.notes["over before they were told"] = found.notes.get("over before they were told", 0) + 1
    return found


def _orders(facts: Facts) -> dict[Order, list[Page]]:
    found: dict[Order, list[Page]] = defaultdict(list)
    for page in facts.pages:
        assert page.person_id is not None
        found[page.topic, page.occurrence, page.person_id].append(page)
    return found


def pages_lost(facts: Facts) -> Check:
    """Every page that was decided was taken by a provider of its person, or was no longer needed, or every method of
    the person refused it."""
    found = Check("pages-lost", "No page is lost")
    ends = {pk: [one.end for one in facts.segments(pk)] for pk in facts.incidents}
    for (topic, occurrence, _), rows in _orders(facts).items():
        found.of += 1
        if any(one.took for page in rows for one in facts.deliveries(page)):
            continue
        number = int(topic.partition("/")[2])
        over = any(end >= rows[0].created_at for end in ends.get(number, ()) if end < facts.ended_at)
        if all(page.state == "withdrawn" for page in rows) and over:
            found.notes["no longer needed when they were due"] = (
                found.notes.get("no longer needed when they were due", 0) + 1
            )
        elif _refused_everywhere(facts, rows):
            found.notes["refused by every provider of the person"] = (
                found.notes.get("refused by every provider of the person", 0) + 1
            )
        elif over and all(page.state in ("withdrawn", "failed") for page in rows):
            found.notes["no longer needed when they were due"] = (
                found.notes.get("no longer needed when they were due", 0) + 1
            )
        else:
            states = ", ".join(f"{page.kind} {page.state}" for page in rows)
            found.problems.append(f"{topic} {occurrence} to {rows[0].person}: decided {rows[0].created_at}, {states}")
    return found


def _refused_everywhere(facts: Facts, rows: list[Page]) -> bool:
    person = facts.plan.by_name[str(rows[0].person)]
    tried = {page.kind for page in rows if page.state == "failed" and facts.deliveries(page)}
    return tried == set(person.methods)


def sent_twice(facts: Facts) -> Check:
    """The same message goes out again only under the same key, and only where the product could not know that the
    provider had it: the answer came too late, or the product died before it could note it. Another method of the same
    person is tried only after such answers. A key that went out and is of no page that was decided is a page again
    under another name."""
    found = Check("sent-twice", "No page is sent twice, but where a provider's answer came too late or was lost")
    decided = set(Page.objects.values_list("key", flat=True))
    for key, attempts in facts.providers.by_key.items():
        taken = [one for one in attempts if one.took]
        found.of += bool(taken)
        if taken and key not in decided:
            found.problems.append(f"{key} was taken at {taken[0].at}, and no page of that key was decided")
        again = taken[:-1]
        found.notes["again under the same key after a late or lost answer"] = found.notes.get(
            "again under the same key after a late or lost answer", 0
        ) + len(again)
        found.problems += [f"{key} was taken and answered at {one.at}, and sent again" for one in again if one.heard]
    for (topic, occurrence, _), rows in _orders(facts).items():
        heard = [
            page
            for page in rows
            if any(one.took and one.heard and one.key == page.key for one in facts.deliveries(page))
        ]
        if len(heard) > 1:
            keys = ", ".join(page.key for page in heard)
            found.problems.append(f"{topic} {occurrence} to {rows[0].person} went out under several keys: {keys}")
    return found


def steps_paged(facts: Facts) -> Check:
    """The policy is walked again for every stretch without a response, with who is on call computed anew."""
    found = Check("steps-paged", "Every step that was due unacknowledged paged whoever was on call")
    walker = _Walker(facts)
    for pk, incident in facts.incidents.items():
        system = facts.plan.system(incident.system.key)
        paged = walker.paged(incident.topic)
        segments = facts.segments(pk)
        for place, segment in enumerate(segments):
            following = segments[place + 1].start if place + 1 < len(segments) else None
            mine = {
                at: who
                for at, who in paged.items()
                if segment.start <= at and (at < segment.end or (at == segment.end and at != following))
            }
            for at in mine:
                paged.pop(at)
            steps, problems = walker.walk(f"incident/{pk}", system, segment, mine)
            found.of += steps
            found.problems += problems
        found.problems += [
            f"incident/{pk}: {sorted(who)} paged at {at}, and nothing was due" for at, who in paged.items()
        ]
    return found


class _Walker:
    def __init__(self, facts: Facts) -> None:
        self._facts, self._up = facts, Availability(facts)
        self._pages: dict[str, dict[datetime, set[str]]] = defaultdict(lambda: defaultdict(set))
        for (topic, occurrence, _), rows in _orders(facts).items():
            if OF_A_STEP.match(occurrence):
                self._pages[topic][rows[0].created_at].add(str(rows[0].person))

    def paged(self, topic: str) -> dict[datetime, set[str]]:
        """When the policy paged, and whom: a page to a person's next method is none of its own."""
        return dict(sorted(self._pages[topic].items()))

    def walk(
        self, topic: str, system: SystemPlan, segment: Segment, paged: dict[datetime, set[str]]
    ) -> tuple[int, list[str]]:
        """(steps that were due, what does not fit)."""
        times, due, looked, step, number = sorted(paged), segment.start, 0, 0, 0
        while True:
            latest = self._up.latest(due)
            at = times[looked] if looked < len(times) else None
            if at is None and segment.end <= latest:
                return looked, []
            if at is None or not due <= at <= latest:
                said = f"paged at {at}" if at else "nobody was paged"
                return looked, [f"{topic}: step {step} was due at {due}, {said}"]
            wanted = self._wanted(system, step, number, at)
            found = next((one for one in wanted if one.who == paged[at]), None)
            if found is None:
                return looked, [f"{topic}: step {step} at {at} paged {sorted(paged[at])}, not {sorted(wanted[0].who)}"]
            looked += 1
            if found.wait is None:
                return looked, [f"{topic}: paged at {at} though the policy was over" for at in times[looked:]]
            step, number, due = found.step, found.round, at + timedelta(seconds=found.wait)

    def _wanted(self, system: SystemPlan, step: int, number: int, at: datetime) -> list[naive.Paged]:
        """More than one answer only while it is open whether an override was made: the product died over it."""
        client, plan = self._facts.plan.of(system.client), self._facts.plan
        owner = frozenset({system.owner}) if system.owner else plan.administrators(client.slug)
        on = [naive.on_call(client, list(self._made(client, at, early)), at) for early in (True, False)]
        return [naive.paged(client, owner, step, number, one) for one in on]

    def _made(self, client: ClientPlan, at: datetime, early: bool) -> Iterator[OverridePlan]:
        tries: dict[int, list[datetime]] = defaultdict(list)
        for tried, number in self._facts.record.overrides:
            tries[number].append(tried)
        for number, times in sorted(tries.items()):
            one = self._facts.plan.overrides[number]
            if one.client == client.slug and (times[0] if early else times[-1]) <= at:
                yield one


def clocks_equal(facts: Facts) -> Check:
    """Deadline by deadline, against a count of minutes; and each starts when the world told the alert."""
    found = Check("clocks-equal", "Every response clock equals an independent count of minutes")
    tables: dict[str, naive.Minutes] = {}
    told = _told(facts)
    for row in facts.clocks:
        found.of += 1
        incident = facts.incidents[int(row.topic.partition("/")[2])]
        tier = facts.plan.system(incident.system.key).tier
        client = facts.plan.of(incident.system.client.slug)
        if client.slug not in tables:
            tables[client.slug] = naive.Minutes(client.calendar, facts.plan.start, facts.plan.end + timedelta(days=1))
        wanted = tables[client.slug].deadline(tier, row.severity, row.started_at)
        name = f"{tier} {row.severity}"
        found.notes[name] = found.notes.get(name, 0) + 1
        if (row.tier, row.deadline) != (tier, wanted):
            found.problems.append(f"{incident.topic}, {name} from {row.started_at}: {row.deadline}, not {wanted}")
        if incident.fingerprint.startswith(OF_A_GROUP) and row.started_at not in told[incident.pk]:
            found.problems.append(f"{incident.topic}: its clock starts at {row.started_at}, when nobody told of it")
    return found


def _told(facts: Facts) -> dict[int, set[datetime]]:
    """By incident, the instants at which its alerts were told, or stopped being suppressed; or, for one that opened
    because its alert still fired after a person had ended the incident before, that instant."""
    found: dict[int, set[datetime]] = defaultdict(set)
    groups = facts.incidents_of_group
    ends = {one.until for one in facts.plan.silences}
    for telling in facts.record.tellings:
        row = facts.alerts.get(telling.row) if telling.row is not None else None
        for pk in groups.get(row.group_id, ()) if row is not None else ():
            found[pk].update(telling.attempts)
    for alert in facts.alerts.values():
        for pk in groups.get(alert.group_id, ()):
            begun = facts.incidents[pk].detected_at
            if alert.loud_at is not None and any(timedelta() <= alert.loud_at - end <= HOUR for end in ends):
                found[pk].add(alert.loud_at)  # an end of a silence is noticed at the next look, or after a restart
            if (
                facts.incidents[pk].recurrence_of_id
                and alert.fired_at < begun
                and (alert.resolved_at or begun) >= begun
            ):
                found[pk].add(begun)
    return found


def breaches_stamped(facts: Facts) -> Check:
    """A clock is met by the first response, and breached at its deadline when there was none by then."""
    found = Check("breaches-stamped", "Every missed deadline is stamped as missed at the deadline, and no other")
    for row in facts.clocks:
        if row.superseded_at is not None:
            continue
        found.of += 1
        incident = facts.incidents[int(row.topic.partition("/")[2])]
        entries = facts.timelines[incident.pk]
        first = min((one.at for one in entries if one.kind in ("acknowledged", "resolved")), default=None)
        if row.deadline is None:
            continue
        late = first > row.deadline if first else facts.ended_at > row.deadline + HOUR
        stamp = row.noticed_at if row.cause == "severity_change" else row.deadline
        wanted = stamp if late or row.cause == "severity_change" else None
        found.notes["breached"] = found.notes.get("breached", 0) + (row.breached_at is not None)
        if row.met_at != first and row.cause != "severity_change":
            found.problems.append(f"{incident.topic}: met at {row.met_at}, first response at {first}")
        if row.breached_at != wanted and not (first is None and not late):
            found.problems.append(f"{incident.topic}: breached at {row.breached_at}, not {wanted}")
    return found


def acknowledged_by_people(facts: Facts) -> Check:
    """Each acknowledgement in a timeline is one that a person of the world pressed at that moment, and each that the
    product confirmed is there and in evidence. Link previews acknowledge nothing."""
    found = Check("acknowledged", "Acknowledgements are those that people made, all and no others")
    pressed = {(one.incident, one.at, one.person) for one in facts.record.deeds if one.what in ("acknowledge", "round")}
    rounds = {(one.at, one.person) for one in facts.record.deeds if one.what == "round"}
    stored = set()
    for pk, entries in facts.timelines.items():
        for entry in entries:
            if entry.kind != "acknowledged":
                continue
            found.of += 1
            stored.add((pk, entry.at, entry.actor))
            if (pk, entry.at, entry.actor) not in pressed and (entry.at, entry.actor) not in rounds:
                found.problems.append(f"incident/{pk}: acknowledged by {entry.actor} at {entry.at}, who did not")
            if ("incident.acknowledged", f"incident/{pk}") not in facts.deeds_in_evidence:
                found.problems.append(f"incident/{pk}: no evidence of its acknowledgement")
    for one in facts.record.deeds:
        if one.what == "acknowledge" and one.done and one.incident not in {pk for pk, _, _ in stored}:
            found.problems.append(f"incident/{one.incident}: {one.person} acknowledged at {one.at}, which is lost")
    found.notes["links followed by previews"] = facts.record.previews
    return found


def timelines_hold(facts: Facts) -> Check:
    found = Check("timelines-hold", "The hash chain of every timeline holds")
    for pk, incident in facts.incidents.items():
        found.of += len(facts.timelines[pk])
        broken = first_broken(incident)
        if broken is not None:
            found.problems.append(f"incident/{pk}: entry {broken}")
        if ("incident.opened", f"incident/{pk}") not in facts.deeds_in_evidence:
            found.problems.append(f"incident/{pk}: no evidence that it opened")
    return found


def evidence_verifies(facts: Facts) -> Check:
    """As `afterlaunch verify` does it, with the checkpoint that is kept outside of the database."""
    bodies = [bytes(body) for body in Entry.objects.order_by("index").values_list("body", flat=True)]
    signed = list(SignedCheckpoint.objects.order_by("size").values_list("note", flat=True))
    outside = folder() / "checkpoint"
    result = check_evidence(bodies, signed, verifier_key(), outside.read_text() if outside.exists() else None)
    notes = {"under signed checkpoints": result.signed, "checkpoints": result.checkpoints}
    found = Check("evidence-verifies", "The evidence log verifies", result.entries, list(result.problems), notes)
    if result.signed < result.entries:
        found.problems.append(f"{result.entries - result.signed} entries stand under no checkpoint")
    return found


def duties_well(facts: Facts) -> Check:
    """No duty failed in any cycle that lived to its end, and everything came to rest."""
    found = Check("duties-well", "No duty failed, and everything came to rest")
    found.of = facts.record.asked["cycle"]
    found.problems = [f"{name} ({times} times)" for name, times in facts.record.failures.most_common()]
    if not facts.record.rested:
        found.problems.append("alerts still waited to be taken at the end")
    waiting = [page.key for page in facts.pages if page.state in ("pending", "leased") and page.due_at < facts.ended_at]
    found.problems += [f"{key} still waits" for key in waiting]
    return found


CHECKS: tuple[Callable[[Facts], Check], ...] = (
    alerts_kept,
    pages_lost,
    sent_twice,
    steps_paged,
    clocks_equal,
    breaches_stamped,
    acknowledged_by_people,
    timelines_hold,
    evidence_verifies,
    duties_well,
)
