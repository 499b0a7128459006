"""Counters, reservations and the ledger: by one hand, by many, and by hands that die."""

from __future__ import annotations

import multiprocessing
import os
import random
import sqlite3
import time
from collections import deque
from pathlib import Path
from zlib import crc32

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.gateway.spending.records import UNCONFIRMED, Held, Settled, Short, Wanted, asked_of
from afterlaunch.gateway.spending.store import Store

NOW = 1_000.0


def want(amount: int, limit: int | None = 1_000, budget: str = "b", counter: str = "") -> Wanted:
    return Wanted(budget, counter, 0, amount, limit)


def used(store: Store, budget: str = "b") -> tuple[int, int]:
    rows = [row for row in store.changed(0) if row["budget"] == budget]
    return sum(row["used"] for row in rows), sum(row["reserved"] for row in rows)


def exact(amount: int) -> Settled:
    return Settled({"b": amount}, "exact", b"{}")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "budgets.sqlite3")


def test_what_does_not_fit_is_refused_and_says_what_is_left(store: Store) -> None:
    assert store.reserve("c1", 1, [want(600)], NOW + 60, b"{}", NOW) == Held({"b": 400}, [])
    assert store.reserve("c2", 1, [want(500)], NOW + 60, b"{}", NOW) == Short(want(500), 400)
    assert store.settle("c1", 1, exact(550), NOW)
    assert store.reserve("c3", 1, [want(450)], NOW + 60, b"{}", NOW) == Held({"b": 0}, [])
    assert used(store) == (550, 450) and store.check() == []
    assert [row["refused"] for row in store.changed(0)] == [1]


def test_several_budgets_are_reserved_all_or_none(store: Store) -> None:
    wide, narrow = want(10, 1_000, "wide"), want(10, 5, "narrow")
    assert isinstance(store.reserve("c", 1, [wide, narrow], NOW + 60, b"{}", NOW), Short)
    assert used(store, "wide") == (0, 0) and store.check() == []


def test_settling_twice_changes_nothing_and_late_news_correct(store: Store) -> None:
    store.reserve("c", 1, [want(600)], NOW + 60, b"{}", NOW)
    assert store.expire(NOW + 59) == 0 and store.expire(NOW + 61) == 1 and store.expire(NOW + 61) == 0
    assert used(store) == (600, 0) and store.changed(0)[0]["unconfirmed"] == 600
    assert store.settle("c", 1, exact(250), NOW + 90)
    assert not store.settle("c", 1, exact(250), NOW + 91)
    assert used(store) == (250, 0) and store.changed(0)[0]["unconfirmed"] == 0 and store.check() == []


def test_what_lives_is_renewed(store: Store) -> None:
    store.reserve("c", 1, [want(600)], NOW + 60, b"{}", NOW)
    store.renew([("c", 1)], NOW + 120, NOW)
    assert store.expire(NOW + 61) == 0 and store.expire(NOW + 121) == 1


def test_more_than_was_reserved_is_kept_not_forgiven(store: Store) -> None:
    store.reserve("c", 1, [want(600)], NOW + 60, b"{}", NOW)
    store.settle("c", 1, exact(1_200), NOW)
    assert used(store) == (1_200, 0)
    assert store.reserve("d", 1, [want(1)], NOW + 60, b"{}", NOW) == Short(want(1), 0)


def test_a_budget_that_only_looks_counts_what_it_would_have_refused(store: Store) -> None:
    looks = Wanted("b", "", 0, 600, None, 1_000)
    assert store.reserve("c", 1, [looks], NOW + 60, b"{}", NOW) == Held({}, [])
    assert store.reserve("d", 1, [looks], NOW + 60, b"{}", NOW) == Held({}, ["b"])
    assert used(store) == (0, 1_200) and store.changed(0)[0]["refused"] == 1


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "expire", "unknown"]),
        st.integers(0, 5),
        st.integers(1, 2),
        st.integers(0, 700),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(DEEDS)
