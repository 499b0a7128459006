"""The duty that judges every SLO: counts, decisions, verdicts, burns, standings. A function of (now, database)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from afterlaunch.estate.models import Environment
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.slo import periods, tallies
from afterlaunch.slo.actions import judge_of
from afterlaunch.slo.assessing import Assessment, Decision, Input, assess, facts, severity_of
from afterlaunch.slo.burning import burn
from afterlaunch.slo.counting import Seen, count
from afterlaunch.slo.durations import HOUR, short
from afterlaunch.slo.measures import AVAILABILITY, FRESHNESS, LATENCY, QUALITY
from afterlaunch.slo.models import Burn, Slo, SloVersion, Standing
from afterlaunch.slo.pairs import PAGE
from afterlaunch.slo.presence import Presence, usual_gaps, without_telemetry, without_traffic
from afterlaunch.slo.traffic import expected, healthy_rate
from afterlaunch.telemetry.queries import minute_of
from afterlaunch.telemetry.told_events import last_signals
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Scope, Status

JUDGES = automation("judges")
LOOK = timedelta(hours=1)
TITLES = {"page": "Error budget burns", "ticket": "Error budget burns slowly", "data": "No data for an SLO"}


@dataclass(frozen=True)
class ObjectiveJudge:
    """What `verdicts.watch` asks of a judge; `severity` is that of this finding."""

    name: str
    title: str
    severity: str
    explanation: str = "How fast an SLO's error budget burns."
    per: tuple[str, ...] = ()


def titles() -> dict[str, str]:
    """Judge -> what an alert of it is called."""
    rows = Slo.objects.filter(removed_at=None).only("pk", "name", "title")
    return {judge_of(slo, part): f"{said}: {slo}" for slo in rows for part, said in TITLES.items()}


def judge(now: datetime) -> None:
    """Everything that is not paused. A fixed number of questions to the telemetry, however many SLOs there are."""
    rows = SloVersion.objects.filter(until=None, slo__removed_at=None, slo__paused=False, slo__draft=False)
    versions = list(rows.select_related("slo__client").order_by("pk"))
    if not versions:
        return
    told = [one for one in versions if one.definition.measure.kind in (QUALITY, FRESHNESS)]
    if told:
        tallies.tally(told, now)
    places = {
        (client, system, name): (first, last)
        for client, system, name, first, last in Environment.objects.values_list(
            "system__client__slug", "system__key", "name", "first_seen_at", "last_seen_at"
        )
    }
    first_seen = {place: minute_of(first) for place, (first, _) in places.items() if first}
    seen = count(versions, now, first_seen)
    standings = {one.slo_id: one for one in Standing.objects.filter(slo__in=[one.slo_id for one in versions])}
    burns: dict[int, dict[str, Burn]] = {}
    for one in Burn.objects.filter(ended_at=None, slo__in=[version.slo_id for version in versions]):
        burns.setdefault(one.slo_id, {})[one.kind] = one
    signals = _signals(versions, standings, places, now)
    present = _presence(versions, seen, signals, now)
    done = [
        _assess(version, seen[version.pk], present[version.pk], burns.get(version.slo_id, {}), now)
        for version in versions
    ]
    _write(done, standings, burns, signals, now)


@dataclass(frozen=True)
class Done:
    version: SloVersion
    seen: Seen
    presence: Presence
    found: Assessment


def _signals(
    versions: Sequence[SloVersion],
    standings: Mapping[int, Standing],
    places: Mapping[tuple[str, str, str], tuple[datetime | None, datetime | None]],
    now: datetime,
) -> dict[int, datetime | None]:
    """By version: when its freshness signal was seen last. What is known stays known in the standing."""
    lately = (
        last_signals(clock.to_ns(now - LOOK)) if any(v.definition.measure.signal != "spans" for v in versions) else {}
    )
    out: dict[int, datetime | None] = {}
    for version in versions:
        measure = version.definition.measure
        place = (version.slo.client.slug, measure.system, measure.environment)
        if measure.signal == "spans":
            out[version.pk] = places.get(place, (None, None))[1]
            continue
        standing = standings.get(version.slo_id)
        kept = standing.facts.get("signal_at") if standing else None
        known = datetime.fromisoformat(kept) if kept else None
        fresh = clock.from_ns(lately[place]) if place in lately else None
        out[version.pk] = max((one for one in (known, fresh) if one is not None), default=None)
    return out


def _presence(
    versions: Sequence[SloVersion], seen: Mapping[int, Seen], signals: Mapping[int, datetime | None], now: datetime
) -> dict[int, Presence]:
    out, quiet = {}, []
    for version in versions:
        measure = version.definition.measure
        out[version.pk] = without_telemetry(signals[version.pk], now, measure.interval)
        if out[version.pk].kind != "no_telemetry" and measure.kind in (AVAILABILITY, LATENCY):
            had_some = any(one.total for one in seen[version.pk].buckets)
            quiet += [version] if seen[version.pk].silence() >= 600 and had_some else []
    gaps = usual_gaps(quiet, now) if quiet else {}
    for version in quiet:
        out[version.pk] = without_traffic(seen[version.pk].silence(), gaps[version.pk])
    return out


def _assess(version: SloVersion, seen: Seen, presence: Presence, open_burns: Mapping[str, Burn], now: datetime) -> Done:
    definition = version.definition
    given = Input(
        definition,
        definition.pairs_at(now),
        periods.seconds(definition.period, now),
        seen.read,
        seen.period(),
        seen.labelled,
        frozenset(open_burns),
        presence.kind == "no_telemetry",
    )
    return Done(version, seen, presence, assess(given))


# -- what comes of it --------------------------------------------------------------------------------------------


@transaction.atomic
def _write(
    done: Sequence[Done],
    standings: Mapping[int, Standing],
    burns: Mapping[int, Mapping[str, Burn]],
    signals: Mapping[int, datetime | None],
    now: datetime,
) -> None:
    findings = []
    for one in done:
        findings += _findings(one, burns.get(one.version.slo_id, {}))
        _note_burns(one, burns.get(one.version.slo_id, {}), now)
    watch.write(findings, now)
    fresh: list[Standing] = []
    known: list[Standing] = []
    for one in done:
        row = standings.get(one.version.slo_id)
        (known if row else fresh).append(_standing(one, row, signals[one.version.pk], now))
    Standing.objects.bulk_create(fresh)
    Standing.objects.bulk_update(known, STANDING, batch_size=200)


def _findings(one: Done, known: Mapping[str, Burn]) -> list[tuple[Scope, ObjectiveJudge, Finding]]:
    version, slo = one.version, one.version.slo
    measure = version.definition.measure
    scope = Scope(slo.client.slug, measure.system, measure.environment, route=measure.route or None)
    out = []
    for part, decision in one.found.decisions.items():
        severity = _severity(part, decision, slo, known.get(part))
        name = judge_of(slo, part)
        said = f"{slo}: {decision.said}"
        evidence = facts(decision, version.definition, slo.name, version.number)
        burning = one.found.burn
        finding = Finding(
            name,
            decision.status,
            decision.reason,
            said,
            None if burning is None else float(burning),
            _threshold(decision),
            "burn",
            int(one.found.period.total),
            evidence,
        )
        out.append((scope, ObjectiveJudge(name, f"{TITLES[part]}: {slo}", severity), finding))
    out.append((scope, *_of_presence(one)))
    return out


def _severity(part: str, decision: Decision, slo: Slo, known: Burn | None) -> str:
    """While it burns it is not taken for less than it was: the fast pair's short window is the first to recover."""
    severity = severity_of(decision, slo.critical) if part == PAGE else "P3"
    return min(severity, known.severity) if known else severity


