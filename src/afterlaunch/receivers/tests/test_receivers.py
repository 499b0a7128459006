from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import OperationalError
from tests.real_input import real

from afterlaunch.alerts.models import Alert, RawEvent
from afterlaunch.changes.duties import note_told_changes
from afterlaunch.changes.models import Change
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import Page
from afterlaunch.oncall.models import Escalation
from afterlaunch.receivers.duties import forget_raw_events
from afterlaunch.receivers.integrations import Values, put_integration, remove_integration, send_test
from afterlaunch.receivers.keys import add_key, revoke_key
from afterlaunch.receivers.landing import body_of
from afterlaunch.receivers.models import Tally, ToldChange
from afterlaunch.receivers.tests.conftest import AT, MATE, OLGA, STRANGER, House, basic, newest_raw


def sample(name: str) -> Any:
    return json.loads(real("vectors/incidents/payload_samples.json").read_text())[name]["body"]


def down(**fields: Any) -> dict[str, Any]:
    labels = {"alertname": "InstanceDown", "instance": "db-1", "severity": "critical"}
    return {
        "status": "firing", "labels": labels, "annotations": {"summary": "db-1 is down"},
        "startsAt": "2026-03-03T09:59:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prom/graph", "fingerprint": "791cec13fcba0368", **fields,
    }  # fmt: skip


def webhook(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": "{}",
        "status": "firing",
        "alerts": list(alerts),
        "truncatedAlerts": 0,
        **fields,
    }


SAMPLES = (
    ("alertmanager_webhook_v4", "alertmanager", "/hooks/alertmanager"),
    ("grafana_webhook_v1_grafana12", "grafana", "/hooks/grafana"),
    ("alertmanager_v2_post_alerts", "prometheus", "/api/v2/alerts"),
    ("pagerduty_events_v2_trigger", "pagerduty", "/v2/enqueue"),
    ("pagerduty_change_event", "pagerduty", "/v2/change/enqueue"),
)


