"""OpenSLO v1 in and out: what is read, what is refused and where, what an export gives back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import yaml

from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import NotAllowed
from afterlaunch.slo import asked
from afterlaunch.slo.actions import put_slo
from afterlaunch.slo.models import Declared, Slo, SloVersion
from afterlaunch.slo.openslo import reading, text
from afterlaunch.slo.openslo.exporting import documents, to_yaml
from afterlaunch.slo.openslo.importing import import_files
from afterlaunch.slo.openslo.problems import Findings, InvalidFile

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
FILE = """
apiVersion: openslo/v1
kind: Service
metadata: {name: support}
spec: {description: Answers questions, ticketQueue: SUP}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: answered}
spec:
  ratioMetric:
    bad: {metricSource: {type: Afterlaunch, spec: {kind: availability, system: support, route: chat}}}
    total: {metricSource: {type: Afterlaunch, spec: {kind: availability, system: support, route: chat, events: all}}}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: answers
  displayName: Answers
  annotations: {afterlaunch/critical: "true", example.org/wiki: there}
spec:
  description: People wait for them.
  service: support
  indicatorRef: answered
  timeWindow: [{duration: 1M, calendar: {startTime: 2024-01-01 09:00:00, timeZone: Europe/Berlin}}]
  budgetingMethod: Occurrences
  objectives:
    - {displayName: Promised, targetPercent: 99.5}
    - {displayName: Wished, target: 0.999}
  reviewBy: autumn
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: grounded}
spec:
  service: support
  indicator:
    metadata: {name: grounded-answers}
    spec:
      thresholdMetric:
        metricSource: {type: Afterlaunch, spec: {kind: quality, system: support, evaluation: groundedness}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: gte, value: 0.7, target: 0.9}]
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: p1}
      spec: {alertWhenBreaching: true, conditions: [COND1], notificationTargets: []}
    - kind: AlertPolicy
      metadata: {name: p2}
      spec: {alertWhenBreaching: true, conditions: [COND2], notificationTargets: []}