def _threshold(decision: Decision) -> float | None:
    found = decision.outcome
    return float(found.pair.factor) if found is not None and hasattr(found, "pair") else None


def _of_presence(one: Done) -> tuple[ObjectiveJudge, Finding]:
    slo = one.version.slo
    name, kind = judge_of(slo, "data"), one.presence.kind
    missing = kind in ("no_telemetry", "no_traffic")
    status = Status.BREACH if missing else Status.OK if kind == "present" else Status.NOT_ASSESSED
    said = one.presence.said or (
        "Events or other telemetry come." if kind == "present" else "There is no signal and no past to compare with."
    )
    judge = ObjectiveJudge(name, f"{TITLES['data']}: {slo}", _data_severity(one))
    return judge, Finding(name, status, kind if missing else f"telemetry_{kind}", f"{slo}: {said}")


def _data_severity(one: Done) -> str:
    """No telemetry weighs as much as the fast page; no traffic is a ticket, unless there always should be some."""
    slo = one.version.slo
    page = "P1" if slo.critical else "P2"
    return page if one.presence.kind == "no_telemetry" or slo.busy else "P3"


def _note_burns(one: Done, known: Mapping[str, Burn], now: datetime) -> None:
    """A burn begins with a breach and ends with ok; without data it stays open and says so."""
    kinds: dict[str, tuple[str, str, Mapping[str, Any]]] = {}
    for part, decision in one.found.decisions.items():
        told: Mapping[str, Any] = facts(decision, one.version.definition, one.version.slo.name, one.version.number)
        kinds[part] = (decision.status.value, _severity(part, decision, one.version.slo, known.get(part)), told)
    for kind in ("no_telemetry", "no_traffic"):
        missing = one.presence.kind == kind
        kinds[kind] = ("breach" if missing else "ok", _data_severity(one), {"said": one.presence.said})
    for kind, (status, severity, told) in kinds.items():
        row = known.get(kind)
        if status == "breach" and row is None:
            _begin(one.version, kind, severity, told, now)
        elif row is not None and status in ("ok", "warning"):
            _end(one.version, row, now)
        elif row is not None and severity < row.severity:
            row.severity = severity
            row.save(update_fields=["severity"])
        elif row is not None and (status == "not_assessed") != (row.silent_since is not None):
            row.silent_since = now if status == "not_assessed" else None
            row.save(update_fields=["silent_since"])


