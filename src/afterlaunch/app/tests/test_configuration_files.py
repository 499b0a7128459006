"""The examples of docs/configuration.md are applied, exported and applied again; every bad field is named."""

import re
from pathlib import Path

import pytest
from django.db import transaction

from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.app.configuration.kinds import KINDS
from afterlaunch.contracts.labels import PROBE_AGENT
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import outbound
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.notify.models import ContactMethod
from afterlaunch.oncall.models import Override, ScheduleVersion
from afterlaunch.routes.models import CallerKey, Published

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
PAGE = Path(__file__).resolve().parents[4] / "docs" / "configuration.md"
SLACK = "https://hooks.slack.com/services/T0/B0/verysecret"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """All examples of the page as one file; the secrets that they refer to exist."""
    if not PAGE.exists():
        pytest.skip("the docs are not beside the package")
    monkeypatch.setenv("ADA_SLACK_WEBHOOK", SLACK)
    (tmp_path / "webhook").write_text("https://hooks.example.com/ada/verysecret\n")
    monkeypatch.setattr(outbound, "_resolve", lambda *_: ["203.0.113.7"], raising=False)
    monkeypatch.setattr("afterlaunch.notify.slack.sender.check_address", lambda _: None)
    monkeypatch.setattr("afterlaunch.notify.webhook.sender.check_address", lambda _: None)
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return "---\n".join(blocks).replace("/run/secrets/ada-webhook", str(tmp_path / "webhook"))


def the_key() -> CallerKey:
    """That of the examples, beside the one of golden prompts."""
    return CallerKey.objects.exclude(agent=PROBE_AGENT).get()


def test_the_page_has_an_example_of_every_kind(examples: str) -> None:
    assert {document.kind.name for document in parse(examples, "docs")} == {kind.name for kind in KINDS}


def test_the_examples_apply_once_and_a_second_time_change_nothing(examples: str) -> None:
    done = apply(LOCAL, parse(examples, "docs"))
    assert len(done) == len(parse(examples, "docs"))
    entries, epochs = Entry.objects.count(), Published.objects.count()
    assert apply(LOCAL, parse(examples, "docs")) == []
    assert (Entry.objects.count(), Published.objects.count()) == (entries, epochs)


def test_an_export_applied_to_an_empty_store_exports_the_same_bytes(examples: str) -> None:
    with transaction.atomic():
        apply(LOCAL, parse(examples, "docs"))
        text = to_yaml(export())
        transaction.set_rollback(True)
    assert export() == []
    apply(LOCAL, parse(text, "export"))
    assert to_yaml(export()) == text


def test_no_secret_is_exported(examples: str) -> None:
    done = apply(LOCAL, parse(examples, "docs"))
    told = [difference.secret for difference in done if difference.secret]
    text = to_yaml(export())
    assert any("/ping/" in one for one in told) and any(one.startswith("al_") for one in told)
    assert not any(one in text for one in [*told, the_key().digest, "verysecret"])
    assert "env:ADA_SLACK_WEBHOOK" in text and ContactMethod.objects.filter(address=SLACK).exists()


def test_a_dry_run_changes_nothing_and_tells_no_key(examples: str) -> None:
    done = apply(LOCAL, parse(examples, "docs"), dry_run=True)
    assert done and not any(difference.secret for difference in done)
    assert export() == [] and not Entry.objects.exists()


def test_lists_are_told_as_a_whole(examples: str) -> None:
    apply(LOCAL, parse(examples, "docs"))
    versions = ScheduleVersion.objects.count()
    fewer = re.sub(r"  overrides:.*?\n    - .*?\n", "  overrides: []\n", examples)
    fewer = re.sub(r"    - \{kind: slack.*\n", "", fewer)
    assert {done.kind for done in apply(LOCAL, parse(fewer, "docs"))} == {"Schedule", "Contacts"}
    assert Override.objects.get().cancelled_at and ScheduleVersion.objects.count() == versions
    assert not ContactMethod.objects.filter(kind="slack", removed_at=None).exists()


def test_an_altered_key_keeps_its_secret(examples: str) -> None:
    apply(LOCAL, parse(examples, "docs"))
    digest, before = the_key().digest, Entry.objects.filter(deed="caller_key.altered").count()
    (done,) = apply(LOCAL, parse(examples.replace('tenant: ""', "tenant: bakery"), "docs"))
    assert done.secret is None and (
        the_key().digest,
        the_key().tenant,
    ) == (
        digest,
        "bakery",
    )
    assert Entry.objects.filter(deed="caller_key.altered").count() == before + 1


