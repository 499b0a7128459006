from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.real_input import real

from afterlaunch.ground.wall import first_instant, last_instant, start_of_date


def _rows(name: str) -> tuple[list[Any], ZoneInfo]:
    data = json.loads(real("vectors/incidents/goalert_clock.json").read_text())
    return data[name], ZoneInfo(data["tz"])


@pytest.mark.parametrize(("name", "find"), [("FirstOfDay", first_instant), ("LastOfDay", last_instant)])
def test_a_wall_time_becomes_the_published_instant(name: str, find: Any) -> None:
    rows, zone = _rows(name)
    for row in rows:
        hours, minutes = (int(part) for part in row["clock"].split(":"))
        local = datetime.fromisoformat(row["day"]).replace(tzinfo=None) + timedelta(hours=hours, minutes=minutes)
        assert find(local, zone) == datetime.fromisoformat(row["expect"]), row


def test_a_date_without_midnight_begins_at_its_first_instant() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    begins = start_of_date(datetime(2017, 10, 15).date(), zone)  # noqa: DTZ001 - a date is meant
    assert begins.astimezone(zone).isoformat() == "2017-10-15T01:00:00-02:00"
