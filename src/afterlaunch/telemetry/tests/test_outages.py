"""What fails as a whole: said when it begins, once a minute, and when it is over."""

from __future__ import annotations

import pytest

from afterlaunch.telemetry.outages import Outage


def test_an_outage_of_three_minutes(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    outage = Outage("it cannot be written")
    outage.works()
    for _ in range(180):
        outage.failed(OSError("no room"), 3)
        now += 1
    outage.works()
    outage.works()
    outage.failed(OSError("no room"), 1)
    assert [record.getMessage() for record in caplog.records] == [
        "it cannot be written (bodies: 3)",
        "it cannot be written, for 60 s, 61 tries of 183 bodies: OSError: no room",
        "it cannot be written, for 120 s, 121 tries of 363 bodies: OSError: no room",
        "over: it cannot be written, for 180 s, 180 tries of 540 bodies",
        "it cannot be written (bodies: 1)",
    ]
