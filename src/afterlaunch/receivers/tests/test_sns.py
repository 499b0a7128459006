from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from afterlaunch.alerts.models import Alert, RawEvent
from afterlaunch.ground import outbound
from afterlaunch.ground.errors import Unavailable
from afterlaunch.receivers import doors, sns
from afterlaunch.receivers.tests.conftest import AT, House
from afterlaunch.receivers.wire import Answer, Request

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(begin: datetime = AT - timedelta(days=1), end: datetime = AT + timedelta(days=1)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    made = made.serial_number(1).not_valid_before(begin).not_valid_after(end)
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Amazon:
    """What stands behind the addresses; every visit is noted."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        self.pem = certificate()

    def get(self, url: str) -> bytes:
        self.visits.append(url)
        return self.pem


def signed(message: dict[str, Any], version: str = "2") -> dict[str, Any]:
    whole = {"SigningCertURL": CERTIFICATE_URL, **message, "SignatureVersion": version}
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = KEY.sign(sns.signed_text(whole), padding.PKCS1v15(), algorithm)
    return {**whole, "Signature": base64.b64encode(signature).decode()}


def alarm(state: str = "ALARM", **fields: Any) -> str:
    told = {
        "AlarmName": "Lag", "AlarmArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:Lag",
        "AlarmDescription": "Replication lag", "AWSAccountId": "123456789012", "NewStateValue": state,
        "NewStateReason": "Threshold crossed", "StateChangeTime": "2026-03-03T09:59:00.000+0000",
        "Region": "EU (Frankfurt)", "Trigger": {"MetricName": "Lag", "Dimensions": [{"name": "Db", "value": "a"}]},
        **fields,
    }  # fmt: skip
    return orjson.dumps(told).decode()


def notification(text: str, number: int = 1, **fields: Any) -> dict[str, Any]:
    stamp = AT.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "Type": "Notification", "MessageId": f"m{number}", "TopicArn": TOPIC, "Subject": "ALARM", "Message": text,
        "Timestamp": stamp, **fields,
    }  # fmt: skip


class Door:
    def __init__(self, house: House, **options: Any) -> None:
        self.house, self.amazon = house, Amazon()
        self.fetch: sns.Fetch = self.amazon.get
        house.integration("sns", group_wait=0, options={"topics": [TOPIC], **options})

    def send(self, message: Any, header: str | None = None) -> Answer:
        kind = message.get("Type", "") if header is None and isinstance(message, dict) else header or ""
        headers = {"x-amz-sns-message-type": kind, "content-type": "text/plain"}
        path = f"/hooks/sns/{self.house.keys['sns']}"
        return doors.answer(Request("POST", path, headers, orjson.dumps(message)), self.fetch)


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_alarm_fires_and_ok_ends_it(version: str, house: House) -> None:
    door = Door(house, severityByAlarm={"Lag": "critical"})
    assert door.send(signed(notification(alarm()), version)).status == 200
    alert = Alert.objects.get()
    assert (alert.name, alert.severity, alert.explanation) == ("Lag", "P1", "Threshold crossed")
    assert alert.labels["dimension_Db"] == "a" and alert.started_at == AT - timedelta(minutes=1)
    assert door.send(signed(notification(alarm(), 1), version)).status == 200, "the same message again"
    assert Alert.objects.get().told == 1
    without = {key: value for key, value in notification(alarm("OK"), 2).items() if key != "Subject"}
    assert door.send(signed(without, version)).status == 200 and house.firing == []
    assert len(door.amazon.visits) == 1, "the certificate is kept"


def test_too_little_data_is_no_alarm_and_no_recovery(house: House) -> None:
    door = Door(house)
    door.send(signed(notification(alarm(), 1)))
    door.send(signed(notification(alarm("INSUFFICIENT_DATA"), 2)))
    assert sorted(Alert.objects.filter(resolved_at=None).values_list("severity", flat=True)) == ["P2", "P3"]
    door.send(signed(notification(alarm("OK"), 3)))
    assert house.firing == []


@pytest.mark.parametrize(("choice", "firing"), [("fire", ["Lag"]), ("ignore", [])])
def test_too_little_data_follows_the_setting(choice: str, firing: list[str], house: House) -> None:
    door = Door(house, insufficientData=choice)
    assert door.send(signed(notification(alarm("INSUFFICIENT_DATA")))).status == 200
    assert house.firing == firing


def test_a_subscription_is_confirmed_once_verified_and_only_at_amazon(house: House) -> None:
    door = Door(house)
    where = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    confirmation = notification("You have chosen", SubscribeURL=where, Token="t")
    confirmation["Type"] = "SubscriptionConfirmation"
    elsewhere = {**confirmation, "SubscribeURL": "https://evil.example/"}
    assert door.send(signed(elsewhere)).status == 401
    assert door.send({**signed(confirmation), "Token": "other"}).status == 401
    assert where not in door.amazon.visits
    assert door.send(signed(confirmation)).status == 200 and door.amazon.visits.count(where) == 1
    ended = {**confirmation, "Type": "UnsubscribeConfirmation"}
    assert door.send(signed(ended)).status == 200 and door.amazon.visits.count(where) == 1
    assert b"Token" not in landing_body() and "ended at Amazon" in RawEvent.objects.latest("pk").error


def landing_body() -> bytes:
    from afterlaunch.receivers.landing import body_of

    return body_of(RawEvent.objects.latest("pk"))


BAD_ADDRESSES = (
    "http://sns.eu-central-1.amazonaws.com/a.pem",
    "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
    "https://evil.example/sns.eu-central-1.amazonaws.com/a.pem",
    "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
    "https://user:x@sns.eu-central-1.amazonaws.com/a.pem",
    "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
    "https://sns.eu-central-1.amazonaws.com/a.txt",
    "https://snsXeu-central-1.amazonaws.com/a.pem",
    "https://sns.us-east-1.amazonaws.com/a.pem",
    "https://sns.eu-central-1.amazonaws.com\\@evil.example/a.pem",
    "https://sns.eu-central-1.amazonaws.com:x/a.pem",
    "https://sns.ab.amazonaws.com/a.pem",
    "ftp://sns.eu-central-1.amazonaws.com/a.pem",
    "",
)


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_nothing_is_fetched_from_an_address_that_is_not_the_topics_sns(address: str, house: House) -> None:
    """Wire formats, acceptance 4."""
    door = Door(house)
    message = signed(notification(alarm(), SigningCertURL=address))
    assert door.send(message).status in (400, 401)
    assert door.amazon.visits == [] and not Alert.objects.exists()


def test_whatever_was_changed_is_refused(house: House) -> None:
    door = Door(house)
    good = signed(notification(alarm()))
    for change in (
        {"Subject": "other"}, {"Message": alarm("OK")}, {"MessageId": "m9"}, {"Timestamp": "2026-03-03T09:59:00.000Z"},
        {"Signature": "AAAA"}, {"Signature": "not base64!"}, {"SignatureVersion": "3"}, {"SignatureVersion": "1"},
        {"TopicArn": TOPIC + "2"}, {"Type": "Other"}, {"Subject": 7}, {"Message": None},
    ):  # fmt: skip
        status = door.send({**good, **change}).status
        assert status in (400, 401, 403), change
    assert door.send({k: v for k, v in good.items() if k != "Subject"}).status == 401
    assert door.send(good, header="SubscriptionConfirmation").status == 400
    assert door.send(orjson.loads(alarm()), header="Notification").status == 400, "raw delivery has no signature"
    assert not Alert.objects.exists() and door.send(good).status == 200


def test_old_messages_and_certificates_out_of_their_time_are_refused(house: House) -> None:
    door = Door(house)
    for stamp in ("2026-03-03T08:59:00.000Z", "2026-03-03T10:16:00.000Z"):
        assert door.send(signed(notification(alarm(), Timestamp=stamp))).status == 400
    door.amazon, old = Amazon(), certificate(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    door.amazon.pem, door.fetch = old, door.amazon.get
    assert door.send(signed(notification(alarm()))).status == 401
    door.amazon = Amazon()
    door.amazon.pem, door.fetch = b"nonsense", door.amazon.get
    assert door.send(signed(notification(alarm()))).status == 401


def test_version_2_can_be_required_and_another_topic_never_comes_in(house: House) -> None:
    door = Door(house, signatureVersion2Only=True)
    assert door.send(signed(notification(alarm()), "1")).status == 400
    foreign = notification(alarm(), TopicArn="arn:aws:sns:eu-central-1:999999999999:alarms")
    assert door.send(signed(foreign)).status == 403 and door.amazon.visits == []


def test_another_publisher_on_the_topic_is_kept_to_be_looked_at(house: House) -> None:
    door = Door(house)
    for number, text in enumerate(("hello", "{}", "[1]", alarm("ODD"))):
        assert door.send(signed(notification(text, number))).status == 200
    assert RawEvent.objects.filter(state="unparsed").count() == 4 and not Alert.objects.exists()


def test_when_the_certificate_cannot_be_had_the_sender_comes_again(house: House) -> None:
    door = Door(house)

    def gone(_: str) -> bytes:
        raise Unavailable("no answer")

    door.fetch = gone
    assert door.send(signed(notification(alarm()))).status == 503


def test_the_guard_stands_before_every_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def get(url: str, *args: Any, **more: Any) -> Any:
        seen.append((url, more))
        return outbound.Document(302, {}, b"")

    monkeypatch.setattr(outbound, "get", get)
    with pytest.raises(Unavailable):
        sns.fetch(CERTIFICATE_URL)
    assert seen == [(CERTIFICATE_URL, {"private": False})]