"""
CONDITION = (
    "{kind: AlertCondition, metadata: {name: %s, annotations: {afterlaunch/window-pair: one}}, spec: {severity: page,"
    " condition: {kind: burnrate, op: gt, threshold: 5, lookbackWindow: %s, alertAfter: 2m}}}"
)
FILE = FILE.replace("COND1", CONDITION % ("long", "1h")).replace("COND2", CONDITION % ("short", "5m"))


@pytest.fixture
def client() -> Client:
    note_sightings([Sighting("acme", "support", "prod")], clock.now())
    return Client.objects.get(slug="acme")


def load(content: str = FILE, **more: Any) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.change) for one in import_files(LOCAL, [(content, "a.yaml")], **more).changes]


def in_force() -> dict[str, Any]:
    return {one.slo.name: one.document for one in SloVersion.objects.filter(until=None, slo__removed_at=None)}


def test_each_objective_becomes_an_slo_with_its_indicator_period_and_pairs(client: Client) -> None:
    load()
    assert sorted(in_force()) == ["answers-promised", "answers-wished", "grounded"]
    promised, grounded = Slo.objects.get(name="answers-promised"), Slo.objects.get(name="grounded")
    assert (promised.title, promised.of, promised.critical, grounded.critical) == ("Promised", "answers", True, False)
    found = SloVersion.objects.get(slo=promised).definition
    assert (str(found.target), found.period.zone, found.period.start) == (
        "199/200",
        "Europe/Berlin",
        "2024-01-01T09:00:00",
    )
    assert (found.measure.kind, found.measure.route, found.pairs) == ("availability", "chat", None)
    (pair,) = SloVersion.objects.get(slo=grounded).definition.pairs or ()
    assert (pair.severity, pair.long, pair.short, pair.factor, pair.hold) == ("page", 3600, 300, Fraction(5), 120)


def test_importing_twice_changes_nothing_and_a_trial_changes_nothing_either(client: Client) -> None:
    assert len(load(dry_run=True)) == 4
    assert not Slo.objects.exists()
    load()
    assert load() == []
    assert SloVersion.objects.count() == 3
    assert load(FILE.replace("99.5", "99.4")) == [("SLO", "answers", "altered")]
    assert SloVersion.objects.filter(slo__name="answers-promised").count() == 2


def test_an_objective_that_is_taken_out_of_its_document_is_removed(client: Client) -> None:
    load()
    load(FILE.replace("    - {displayName: Wished, target: 0.999}\n", ""))
    assert sorted(in_force()) == ["answers", "grounded"]


def test_an_export_gives_back_what_was_imported_unknown_fields_included(client: Client) -> None:
    load()
    before = in_force()
    told = to_yaml(documents([client]))
    assert "ticketQueue: SUP" in told and "reviewBy: autumn" in told and "example.org/wiki: there" in told
    for model in (Slo, Declared):
        model.objects.all().delete()
    load(told)
    assert in_force() == before
    assert to_yaml(documents([client])) == told


def test_an_slo_made_in_a_form_survives_export_and_import(client: Client) -> None:
    wishes: list[dict[str, Any]] = [
        {"measure": {"kind": "availability", "system": "support", "outcome": "timeouts"}, "objective": "99.9 %"},
        {"measure": {"kind": "latency", "system": "support", "value": 800}, "objective": 0.95, "pairs": "usable"},
        {
            "measure": {"kind": "quality", "system": "support", "labels": ["good"], "sampling": 0.1},
            "objective": "0.9", "pairs": "usable",
        },
        {"measure": {"kind": "freshness", "system": "support", "value": 3600}, "objective": 0.99, "period": "28d"},
        {"measure": {"kind": "verdict", "system": "support", "judge": "quality.refusals"}, "objective": 0.99},
        {
            "measure": {"kind": "availability", "system": "support", "probes": "floor", "probeFloor": 40},
            "objective": 0.99, "method": "Timeslices", "slice_window": "1m", "slice_target": 0.95,
            "period": {"duration": "1M", "time_zone": "Europe/Berlin"},
        },
        {
            "measure": {"kind": "availability", "system": "support"}, "objective": 0.8,
            "pairs": [{"severity": "page", "name": "fast", "long": "1h", "short": "5m", "factor": 4.5, "least_bad": 7}],
        },
    ]  # fmt: skip
    for number, wish in enumerate(wishes):
        found = asked.read({"client": "acme", "name": f"slo-{number}", "period": "30d", **wish})
        put_slo(LOCAL, client, found.name, found.about, found.definition)
    before, told = in_force(), to_yaml(documents([client]))
    Slo.objects.all().delete()
    load(told)
    assert in_force() == before


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ("openslo/v1\nkind: Service", "openslo/v1alpha\nkind: Service", "apiVersion", "v1alpha"),
        ("kind: Service", "kind: Servant", "kind", "no kind"),
        ("  indicatorRef: answered\n", "", "spec.indicator", "missing"),
        ("indicatorRef: answered", "indicatorRef: other", "spec.indicatorRef", "no SLI"),
        ("targetPercent: 99.5", "targetPercent: 99.5, target: 0.9", "spec.objectives[0].target", "exactly one"),
        ("target: 0.999", "target: 0", "spec.objectives[1].target", "promises nothing"),
        ("target: 0.999", "target: 1", "spec.objectives[1].target", "below 1"),
        ("target: 0.999", "target: 0.9", "spec.objectives[1]", "can never fire"),
        ("target: 0.9}", "target: 0.9}, {op: gte, value: 1, target: 0.9}", "spec.objectives", "exactly one objective"),
        ("displayName: Wished", "compositeWeight: 2, displayName: Wished", "spec.objectives", "composite"),
        ("Europe/Berlin", "Europe/Nowhere", "spec.timeWindow[0].calendar.timeZone", "no IANA"),
        ("2024-01-01 09:00:00", "2024-01-01T09:00:00Z", "spec.timeWindow[0].calendar.startTime", "no zone"),
        ("duration: 28d", "duration: 28D", "spec.timeWindow[0].duration", "no duration"),
        ("lookbackWindow: 1h", "lookbackWindow: 1M", "condition.lookbackWindow", "no fixed length"),
        ("op: gt,", "op: lt,", "condition.op", "not read"),
        ("5, lookbackWindow: 5m", "6, lookbackWindow: 5m", "spec.alertPolicies", "two conditions"),
        ("evaluation: groundedness", "evaluatoin: x", "evaluatoin", "not known"),
        ("system: support, route: chat}}}\n    total", "system: support, bad: {}}}}\n    total", "bad", "not known"),
        ("budgetingMethod: Occurrences", "budgetingMethod: Timeslices", "objectives[0].timeSliceTarget", "missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_as_a_whole_and_named(
    client: Client, old: str, new: str, path: str, said: str
) -> None:
    assert old in FILE
    with pytest.raises(InvalidFile) as refused:
        load(FILE.replace(old, new))
    found = [one for one in refused.value.errors if path in one.where.path or path in str(one)]
    assert any(said in one.message for one in found), [str(one) for one in refused.value.errors]
    assert not Slo.objects.exists() and not Declared.objects.exists()


def test_events_of_elsewhere_are_kept_as_a_draft(client: Client) -> None:
    content = FILE.replace(
        "type: Afterlaunch, spec: {kind: quality, system: support, evaluation: groundedness}",
        "type: Datadog, spec: {query: x}",
    )
    found = import_files(LOCAL, [(content, "a.yaml")])
    assert Slo.objects.get(name="grounded").draft
    assert any("kept as a draft" in one.message for one in found.notices)


def test_two_conditions_without_the_annotation_are_a_pair_only_if_asked(client: Client) -> None:
    content = FILE.replace(", annotations: {afterlaunch/window-pair: one}", "")
    load(content)
    assert [(one["long"], one["short"]) for one in in_force()["grounded"]["pairs"]] == [(3600, 3600), (300, 300)]
    load(content.replace("28d", "30d"), join=True)
    assert [(one["long"], one["short"]) for one in in_force()["grounded"]["pairs"]] == [(3600, 300)]


def test_an_operator_imports_for_their_own_client_alone(client: Client) -> None:
    other = Client.objects.create(slug="globex", name="Globex", created_at=clock.now())
    mate, stranger = (
        Actor("person", "m", (Held(Role.RESPONDER, "acme"),)),
        Actor("person", "s", (Held(Role.OPERATOR, "globex"),)),
    )
    with pytest.raises(NotAllowed):
        import_files(mate, [(FILE, "a")], client)
    with pytest.raises(InvalidFile):
        import_files(
            stranger,
            [
                (
                    FILE.replace(
                        "metadata: {name: support}",
                        "metadata: {name: support, annotations: {afterlaunch/client: acme}}",
                    ),
                    "a",
                )
            ],
        )
    with pytest.raises(InvalidFile, match="whose SLO"):
        import_files(LOCAL, [(FILE, "a")])
    import_files(LOCAL, [(FILE, "a")], other)
    assert set(Slo.objects.values_list("client__slug", flat=True)) == {"globex"}


@pytest.mark.parametrize(
    "content",
    ["", "---\n---\n", "x", "[1]", "a: [", "apiVersion: openslo/v1", "? [1]\n: 2", "\x00", "a: &a [*a]", "{" * 5000],
)
def test_odd_text_is_told_and_never_breaks(content: str) -> None:
    findings = Findings()
    reading.read(text.documents(content, "odd.yaml", findings), findings)
    assert content in ("", "---\n---\n") or findings.errors


def test_what_yaml_makes_of_times_is_written_as_openslo_wants_it(client: Client) -> None:
    load()
    raw = Declared.objects.get(name="answers").raw
    assert raw["spec"]["timeWindow"][0]["calendar"]["startTime"] == "2024-01-01 09:00:00"
    assert yaml.safe_load(yaml.safe_dump(raw)) == raw


def test_merge_keys_that_multiply_are_refused_at_once() -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
    )
    findings = Findings()
    assert text.documents(bomb, "bomb.yaml", findings) == []
    assert "aliases" in findings.errors[0].message