@pytest.mark.parametrize(("name", "kind", "path"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_every_published_body_is_taken_stored_and_mapped_also_twice(
    name: str, kind: str, path: str, house: House
) -> None:
    """Wire formats, acceptance 1."""
    house.integration(kind)
    if kind == "prometheus":
        house.clock.set(datetime(2026, 1, 1, 0, 1, tzinfo=UTC))  # while it fires
    body = sample(name)
    bodies = [body, body]
    if isinstance(body, dict):
        bodies.append({**body, "something_new": {"a": [1]}})
        optional = ("receiver", "client", "images", "links", "externalURL", "title")
        bodies.append({key: value for key, value in body.items() if key not in optional})
    for one in bodies:
        if kind == "pagerduty":
            one = {**one, "routing_key": house.keys["pagerduty"]}
        answer = house.send(path, one, house.keys[kind])
        assert answer.status in (200, 202), answer.body
    assert RawEvent.objects.filter(state="taken").count() == len(bodies)
    if "change" in name:
        assert ToldChange.objects.count() == 3
    else:
        assert Alert.objects.count() == 1
        assert Tally.objects.get().bodies == len(bodies)


def test_alertmanagers_webhook_opens_an_incident_and_ends_it(house: House) -> None:
    house.integration("alertmanager")
    key = house.keys["alertmanager"]
    assert house.send("/hooks/alertmanager", webhook(down()), key).status == 200
    house.go()
    incident = Incident.objects.get()
    assert incident.severity == "P1" and incident.title == "InstanceDown: Support, prod"
    assert incident.occurred_at is not None and incident.occurred_at.microsecond == 123456
    over = down(status="resolved", endsAt="2026-03-03T10:01:00Z")
    for _ in range(2):  # twice, as replicas do
        assert house.send("/hooks/alertmanager", webhook(over), key).status == 200
    house.go(400)
    assert Incident.objects.get().recovered_at == AT


def test_the_key_may_stand_in_the_address_and_is_kept_nowhere(house: House) -> None:
    house.integration("alertmanager")
    key = house.keys["alertmanager"]
    assert house.send(f"/hooks/alertmanager/{key}", webhook(down())).status == 200
    assert key not in newest_raw().path and "authorization" not in newest_raw().headers
    assert house.send("/hooks/alertmanager", webhook(down()), authorization=basic(key)).status == 200


def test_wrong_keys_open_nothing_and_a_new_key_goes_beside_the_old(house: House) -> None:
    integration = house.integration("alertmanager")
    house.integration("grafana", options={"acceptReplay": True})
    old = house.keys["alertmanager"]
    row, new = add_key(OLGA, integration)
    for secret in (old, new):
        assert house.send("/hooks/alertmanager", webhook(down()), secret).status == 200
    for secret in ("", "ali_0000", old[:-1], house.keys["grafana"], house.token("admin")):
        answer = house.send("/hooks/alertmanager", webhook(down()), secret)
        assert answer.status == 401 and ("www-authenticate", 'Basic realm="Afterlaunch"') in answer.headers
    for actor in (MATE, STRANGER):
        with pytest.raises(NotAllowed):
            revoke_key(actor, row)
        with pytest.raises(NotAllowed):
            add_key(actor, integration)
    revoke_key(OLGA, row)
    assert house.send("/hooks/alertmanager", webhook(down()), new).status == 401
    remove_integration(OLGA, integration)
    assert house.send("/hooks/alertmanager", webhook(down()), old).status == 401


def test_bad_neighbours_are_named_and_the_good_are_kept(house: House) -> None:
    house.integration("alertmanager")
    bad = [down(labels={"a": 1}), down(status="odd"), down(startsAt="yesterday"), "x", down(labels={"a": ""})]
    answer = house.send("/hooks/alertmanager", webhook(*bad, down()), house.keys["alertmanager"])  # type: ignore[arg-type]
    assert answer.status == 400
    told = orjson.loads(answer.body)
    assert all(f"alerts[{n}]" in told["message"] for n in range(5)) and "1 alert was taken" in told["hint"]
    assert house.firing == ["InstanceDown"]
    raw = newest_raw()
    assert raw.state == "unparsed" and "alerts[1]" in raw.error and b"yesterday" in body_of(raw)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"version": "3", "alerts": []}', b'{"version":"4"}', b"\xff\xfe"])
def test_what_cannot_be_read_is_400_and_kept_to_be_looked_at(body: bytes, house: House) -> None:
    house.integration("alertmanager")
    answer = house.send("/hooks/alertmanager", body, house.keys["alertmanager"])
    assert answer.status == 400
    assert newest_raw().state == "unparsed" and body_of(newest_raw()) == body
    assert Tally.objects.get().error


def test_alerts_that_were_left_out_are_shown_and_end_nothing(house: House) -> None:
    house.integration("alertmanager")
    key = house.keys["alertmanager"]
    house.send("/hooks/alertmanager", webhook(down()), key)
    house.send("/hooks/alertmanager", webhook(truncatedAlerts=3), key)
    assert house.firing == ["InstanceDown"] and "left 3 alerts out" in newest_raw().error


def test_severities_and_systems_come_from_labels_as_the_integration_maps_them(house: House) -> None:
    System.objects.create(client=house.system.client, key="search", name="Search")
    System.objects.create(client=house.other, key="theirs", name="Theirs")
    house.integration(
        "alertmanager", system_label="service", environment_label="env", severity_label="prio",
        severities={"Wake-Me": "P1", "warning": ""},
    )  # fmt: skip
    for name, labels in {
        "a": {"service": "search", "env": "staging", "prio": "wake-me"},
        "b": {"service": "theirs", "prio": "warning"},
        "c": {"prio": "strange"},
        "d": {"prio": "info"},
        "e": {"severity": "critical"},
    }.items():
        one = down(labels={"alertname": name, **labels})
        assert house.send("/hooks/alertmanager", webhook(one), house.keys["alertmanager"]).status == 200
    found = {row.name: (row.system.key, row.environment, row.severity) for row in Alert.objects.all()}
    assert found["a"] == ("search", "staging", "P1")
    assert found["b"] == ("support", "prod", ""), "another client's system can't be named"
    assert found["c"] == ("support", "prod", "P2") and found["d"][2] == ""
    assert Alert.objects.get(name="e").severity_unknown


def test_prometheus_keeps_an_alert_alive_by_telling_it_again(house: House) -> None:
    house.integration("prometheus")
    key = house.keys["prometheus"]

    def told(**fields: Any) -> int:
        return house.send("/api/v2/alerts", [{"labels": {"alertname": "Slow", "x": ""}, **fields}], key).status

    assert told() == 200
    assert Alert.objects.get().labels == {"alertname": "Slow"}
    house.go(4 * 60)
    assert told(endsAt="2026-03-03T10:12:00Z") == 200
    house.go(4 * 60)
    assert house.firing == ["Slow"]
    house.go(5 * 60)
    assert Alert.objects.get().ended_because == "expired"
    assert told() == 200 and house.firing == ["Slow"]
    house.go(60)
    assert told(endsAt="2026-03-03T10:13:30Z") == 200 and house.firing == []


def test_as_an_alertmanager_the_valid_are_stored_though_others_are_bad(house: House) -> None:
    house.integration("prometheus")
    body = [
        {"labels": {}},
        {"labels": {"alertname": "A"}, "startsAt": "2026-03-03T10:00:00Z", "endsAt": "2026-03-03T09:00:00Z"},
        {"labels": {"alertname": "B"}, "annotations": {"x": 1}},
        {"labels": {"alertname": "Good"}},
    ]
    answer = house.send("/api/v2/alerts", body, house.keys["prometheus"])
    assert answer.status == 400 and house.firing == ["Good"]
    assert house.send("/api/v2/alerts", [], house.keys["prometheus"]).status == 200


def pagerduty(house: House, **fields: Any) -> tuple[int, Any]:
    payload = {"summary": "Disk full", "source": "db-1", "severity": "error"}
    event = {"routing_key": house.keys["pagerduty"], "event_action": "trigger", "dedup_key": "d1", "payload": payload}
    answer = house.send("/v2/enqueue", {**event, **fields})
    return answer.status, orjson.loads(answer.body)


def test_pagerduty_events_trigger_acknowledge_and_resolve(house: House) -> None:
    house.integration("pagerduty", group_wait=0)
    status, told = pagerduty(house)
    assert status == 202 and told == {"status": "success", "message": "Event processed", "dedup_key": "d1"}
    house.go()
    incident = Incident.objects.get()
    assert incident.severity == "P2" and Page.objects.count() == 1
    assert pagerduty(house, event_action="acknowledge", dedup_key="unknown")[0] == 202
    assert pagerduty(house, event_action="acknowledge")[0] == 202
    incident.refresh_from_db()
    assert incident.acknowledged_at is None, "a machine's word is no first response"
    assert Escalation.objects.get().reason == "acknowledged_by_machine"
    assert pagerduty(house, event_action="resolve")[0] == 202 and house.firing == []
    assert pagerduty(house, event_action="resolve", dedup_key="other")[0] == 202
    assert pagerduty(house)[0] == 202 and Alert.objects.count() == 2, "a trigger after a resolve opens a new one"
    raw = newest_raw()
    assert house.keys["pagerduty"].encode() not in body_of(raw)


def test_an_integration_that_relays_a_person_meets_the_clock(house: House) -> None:
    house.integration("pagerduty", group_wait=0, options={"relaysPerson": True})
    pagerduty(house)
    house.go()
    pagerduty(house, event_action="acknowledge")
    assert Incident.objects.get().acknowledged_at == AT


def test_pagerduty_events_that_are_wrong_say_why(house: House) -> None:
    house.integration("pagerduty")
    status, told = pagerduty(house, payload={"summary": "x", "severity": "fatal"})
    assert status == 400 and len(told["errors"]) == 2 and told["status"] == "invalid event"
    assert pagerduty(house, event_action="snooze")[0] == 400
    assert pagerduty(house, event_action="resolve", dedup_key=None)[0] == 400
    assert pagerduty(house, dedup_key="x" * 256)[0] == 400
    assert pagerduty(house, routing_key="wrong")[0] == 401 and pagerduty(house, routing_key=7)[0] == 400
    assert pagerduty(house, dedup_key=None)[1]["dedup_key"] != ""
    assert newest_raw().state == "taken" and RawEvent.objects.filter(state="unparsed").count() == 4


def test_a_change_event_is_a_change_that_was_observed_and_pages_nobody(house: House) -> None:
    house.integration("pagerduty")
    details = {"change_type": "prompt", "version_before": "v1", "version_after": "v2", "build": 7}
    body = {
        "routing_key": house.keys["pagerduty"],
        "payload": {"summary": "Prompt v2", "source": "ci", "timestamp": "2026-03-03T09:30:00+0000",
                    "custom_details": details},
        "links": [{"href": "https://ci.example/2"}],
    }  # fmt: skip
    for _ in range(2):
        assert house.send("/v2/change/enqueue", body).status == 202
    for _ in range(2):
        note_told_changes(clock.now())
    change = Change.objects.get()
    assert (change.kind, change.before, change.after) == ("prompt", {"version": "v1"}, {"version": "v2"})
    assert change.proposed_at == AT - timedelta(minutes=30) and change.state == "observed"
    assert not Alert.objects.exists() and house.send("/v2/change/enqueue", {**body, "payload": {}}).status == 400


@pytest.mark.parametrize(
    ("word", "kind"),
    [("Deployment", "deploy"), ("feature_flag", "flag"), ("retrieval-index", "index"), ("library", "dependency"),
     ("dataset", "data"), ("weather", "observed"), ("rollback", "observed")],
)  # fmt: skip
def test_what_a_change_event_says_it_is_is_understood(house: House, word: str, kind: str) -> None:
    house.integration("pagerduty")
    payload = {"summary": "x", "custom_details": {"change_type": word}}
    assert house.send("/v2/change/enqueue", {"routing_key": house.keys["pagerduty"], "payload": payload}).status == 202
    note_told_changes(clock.now())
    assert Change.objects.get().kind == kind


def grafana(house: House, body: object, stamp: int | None = None, secret: str = "", tail: bytes = b"") -> int:
    raw = orjson.dumps(body)
    signed = raw if stamp is None else f"{stamp}:".encode() + raw
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    headers = {"X_Grafana_Alerting_Signature": signature}
    if stamp is not None:
        headers["X_Time"] = str(stamp)
    return house.send(f"/hooks/grafana/{house.keys['public']}", raw + tail, **headers).status


def test_grafana_signs_with_a_time_and_a_replay_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = house.integration("grafana", options={"timestampHeader": "X-Time"})
    house.keys["public"] = integration.public_id
    row, secret = add_key(OLGA, integration, signing=True)
    _, second = add_key(OLGA, integration, signing=True)
    now = int(AT.timestamp())
    monkeypatch.setattr(clock, "real", lambda: AT.timestamp())
    body = {**webhook(down()), "version": "1"}
    assert grafana(house, body, now, secret) == 200 and grafana(house, body, now, second) == 200
    assert grafana(house, body, now - 299, secret) == 200
    for stamp in (now - 301, now + 301, 0):
        assert grafana(house, body, stamp, secret) == 401, "an old one is replayed"
    assert grafana(house, body, now, "ali_other") == 401
    assert grafana(house, body, now, secret, b" ") == 401, "one byte more"
    assert grafana(house, body, None, secret) == 401
    assert house.send("/hooks/grafana/unknown", b"{}").status == 401
    assert house.send("/hooks/grafana", body, house.keys["grafana"]).status == 200, "a bearer key is taken too"
    assert house.send("/hooks/grafana", body, secret).status == 401, "a signing secret never travels"
    revoke_key(OLGA, row)
    assert grafana(house, body, now, secret) == 401 and grafana(house, body, now, second) == 200


def test_grafana_without_a_time_needs_somebody_who_accepts_replays(house: House) -> None:
    integration = house.integration("grafana")
    house.keys["public"] = integration.public_id
    _, secret = add_key(OLGA, integration, signing=True)
    assert grafana(house, webhook(down(), version="1"), None, secret) == 401
    values = Values(kind="grafana", system="support", options={"acceptReplay": True})
    put_integration(OLGA, house.system.client, "grafana", values)
    assert grafana(house, webhook(down(), version="1"), None, secret) == 200


def test_grafanas_legacy_shape_and_its_silence_are_told_apart(house: House) -> None:
    house.integration("grafana", options={"noTelemetrySeverity": "P3"})
    key = house.keys["grafana"]
    legacy = house.send("/hooks/grafana", {"ruleId": 1, "evalMatches": [], "state": "alerting"}, key)
    assert legacy.status == 400 and b"legacy alerting" in legacy.body
    silent = down(labels={"alertname": "DatasourceNoData", "rulename": "Latency", "severity": "critical"}, values=None)
    body = webhook(silent, version="1", externalURL="https://g.example/", state="alerting")
    silent["generatorURL"] = "?orgId=1"
    assert house.send("/hooks/grafana", body, key, method="PUT").status == 200
    alert = Alert.objects.get()
    assert alert.severity == "P3" and alert.explanation.startswith("No telemetry of Latency")
    assert alert.url == "https://g.example/?orgId=1"
    odd = down(labels={"alertname": "V"}, values={"B": 22, "C": None})
    assert house.send("/hooks/grafana", webhook(odd, version="1"), key).status == 200
    assert Alert.objects.get(name="V").annotations["value C"] == "unknown"


def test_any_json_by_a_declared_mapping(house: House) -> None:
    mapping = {
        "items": "data.events", "name": "rule", "status": "state", "severity": "level", "summary": "text",
        "key": "id", "labels": {"host": 'tags."host.name"', "team": "=core"}, "firing": ["BAD"], "resolved": ["GOOD"],
    }  # fmt: skip
    house.integration("generic", options={"mapping": mapping})
    key = house.keys["generic"]
    event = {"rule": "Lag", "state": "BAD", "level": "high", "text": "9 s", "id": 7, "tags": {"host.name": "h1"}}
    assert house.send("/hooks/generic", {"data": {"events": [event]}}, key).status == 200
    alert = Alert.objects.get()
    assert alert.labels == {"alertname": "Lag", "host": "h1", "team": "core"} and alert.severity == "P2"
    odd = house.send("/hooks/generic", {"data": {"events": [{**event, "state": "UGLY"}, {"state": "BAD"}]}}, key)
    assert odd.status == 400 and b"items[0]" in odd.body and b"items[1]" in odd.body
    assert house.send("/hooks/generic", {"data": {"events": [{**event, "state": "GOOD"}]}}, key).status == 200
    assert house.firing == []
    for bad in ({"nonsense": "x"}, {"name": 3}, {"firing": "x"}, {"name": ""}):
        with pytest.raises(Invalid):
            values = Values(kind="generic", system="support", options={"mapping": bad})
            put_integration(OLGA, house.system.client, "generic", values)


def test_with_the_database_down_every_receiver_says_503_and_nothing_is_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wire formats, acceptance 3."""
    for kind in ("alertmanager", "prometheus", "pagerduty", "generic"):
        house.integration(kind)

    def send_all() -> list[Any]:
        trigger = {"routing_key": house.keys["pagerduty"], "event_action": "trigger", "dedup_key": "d",
                   "payload": {"summary": "s", "source": "x", "severity": "error"}}  # fmt: skip
        return [
            house.send("/hooks/alertmanager", webhook(down()), house.keys["alertmanager"]),
            house.send("/api/v2/alerts", [{"labels": {"alertname": "A"}}], house.keys["prometheus"]),
            house.send("/v2/enqueue", trigger),
            house.send("/hooks/generic", {"name": "G", "status": "firing"}, house.keys["generic"]),
        ]

    def broken(*_: object, **__: object) -> None:
        raise OperationalError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(RawEvent.objects, "create", broken)
        for answer in send_all():
            assert answer.status == 503 and dict(answer.headers)["retry-after"] == "10"
    assert not Alert.objects.exists()
    assert all(answer.status in (200, 202) for answer in send_all()) and Alert.objects.count() == 4


def test_a_test_event_from_the_page_is_stored_and_pages_nobody(house: House) -> None:
    integration = house.integration("alertmanager")
    for actor in (MATE, STRANGER):
        with pytest.raises(NotAllowed):
            send_test(actor, integration)
    send_test(OLGA, integration)
    house.go(60)
    alert = Alert.objects.get()
    assert alert.resolved_at is not None and not Incident.objects.exists()


def test_raw_bodies_are_kept_for_their_days_and_within_their_budget(house: House, settings: Any) -> None:
    house.integration("alertmanager")
    for _ in range(3):
        house.send("/hooks/alertmanager", webhook(down()), house.keys["alertmanager"])
    RawEvent.objects.filter(pk=RawEvent.objects.earliest("pk").pk).update(received_at=AT - timedelta(days=15))
    forget_raw_events(AT)
    assert RawEvent.objects.count() == 2
    RawEvent.objects.update(size=200 * 2**20)
    forget_raw_events(AT)
    assert RawEvent.objects.count() == 1 and Alert.objects.count() == 1


def test_declaring_integrations_asks_for_permission_and_sense(house: House) -> None:
    client = house.system.client
    for actor in (MATE, STRANGER):
        with pytest.raises(NotAllowed):
            put_integration(actor, client, "x", Values("generic", "support"))
    for name, bad in (
        ("<x>", Values("generic", "support")),
        ("x", Values("nagios", "support")),
        ("x", Values("generic", "unknown")),
        ("x", Values("sns", "support")),
        ("x", Values("sns", "support", options={"topics": ["arn:aws:sqs:x"]})),
        ("x", Values("generic", "support", severities={"a": "P7"})),
        ("x", Values("generic", "support", may_silence=True)),
        ("x", Values("generic", "support", options={"topics": []})),
        ("x", Values("generic", "support", repeat_interval=1)),
    ):
        with pytest.raises(Invalid):
            put_integration(OLGA, client, name, bad)
    row, made = put_integration(OLGA, client, "x", Values("generic", "support"))
    assert made and put_integration(OLGA, client, "x", Values("generic", "support")) == (row, False)
    with pytest.raises(Invalid):
        put_integration(OLGA, client, "x", Values("grafana", "support"))
