"""Whatever a stranger sends is answered, says whose fault it is, and harms no neighbour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.alerts.models import Alert
from afterlaunch.ground.errors import Invalid, NotSignedIn
from afterlaunch.receivers import sns
from afterlaunch.receivers.formats import alertmanager, cloudwatch, generic, pagerduty, prometheus
from afterlaunch.receivers.formats.shape import Parsed, document, instant
from afterlaunch.receivers.tests.conftest import House

NOW = datetime(2026, 3, 3, tzinfo=UTC)
WORDS = (
    "version", "4", "alerts", "status", "firing", "resolved", "labels", "annotations", "alertname", "severity",
    "startsAt", "endsAt", "0001-01-01T00:00:00Z", "2026-03-03T10:00:00Z", "9999-12-31T23:59:59-23:59", "payload",
    "summary", "source", "critical", "event_action", "trigger", "dedup_key", "custom_details", "NewStateValue", "OK",
    "ALARM", "INSUFFICIENT_DATA", "AlarmName", "Trigger", "Dimensions", "name", "values", "\x00", "", "externalURL",
    "http://[", "truncatedAlerts", "routing_key", "links", "href",
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS), st.text(max_size=30),
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), inner, max_size=6),
    ),
    max_leaves=40,
)
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)"
bodies = st.one_of(st.binary(max_size=60), anything.map(orjson.dumps))
FORMATS: dict[str, Callable[[Any], Parsed]] = {
    "alertmanager": alertmanager.parse,
    "grafana": alertmanager.parse_grafana,
    "prometheus": lambda body: prometheus.parse(body, NOW),
    "generic": lambda body: generic.parse(body, {}),
    "cloudwatch": lambda body: cloudwatch.parse(orjson.dumps(body).decode(), "no_telemetry", {}),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=anything)
def test_any_document_is_read_or_refused_in_words(name: str, body: Any) -> None:
    try:
        parsed = FORMATS[name](body)
    except Invalid as problem:
        assert problem.message
        return
    for told in parsed.alerts:
        assert told.name and all("\x00" not in one for pair in told.labels.items() for one in pair)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=anything)
def test_any_event_and_any_envelope_is_read_or_refused_in_words(body: Any) -> None:
    for read in (
        lambda: pagerduty.parse(body, "k"),
        lambda: pagerduty.parse_change(body),
        lambda: pagerduty.routing_key(body),
        lambda: sns.read(body, "Notification"),
        lambda: sns.check_address(body, "SigningCertURL", ".pem"),
        lambda: generic.checked(body),
    ):
        try:
            read()
        except (Invalid, NotSignedIn) as problem:
            assert problem.message


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_refused(raw: bytes) -> None:
    try:
        document(raw)
    except Invalid as problem:
        assert "JSON" in problem.message


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.from_regex(TIME)))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        at = instant(text, "startsAt")
    except Invalid:
        return
    assert at is None or at.tzinfo is UTC


def test_deep_nesting_is_refused_not_crashed(house: House) -> None:
    house.integration("alertmanager")
    deep = b'{"version":"4","alerts":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert house.send("/hooks/alertmanager", deep, house.keys["alertmanager"]).status == 400


PATHS = ("/hooks/alertmanager", "/hooks/grafana", "/hooks/generic", "/api/v2/alerts", "/v2/enqueue", "/hooks/sns")
KIND = {"/api/v2/alerts": "prometheus", "/v2/enqueue": "pagerduty"}
ALERT = {"status": "firing", "labels": {"alertname": "Good"}, "name": "Good"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), raw=bodies, key=st.booleans())
def test_every_door_answers_anything(path: str, raw: bytes, key: bool, house: House) -> None:
    kind = KIND.get(path, path.rpartition("/")[2])
    if kind not in house.keys:
        topics = {"topics": ["arn:aws:sns:eu-central-1:123456789012:alarms"]} if kind == "sns" else {}
        house.integration(kind, options=topics)
    answer = house.send(path, raw, house.keys[kind] if key else "")
    assert answer.status in (200, 202, 400, 401, 403)
    assert key or answer.status in (400, 401)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bad=st.lists(anything, max_size=6), place=st.integers(0, 6))
def test_a_good_alert_survives_any_neighbours(bad: list[Any], place: int, house: House) -> None:
    if "alertmanager" not in house.keys:
        house.integration("alertmanager")
    Alert.objects.all().delete()
    items = [*bad[:place], ALERT, *bad[place:]]
    house.send("/hooks/alertmanager", {"version": "4", "alerts": items}, house.keys["alertmanager"])
    assert Alert.objects.filter(name="Good", resolved_at=None).exists()
