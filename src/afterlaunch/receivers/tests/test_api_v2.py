from __future__ import annotations

import uuid
from typing import Any

import orjson

from afterlaunch.alerts.models import Silence
from afterlaunch.receivers.tests.conftest import House, basic


def call(house: House, path: str, key: str = "", method: str = "GET", body: Any = b"") -> tuple[int, Any]:
    answer = house.send(path, body, key, method)
    return answer.status, orjson.loads(answer.body) if answer.body.startswith((b"{", b"[")) else answer.body


def silence(**fields: Any) -> dict[str, Any]:
    return {
        "matchers": [{"name": "alertname", "value": "Sl.*", "isRegex": True}],
        "startsAt": "2026-03-03T10:00:00Z", "endsAt": "2026-03-03T12:00:00Z", "createdBy": "ada", "comment": "known",
        **fields,
    }  # fmt: skip


def test_alive_and_ready_need_no_key_and_the_rest_does(house: House) -> None:
    assert call(house, "/-/healthy")[0] == call(house, "/-/ready")[0] == 200
    for path in ("status", "alerts", "alerts/groups", "silences", "receivers"):
        assert call(house, f"/api/v2/{path}")[0] == 401
        assert call(house, f"/api/v2/{path}", house.token("viewer"))[0] == 200
        assert call(house, f"/api/v2/{path}", house.token("ingest"))[0] == 403
    assert call(house, "/api/v2/nonsense", house.token("viewer"))[0] == 404
    assert call(house, "/api/v2/status", house.token("viewer"), "PUT")[0] == 405
    answer = house.send("/api/v2/status", b"", method="GET", authorization=basic(house.token("viewer")))
    assert answer.status == 200 and orjson.loads(answer.body)["versionInfo"]["version"]


def test_the_key_of_an_integration_reads_and_silences_only_where_it_may(house: House) -> None:
    house.integration("prometheus")
    assert call(house, "/api/v2/alerts", house.keys["prometheus"])[0] == 403
    house.integration("prometheus", may_silence=True)
    assert call(house, "/api/v2/alerts", house.keys["prometheus"])[0] == 200
    assert call(house, "/api/v2/silences", house.keys["prometheus"], "POST", silence())[0] == 200


def test_alerts_are_listed_filtered_and_grouped_as_an_alertmanager_does(house: House) -> None:
    house.integration("prometheus", group_by=["alertname"])
    viewer = house.token("viewer")
    told = [{"labels": {"alertname": name, "job": job}} for name, job in (("Slow", "a"), ("Slow", "b"), ("Down", "a"))]
    house.send("/api/v2/alerts", told, house.keys["prometheus"])
    assert len(call(house, "/api/v2/alerts", viewer)[1]) == 3
    assert len(call(house, "/api/v2/alerts?filter=alertname%3D%22Slow%22&filter=job%3Da", viewer)[1]) == 1
    assert len(call(house, "/api/v2/alerts?filter%5B%5D=job%3D~%22.%2B%22", viewer)[1]) == 3
    assert call(house, "/api/v2/alerts?filter=%7B%7B", viewer)[0] == 400
    assert call(house, "/api/v2/alerts?active=perhaps", viewer)[0] == 400
    assert len(call(house, "/api/v2/alerts?receiver=prom.*", viewer)[1]) == 3
    assert call(house, "/api/v2/alerts?receiver=other", viewer)[1] == []
    grouped = call(house, "/api/v2/alerts/groups", viewer)[1]
    assert sorted((one["labels"]["alertname"], len(one["alerts"])) for one in grouped) == [("Down", 1), ("Slow", 2)]
    assert call(house, "/api/v2/alerts", house.token("admin", house.other))[1] == []
    assert call(house, "/api/v2/receivers", viewer)[1] == [{"name": "judges"}, {"name": "prometheus"}]


def test_silences_are_made_read_replaced_and_ended(house: House) -> None:
    house.integration("prometheus", group_wait=0)
    responder, viewer = house.token("responder"), house.token("viewer")
    assert call(house, "/api/v2/silences", viewer, "POST", silence())[0] == 403
    status, made = call(house, "/api/v2/silences", responder, "POST", silence())
    assert status == 200
    row = call(house, f"/api/v2/silence/{made['silenceID']}", viewer)[1]
    assert row["status"] == {"state": "active"} and row["matchers"][0]["isEqual"] is True
    assert row["createdBy"] == "ada, with responder"
    house.send("/api/v2/alerts", [{"labels": {"alertname": "Slow"}}], house.keys["prometheus"])
    house.go()
    (alert,) = call(house, "/api/v2/alerts", viewer)[1]
    assert alert["status"] == {
        "state": "suppressed", "silencedBy": [made["silenceID"]], "inhibitedBy": [], "mutedBy": [],
    }  # fmt: skip
    assert call(house, "/api/v2/alerts?silenced=false", viewer)[1] == []
    longer = silence(id=made["silenceID"], endsAt="2026-03-03T14:00:00Z")
    again = call(house, "/api/v2/silences", responder, "POST", longer)[1]["silenceID"]
    states = {row["id"]: row["status"]["state"] for row in call(house, "/api/v2/silences", viewer)[1]}
    assert states == {made["silenceID"]: "expired", again: "active"}
    assert len(call(house, "/api/v2/silences?filter=alertname%3D%22Sl.*%22", viewer)[1]) == 2
    assert call(house, f"/api/v2/silence/{again}", viewer, "DELETE")[0] == 403
    assert call(house, f"/api/v2/silence/{again}", house.token("admin", house.other), "DELETE")[0] == 404
    assert call(house, f"/api/v2/silence/{again}", responder, "DELETE")[0] == 200
    assert call(house, f"/api/v2/silence/{again}", responder, "DELETE")[0] == 409
    assert call(house, f"/api/v2/silence/{uuid.uuid4()}", viewer)[0] == 404
    assert call(house, "/api/v2/silence/x", viewer)[0] == 404


def test_silences_that_make_no_sense_are_refused(house: House) -> None:
    responder = house.token("responder")
    wrong: tuple[Any, ...] = (
        silence(matchers=[]), silence(endsAt=None), silence(endsAt="2026-03-03T09:00:00Z"), silence(comment=""),
        silence(matchers=[{"name": "a", "value": ".*", "isRegex": True}]), silence(matchers="x"), silence(id="x"),
        silence(matchers=[{"name": "a", "value": "(", "isRegex": True}]), silence(matchers=[{"value": "b"}]), [],
        silence(matchers=[{"name": "client", "value": "other"}]),
    )  # fmt: skip
    for bad in wrong:
        assert call(house, "/api/v2/silences", responder, "POST", bad)[0] in (400, 404), bad
    assert not Silence.objects.exists()


def test_somebody_of_several_clients_says_whose_alerts_are_silenced(house: House) -> None:
    from afterlaunch.accounts.actions import create_token
    from afterlaunch.ground.actors import automation

    everywhere = create_token(automation("test"), "x", "responder", None)[1]
    assert call(house, "/api/v2/silences", everywhere, "POST", silence())[0] == 400
    named = silence(matchers=[{"name": "client", "value": "other"}, {"name": "alertname", "value": "A"}])
    assert call(house, "/api/v2/silences", everywhere, "POST", named)[0] == 200
    assert Silence.objects.get().client == "other"