def _begin(version: SloVersion, kind: str, severity: str, told: Mapping[str, Any], now: datetime) -> None:
    row, made = Burn.objects.get_or_create(
        slo=version.slo,
        kind=kind,
        ended_at=None,
        defaults={"version": version, "severity": severity, "started_at": now, "facts": dict(told)},
    )
    if made:
        topic, client = f"slo/{version.slo_id}", version.slo.client.slug
        record(JUDGES, "slo.burn_started", topic, client, {"burn": row.pk, "kind": kind, **told})


def _end(version: SloVersion, row: Burn, now: datetime) -> None:
    row.ended_at, row.silent_since = now, None
    row.save(update_fields=["ended_at", "silent_since"])
    details = {"burn": row.pk, "kind": row.kind, "since": row.started_at.astimezone(UTC).isoformat()}
    record(JUDGES, "slo.burn_ended", f"slo/{version.slo_id}", version.slo.client.slug, details)


STANDING = (
    *("version", "state", "assessed_at", "left", "burn", "exhausted_in", "total", "bad", "partial", "provisional"),
    *("coverage", "facts"),
)


def _standing(one: Done, row: Standing | None, signal: datetime | None, now: datetime) -> Standing:
    found, version = one.found, one.version
    row = row or Standing(slo=version.slo)
    row.version, row.assessed_at = version, now
    row.state = one.presence.kind if one.presence.kind == "no_telemetry" else found.state
    row.left = None if found.left is None else float(found.left)
    row.burn = None if found.burn is None else float(found.burn)
    row.exhausted_in = None if found.exhausted_in is None else float(found.exhausted_in)
    row.total, row.bad, row.partial = float(found.period.total), float(found.period.bad), found.period.partial
    labelled = found.labelled
    row.provisional = bool(labelled and labelled.is_provisional)
    row.coverage = float(labelled.coverage) if labelled and labelled.coverage is not None else None
    row.facts = _facts(one, signal, now)
    return row


def _facts(one: Done, signal: datetime | None, now: datetime) -> dict[str, Any]:
    found, definition = one.found, one.version.definition
    target, labelled = definition.target, found.labelled
    day = one.seen.read(24 * HOUR)
    per_hour = float(day.total) / 24
    rate = healthy_rate(target, found.period.rate)
    coming = (
        expected(definition.pairs_at(now), target, float(f"{per_hour:.2g}"), float(f"{rate:.1g}")) if per_hour else None
    )
    return {
        "signal_at": signal.isoformat() if signal else None,
        "presence": one.presence.kind,
        "pairs": [
            {
                "label": outcome.pair.label,
                "severity": outcome.pair.severity,
                "long": short(outcome.pair.long),
                "short": short(outcome.pair.short),
                "factor": float(outcome.pair.factor),
                "threshold": float(outcome.pair.threshold(target)),
                "least_bad": outcome.pair.least_bad,
                "reason": outcome.reason,
                "long_total": float(outcome.long.total),
                "long_bad": float(outcome.long.bad),
                "short_total": float(outcome.short.total),
                "short_bad": float(outcome.short.bad),
                "burn_long": _float(burn(outcome.long, target)),
                "burn_short": _float(burn(outcome.short, target)),
                "partial": outcome.long.partial,
            }
            for outcome in found.outcomes
        ],
        "counts": [
            {
                "label": one.rule.label,
                "least_bad": one.rule.least_bad,
                "share": float(one.rule.share),
                "reason": one.reason,
                "total": float(one.counts.total),
                "bad": float(one.counts.bad),
            }
            for one in found.counted
        ],
        "labels": None
        if labelled is None
        else {
            "final": _float(labelled.final_counts.rate),
            "all": _float(labelled.counts.rate),
            "coverage": _float(labelled.coverage),
            "labelled": labelled.final + labelled.provisional,
            "of": labelled.of,
        },
        "per_hour": per_hour,
        "expected": None
        if coming is None
        else {"false_pages": coming.false_pages, "detection": coming.detection, "detected": coming.detected},
        "decisions": {part: decision.said for part, decision in found.decisions.items()},
    }


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
