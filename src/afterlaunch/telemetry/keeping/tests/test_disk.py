"""Room on the disk: the forecast, the warning, the closed door, and a disk that is really full."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.keeping.disk import Room, Watchman, forecast, growth_of, room_of
from afterlaunch.telemetry.keeping.tests.spans import body
from afterlaunch.telemetry.store import Store

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GB = 2**30


def sizes(*gigabytes: float) -> list[tuple[datetime, int]]:
    return [(NOW + timedelta(days=day), int(size * GB)) for day, size in enumerate(gigabytes)]


def test_growth_is_not_bent_by_one_clean_up() -> None:
    assert growth_of(sizes(1, 2, 3, 4, 1, 6, 7)) == GB
    assert growth_of(sizes(1)) is None


@pytest.mark.parametrize(
    ("used", "history", "state"),
    [
        (10, (8, 9, 10), "ok"),
        (90, (88, 89, 90), "warning"),
        (70, (64, 67, 70), "warning"),
        (70, (40, 55, 70), "breach"),
        (96, (96, 96, 96), "breach"),
        (96, (), "breach"),
        (10, (), "not_assessed"),
        (50, (60, 55, 50), "ok"),
    ],
)
def test_it_warns_before_it_is_full(used: float, history: tuple[float, ...], state: str) -> None:
    assert forecast(Room(int(used * GB), 100 * GB, 50 * GB), sizes(*history)).state == state


def test_without_a_budget_the_file_system_is_one() -> None:
    assert room_of(10 * GB, 2 * GB, 0, 5 * GB, GB) == Room(8 * GB, 14 * GB, 5 * GB)
    assert room_of(10 * GB, 2 * GB, 9 * GB, 50 * GB, GB).budget == 9 * GB


def test_the_door_closes_at_the_budget_and_opens_by_itself(tmp_path: Path) -> None:
    used = [50]
    watchman = Watchman(tmp_path, lambda: (used[0], 0), 100, 0)
    for held, full in ((50, False), (100, True), (99, False)):
        used[0] = held
        watchman.look()
        assert watchman.full is full
    watchman.full = True
    store = Store(Duck(tmp_path / "telemetry.duckdb"))
    buffer = Buffer(store, 2**20, admit=watchman.check)
    with pytest.raises(Unavailable) as told:
        buffer.reserve(1)
    assert told.value.retry_after >= 10 and buffer.held_bytes == 0
    buffer.close()
    store.close()


@pytest.mark.process
def test_a_full_disk_loses_nothing_acknowledged_and_recovers_by_itself(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(os.urandom(20 * 2**20))
    store = Store(Duck(small_disk / "telemetry.duckdb"))
    acknowledged, refused = 0, 0

    def send(number: int) -> bool:
        table = normalise(body(number * 200, 200), "application/x-protobuf", "north", clock.now_ns()).table
        try:
            store.commit([table])
        except Unavailable:
            return False
        return True

    number = 0
    while refused < 5:
        if send(number):
            acknowledged, number = acknowledged + 200, number + 1
        else:
            refused += 1
        assert number < 1_000
    (held,) = store.query("select count(*) as spans, count(distinct span_id) as different from spans")
    assert acknowledged <= held["spans"] == held["different"] <= acknowledged + 200
    ballast.unlink()
    for again in range(number, number + 3):  # the refused one first: as a sender would
        assert send(again)
    (held,) = store.query("select count(*) as spans, count(distinct span_id) as different from spans")
    assert held["spans"] == held["different"] == acknowledged + 600
    (sums,) = store.query("select sum(calls)::bigint as calls from sums_minute")
    (calls,) = store.query("select count(*) as calls from calls")
    assert sums["calls"] == calls["calls"] == held["spans"]
    store.close()