@pytest.mark.parametrize(
    ("right", "wrong", "field", "allowed"),
    [
        ("timeZone: Europe/Berlin}\n---", "timeZone: Mars}\n---", "spec.timeZone", "IANA"),
        ("role: operator", "role: boss", "spec.roles", "one of ingest, viewer"),
        ("kind: slack", "kind: pigeon", "spec.methods", "kind of notification"),
        ("tier: enterprise", "tier: gold", "spec.tier", "standard, enterprise"),
        ("posture: governed", "posture: wild", "spec.posture", "pilot, governed"),
        ("latencyP95Ms: 1500", "latencyP95Ms: fast", "spec.latencyP95Ms", "whole number"),
        ("automaticRollback: true", "automaticRollback: 1", "spec.automaticRollback", "true or false"),
        ("owner: ada@acme.example", "owner: Ada", "spec.owner", "e-mail address"),
        ("start: 2026-03-02T09:00 ", "start: Monday ", "spec.layers: layers[0].rotation.start", "2026-03-02T09:00"),
        ("length: 1", "length: 99", "spec.layers: layers[0].rotation.length", "from 1 to 52"),
        ("advanceOn: active_period", "color: red", "spec.layers: layers[1].rotation", "advanceOn"),
        ("days: [mon,", "days: [someday,", "spec.layers: layers[1].windows[0]", "mon … sun"),
        ("to: 2099-12-27T08:00:00Z", "to: 2099-12-27T08:00:00", "spec.overrides", "with its zone"),
        ("      text: |  ", "      address: |  ", "calendars[0].address", "env:NAME"),
        ("to: 2100-01-02T08:00:00Z, people", "to: 2100-01-02T08:00:00, people", "layers[0].shifts[0].to", "no zone"),
        ("- from: 2099-12-30T08:00:00Z", "- from: 2099-12-30T08:00:00", "spec.temporary", "with their zone"),
        ("targets: [owner]", "targets: [everyone]", "spec.steps: steps[2].targets[0]", "{person: ADDRESS}"),
        ("delay: 300", "delay: 5", "spec.steps: steps[0].delay", "from 60"),
        ("severities: [P1, P2]", "severities: [P9]", "spec.steps: steps[1].conditions", "P1, P2, P3"),
        ("catchAll: [owner]", "catchAll: []", "spec.catchAll", "a list of targets"),
        ('credential: "env:OPENAI_API_KEY"', "credential: sk-secret", "spec.credential", "env:NAME"),
        ("timeoutSeconds: 120", "timeoutSeconds: 0", "spec.timeoutSeconds", "from 1"),
        ("unit: [session, user]", "unit: [planet]", "spec.unit", "session, user"),
        ("upstream: openai, model", "model", "spec.baseline", "upstream"),
        ("spec: {route: answers, routes", "spec: {routes", "spec.route", "text"),
        ("expires: 2099-01-01T00:00:00Z", "expires: never", "spec.expires", "with its zone"),
    ],
)
def test_a_bad_field_is_named_with_its_place_and_what_is_allowed(
    examples: str, right: str, wrong: str, field: str, allowed: str
) -> None:
    assert right in examples
    with pytest.raises(Invalid) as caught:
        parse(examples.replace(right, wrong), "site.yaml")
    said = caught.value.message + caught.value.hint
    assert field in said and allowed in said
    assert re.match(r"site\.yaml, line \d+, [A-Z]\w+ \S+", said)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (
            "members: [ada@acme.example, ben",
            "members: [eve@acme.example, ben",
            "Team acme/platform: There is no person",
        ),
        ("{schedule: primary}", "{schedule: secondary}", "EscalationPolicy acme/production: .* has no schedule"),
        ("calendar: rota}", "calendar: rotor}", "Schedule acme/primary: .* fed by no calendar 'rotor'"),
        ("systems: [support]", "systems: [nothing]", "EscalationPolicy acme/production: .* has no system"),
        ("baseline: {upstream: openai", "baseline: {upstream: nowhere", "Route answers: There is no upstream"),
        ("spec: {route: answers", "spec: {route: nothing", "CallerKey acme/support desk: There is no route"),
        ("env:ADA_SLACK_WEBHOOK", "env:NOT_SET_ANYWHERE", "Contacts ada@acme.example: The environment variable"),
        ('address: "env:ADA_SLACK_WEBHOOK"', f'address: "{SLACK}"', r"methods\[1\].address"),
        (
            "metadata: {client: acme, name: production}",
            "metadata: {client: b, name: production}",
            "there is no client|no client",
        ),
    ],
)
def test_what_does_not_fit_what_is_there_is_named_and_nothing_is_done(
    examples: str, right: str, wrong: str, says: str
) -> None:
    assert right in examples
    with pytest.raises(AfterlaunchError, match=says) as caught:
        apply(LOCAL, parse(examples.replace(right, wrong), "site.yaml"))
    assert caught.value.message.startswith("site.yaml, line ")
    assert export() == []


def test_a_thing_that_stands_twice_is_refused(examples: str) -> None:
    with pytest.raises(Invalid, match="is there twice"):
        apply(LOCAL, [*parse(examples, "a.yaml"), *parse(examples, "b.yaml")])