def test_whatever_happens_counters_are_what_the_ledger_says(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, int, int, int]]
) -> None:
    store, now = Store(tmp_path_factory.mktemp("s") / "b.sqlite3"), NOW
    for deed, call, attempt, amount in deeds:
        now += 1
        if deed == "reserve":
            found = store.reserve(f"c{call}", attempt, [want(amount)], now + 3, b"{}", now)
            assert not isinstance(found, Held) or sum(used(store)) <= 1_000 or not found.left
        elif deed == "expire":
            store.expire(now)
        else:
            state = "exact" if deed == "settle" else UNCONFIRMED
            store.settle(f"c{call}", attempt, Settled({"b": min(amount, 100)}, state, b"{}"), now)
        assert store.check() == []
    store.close()


def _cost(call: str) -> int:
    """What the provider counts for a call: 50 to 150."""
    return 50 + crc32(call.encode()) % 101


def _work(file: Path, seed: int, rounds: int, callers: int) -> None:
    """As a worker of the gateway does with so many calls under way; it may be killed at any moment. The provider notes
    what it has answered."""
    store, flushed = Store(file), time.monotonic()
    under_way: deque[str] = deque()

    def settle(call: str) -> None:
        store.settle_soon(call, 1, Settled({"b": _cost(call), "soft": 1}, "exact", b"{}"), time.time())

    provider = os.open(file.with_suffix(".answered"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(rounds):
        call, now = f"{seed}-{number}", time.time()
        asked = asked_of(call, 1, [want(150, 2_000_000), want(1, None, "soft")], now + 0.5, b"{}")
        found = store.take(asked, now) or store.reserve_all([asked], now)[0]
        while isinstance(found, Short) and found.may_come:
            store.recover(time.time())
            time.sleep(0.01)
            found = store.reserve_all([asked], time.time())[0]
        if isinstance(found, Short):
            break
        os.write(provider, f"{call}\n".encode())
        under_way.append(call)
        if len(under_way) >= callers:
            settle(under_way.popleft())
        if time.monotonic() - flushed > 0.01:
            store.flush(time.time())
            flushed = time.monotonic()
    for call in under_way:
        settle(call)
    store.close()


@pytest.mark.process
@pytest.mark.parametrize("callers", [1, 16])
def test_processes_that_are_killed_neither_overspend_nor_leave_anything_behind(tmp_path: Path, callers: int) -> None:
    """Every answer is charged, and to the unit what the provider counted, but for those of the moment of the kill."""
    many, file = multiprocessing.get_context("fork"), tmp_path / "budgets.sqlite3"
    Store(file).close()
    chance = random.Random(3)
    workers = [many.Process(target=_work, args=(file, seed, 100_000, callers)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for seed in range(4, 24):
        time.sleep(0.02)
        dead = chance.randrange(4)
        workers[dead].kill()
        workers[dead].join()
        workers[dead] = many.Process(target=_work, args=(file, seed, 100_000, callers))
        workers[dead].start()
    for worker in workers:
        worker.join(300)  # some seconds on a machine that has nothing else to do
        assert worker.exitcode == 0
    store = Store(file)
    store.recover(time.time())
    store.expire(time.time() + 1)
    assert store.check() == [] and used(store)[1] == 0 and used(store, "soft")[1] == 0
    assert 1_990_000 <= used(store)[0] <= 2_000_000 and not store.granted()
    with sqlite3.connect(file) as raw:
        assert raw.execute("select count(*) from reservation").fetchone() == (0,)
        rows = raw.execute("select call, state, holds from ledger").fetchall()
    charged = {call: (state, orjson.loads(holds)[0][4]) for call, state, holds in rows}
    answered = file.with_suffix(".answered").read_text().split()
    assert len(rows) == len(charged) and set(answered) <= set(charged)
    assert {call for call, (state, amount) in charged.items() if amount != _cost(call)} <= {
        call for call, (state, _) in charged.items() if state == UNCONFIRMED
    }
    assert len([1 for state, _ in charged.values() if state == UNCONFIRMED]) <= 20 * callers  # under way in killed ones
