"""What workers may spend from memory: near the limit, when they die, when windows and limits change."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.contracts.budgets import Budget
from afterlaunch.gateway.spending.journal import left_behind
from afterlaunch.gateway.spending.lots import PART
from afterlaunch.gateway.spending.records import Asked, Held, Settled, Short, Wanted, asked_of
from afterlaunch.gateway.spending.store import IDLE_SECONDS, YOUNG_SECONDS, Store
from afterlaunch.gateway.tests.house import Canned, House, gateway_at, until
from afterlaunch.gateway.tests.test_budgets import ANSWER, BODY, budgeted, counter
from afterlaunch.gateway.tests.test_forwarding import call

NOW, LIMIT = 1_000.0, 320_000
PLENTY = LIMIT // PART  # what a worker is granted of a fresh budget, about


def want(amount: int, limit: int | None = LIMIT, budget: str = "b", start: int = 0) -> Wanted:
    return Wanted(budget, "", start, amount, limit)


def asked(call: str, *wanted: Wanted) -> Asked:
    return asked_of(call, 1, wanted, NOW + 60, b"{}")


def exact(amount: int) -> Settled:
    return Settled({"b": amount}, "exact", b"{}")


def stands(store: Store, budget: str = "b", start: int = 0) -> tuple[int, int]:
    """Used and reserved, as the file has it."""
    assert store.check() == []
    row = next((one for one in store.changed(0) if (one["budget"], one["window_start"]) == (budget, start)), None)
    return (row["used"], row["reserved"]) if row else (0, 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "budgets.sqlite3"


@pytest.fixture
def one(file: Path) -> Iterator[Store]:
    with closing(Store(file)) as store:
        yield store


@pytest.fixture
def other(file: Path) -> Iterator[Store]:
    with closing(Store(file)) as store:
        yield store


def warm(store: Store, *wanted: Wanted, name: str = "warm") -> None:
    """The first call of a worker asks the file and leaves a grant."""
    assert isinstance(store.reserve_all([asked(name, *wanted)], NOW)[0], Held)
    store.settle_soon(name, 1, exact(0), NOW)


def kill(store: Store) -> None:
    """Its lock goes, as when a process ends; what it said stays."""
    assert store._journal is not None
    store._journal._map.close()
    os.close(store._journal._descriptor)


def test_calls_within_a_grant_leave_the_file_alone_until_they_are_flushed(one: Store, other: Store) -> None:
    assert one.take(asked("c0", want(10)), NOW) is None
    warm(one, want(10))
    one.flush(NOW)
    assert one.take(asked("c1", want(10)), NOW) == Held({"b": LIMIT - 10}, [])
    assert one.take(asked("c2", want(20)), NOW) == Held({"b": LIMIT - 30}, [])
    one.settle_soon("c1", 1, exact(7), NOW)
    assert stands(other) == (0, 0) and 0 < other.granted()["b", "", 0] <= PLENTY
    one.flush(NOW)
    assert stands(other) == (7, 0)  # what is young is covered by the grant
    assert one.take(asked("c3", want(1)), NOW) == Held({"b": LIMIT - 28}, [])
    one.flush(NOW + YOUNG_SECONDS)
    assert stands(other) == (7, 21) and not other.granted()


def test_a_grant_that_nobody_uses_goes_back(one: Store, other: Store) -> None:
    warm(one, want(10))
    one.flush(NOW + IDLE_SECONDS / 2)
    assert one.holding and other.granted()
    one.flush(NOW + IDLE_SECONDS * 1.5)
    assert not one.holding and not other.granted()
    assert one.take(asked("c", want(1)), NOW) is None


def test_a_young_reservation_is_never_anybody_elses(one: Store, other: Store) -> None:
    """Though the file does not know of it: it counts against the limit here and there, and outlives its grant."""
    warm(one, want(10))
    one.take(asked("c", want(9_000)), NOW)
    one.flush(NOW + IDLE_SECONDS * 2)
    assert stands(other) == (0, 0) and other.granted() == {("b", "", 0): 9_000}
    assert isinstance(other.reserve_all([asked("d", want(LIMIT - 8_999))], NOW)[0], Short)
    assert isinstance(one.reserve_all([asked("d", want(LIMIT - 8_999))], NOW)[0], Short)
    assert other.reserve_all([asked("d", want(LIMIT - 9_000))], NOW) == [Held({"b": 9_000}, [])]
    one.settle_soon("c", 1, exact(9_000), NOW)
    one.flush(NOW + IDLE_SECONDS * 2)
    assert stands(other) == (9_000, LIMIT - 9_000) and not other.granted()


def test_stopping_gives_back_and_leaves_no_journal(file: Path, other: Store) -> None:
    with closing(Store(file)) as store:
        warm(store, want(10))
        store.take(asked("c", want(10)), NOW)
        store.settle_soon("c", 1, exact(4), NOW)
    assert stands(other) == (4, 0) and not other.granted()
    assert not list(file.with_suffix(".journals").iterdir())


def test_two_workers_share_a_limit_to_the_last_unit(one: Store, other: Store) -> None:
    """Neither what one holds nor what it has not told yet is spent twice, and no unit is out of reach."""
    both, spent, now = (one, other), 0, NOW
    for number in range(100_000):
        now += 0.01
        store, call = both[number % 2 if number < 200 else 0], asked(f"c{number}", want(977))
        found = store.take(call, now) or store.reserve_all([call], now)[0]
        if isinstance(found, Short) and found.may_come:  # the other one is idle meanwhile
            other.flush(now + 1)
            continue
        if isinstance(found, Short):
            break
        store.settle_soon(call.call, 1, exact(977), now)
        spent += 977
        if number % 7 == 0:
            store.flush(now)
    one.flush(now)
    other.flush(now)
    assert stands(other) == (spent, 0) and LIMIT - 977 < spent <= LIMIT


def test_near_the_limit_every_call_reserves_in_the_file(one: Store, other: Store) -> None:
    near = [want(10, 1_000)]
    assert one.reserve_all([asked("c1", *near)], NOW) == [Held({"b": 990}, [])]
    assert not one.holding and one.take(asked("c2", *near), NOW) is None
    assert stands(other) == (0, 10)


def test_several_limits_are_all_drawn_or_none(one: Store) -> None:
    wide, narrow = want(10, budget="b"), want(10, 15, budget="n")
    warm(one, wide)
    assert one.take(asked("c1", wide, narrow), NOW) is None
    assert isinstance(one.reserve_all([asked("c1", wide, narrow)], NOW)[0], Held)
    assert one.reserve_all([asked("c2", wide, narrow)], NOW) == [Short(narrow, 5)]
    assert stands(one) == (0, 10) and stands(one, "n") == (0, 10)


def test_a_window_that_begins_has_a_counter_and_a_grant_of_its_own(one: Store) -> None:
    """A call belongs to the window in which it was reserved, whenever it ends."""
    warm(one, want(10))
    one.take(asked("before", want(10)), NOW)
    assert one.take(asked("after", want(10, start=86_400)), NOW) is None
    assert one.reserve_all([asked("after", want(10, start=86_400))], NOW) == [Held({"b": LIMIT - 10}, [])]
    one.settle_soon("before", 1, exact(8), NOW)
    one.settle_soon("after", 1, exact(9), NOW)
    one.flush(NOW + 1)
    assert stands(one) == (8, 0) and stands(one, start=86_400) == (9, 0) and not one.granted()


def test_a_limit_that_is_lowered_holds_while_grants_are_out(one: Store, other: Store) -> None:
    warm(one, want(10))
    warm(other, want(10), name="w2")
    other.flush(NOW)
    one.take(asked("c1", want(90)), NOW)
    lowered = want(10, 95)
    assert one.take(asked("c2", lowered), NOW) is None
    found = one.reserve_all([asked("c2", lowered)], NOW)[0]
    assert isinstance(found, Short) and found.left == 5 and found.lent
    assert other.take(asked("c3", lowered), NOW) is None  # its callers see the new limit too
    assert isinstance(other.reserve_all([asked("c3", lowered)], NOW)[0], Short)
    assert stands(one) == (0, 0) and other.granted() == {("b", "", 0): 90}  # of the young one alone


def test_more_than_was_reserved_is_kept_and_ends_the_grant(one: Store) -> None:
    warm(one, want(10))
    one.take(asked("c", want(10)), NOW)
    one.settle_soon("c", 1, exact(LIMIT + 5), NOW)
    assert one.take(asked("d", want(1)), NOW) is None
    assert one.reserve_all([asked("d", want(1))], NOW) == [Short(want(1), 0)]
    assert stands(one) == (LIMIT + 5, 0)


def test_what_expired_meanwhile_is_corrected_not_charged_twice(one: Store, other: Store) -> None:
    warm(one, want(10))
    one.take(asked("c", want(10)), NOW)
    one.flush(NOW + YOUNG_SECONDS)
    assert other.expire(NOW + 61) == 1
    warm(one, want(10), name="again")
    one.take(asked("d", want(10)), NOW)
    one.settle_soon("c", 1, exact(3), NOW)
    one.settle_soon("d", 1, exact(4), NOW)
    one.flush(NOW)
    assert stands(other) == (7, 0)


def test_a_full_journal_asks_for_a_transaction(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afterlaunch.gateway.spending.journal.SIZE", 8192)
    monkeypatch.setattr("afterlaunch.gateway.spending.store.YOUNG_BYTES", 1024)
    warm(one, want(10))
    taken = [one.take(asked(f"c{number}", want(10)), NOW) for number in range(200)]
    assert 0 < taken.count(None) < 20
    assert stands(one)[1] > 1_000


def _die(file: Path, told: Any) -> None:
    store = Store(file)
    warm(store, want(10))
    store.flush(NOW)
    store.take(asked("written", want(100)), NOW)
    store.flush(NOW + YOUNG_SECONDS)
    warm(store, want(10), name="again")
    store.take(asked("young", want(30)), NOW)
    store.flush(NOW)
    for name, amount in (("settled", 7), ("open", 20)):
        store.take(asked(name, want(amount)), NOW)
    store.settle_soon("settled", 1, exact(6), NOW)
    store.settle_soon("written", 1, exact(90), NOW)
    told.put(os.getpid())
    time.sleep(60)


@pytest.mark.process
def test_a_killed_worker_loses_nothing_and_its_grant_comes_back_at_once(file: Path, one: Store) -> None:
    """Settled to the unit though the file knew nothing of it; what was under way stays reserved until it expires."""
    many = multiprocessing.get_context("fork")
    told = many.SimpleQueue()
    worker = many.Process(target=_die, args=(file, told))
    worker.start()
    process = told.get()
    assert one.recover(NOW) == 0 and stands(one) == (0, 100) and one.granted()["b", "", 0] > 30  # it lives
    os.kill(process, signal.SIGKILL)
    worker.join()
    assert one.recover(NOW) == 1 and one.recover(NOW) == 0
    assert stands(one) == (96, 50) and not one.granted()
    assert one.expire(NOW + 61) == 2 and stands(one) == (146, 0)


def test_a_journal_that_a_transaction_has_booked_is_not_booked_again(file: Path, one: Store) -> None:
    """Killed after the commit, before the journal began anew: what was under way then, and is too young for the file,
    stands where the new generation begins."""
    dead = Store(file)
    warm(dead, want(10))
    for name, amount in (("c", 10), ("young", 7)):
        dead.take(asked(name, want(amount)), NOW)
    dead.settle_soon("c", 1, exact(5), NOW)
    journal = dead._journal
    assert journal is not None
    journal.restart = lambda: None  # type: ignore[method-assign]
    dead.flush(NOW)
    kill(dead)
    assert one.recover(NOW) == 1 and stands(one) == (5, 7)
    with sqlite3.connect(file) as raw:
        assert raw.execute("select count(*) from ledger where call = 'c'").fetchone() == (1,)
    assert one.expire(NOW + 61) == 1 and stands(one) == (12, 0)


def test_who_is_killed_while_booking_a_journal_leaves_it_booked_once(file: Path, one: Store) -> None:
    dead = Store(file)
    warm(dead, want(10))
    dead.flush(NOW)
    dead.take(asked("young", want(7)), NOW)
    assert dead._journal is not None
    dead._journal.prepare([live.said for live in dead._fresh.values()])  # of a transaction that it did not live to end
    kill(dead)
    (left,) = left_behind(one._journals, "")
    one._recover(left, NOW)
    left.close(remove=False)
    assert stands(one) == (0, 7) and one.expire(NOW + 61) == 1 and stands(one) == (7, 0)
    assert one.recover(NOW + 62) == 1 and stands(one) == (7, 0)


def test_what_a_failed_transaction_prepared_is_forgotten(file: Path, one: Store) -> None:
    """Two calls were young when it failed; when the next one succeeded one of them was over."""
    dead = Store(file)
    warm(dead, want(10))
    for name in ("c1", "c2"):
        dead.take(asked(name, want(10)), NOW)
    journal = dead._journal
    assert journal is not None
    journal.prepare([live.said for live in dead._fresh.values()])
    dead.settle_soon("c2", 1, exact(5), NOW)
    dead.flush(NOW)
    kill(dead)
    assert one.recover(NOW) == 1 and stands(one) == (5, 10)


def test_a_record_half_written_ends_what_is_believed(file: Path, one: Store) -> None:
    dead = Store(file)
    warm(dead, want(10))
    dead.flush(NOW)
    dead.take(asked("c1", want(10)), NOW)
    journal = dead._journal
    assert journal is not None
    whole = journal._at
    dead.take(asked("c2", want(10)), NOW)
    journal._map[whole + 12] ^= 0xFF
    kill(dead)
    assert one.recover(NOW) == 1 and stands(one) == (0, 10)


LARGE = Budget("b1", "All", {"client": "acme"}, "requests", 10_000, "day")


def test_callers_meet_grants_without_noticing(gateway_house: House) -> None:
    """Several scopes at once; pages have it right within the flush."""
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    each = Budget("b2", "Each", {"tenant": "*"}, "tokens", 1 << 40, "month")
    watch = replace(LARGE, id="b3", mode="observe", limit=3)
    budgeted(gateway_house, LARGE, each, watch)
    with ThreadPoolExecutor(8) as many:
        found = list(many.map(lambda _: call(gateway_house, BODY, afterlaunch_tenant="t1"), range(40)))
    assert [one[0] for one in found] == [200] * 40
    assert min(int(one[1]["afterlaunch-budget-remaining"]) for one in found) == 9_960
    until(lambda: counter(gateway_house)["used"] == 40)
    assert counter(gateway_house, "b2")["used"] == 40 * 150 and counter(gateway_house, "b3")["refused"] == 37
    with closing(Store(gateway_house.gateway.budgets_file)) as store:
        until(lambda: not store.granted())


def test_a_limit_lowered_by_a_person_refuses_the_next_call(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, LARGE)
    assert [call(gateway_house, BODY)[0] for _ in range(5)] == [200] * 5
    budgeted(gateway_house, replace(LARGE, limit=6))
    assert [call(gateway_house, BODY)[0] for _ in range(3)] == [200, 429, 429]
    budgeted(gateway_house, replace(LARGE, limit=7))
    assert [call(gateway_house, BODY)[0] for _ in range(2)] == [200, 429]


def test_what_another_gateway_process_holds_is_waited_for(gateway_house: House, tmp_path: Path) -> None:
    """Two workers over one file: what the idle one holds comes back while the caller of the other waits."""
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, replace(LARGE, limit=300))
    assert call(gateway_house, BODY)[0] == 200
    with closing(Store(gateway_house.gateway.budgets_file)) as idle:
        until(lambda: not idle.granted())
        row = counter(gateway_house)
        want_all = Wanted("b1", "", row["window_start"], 1, 300)
        assert idle.reserve("w", 1, [want_all], time.time() + 60, b"{}", time.time())
        assert idle.granted()["b1", "", row["window_start"]] >= 8
        with sqlite3.connect(gateway_house.gateway.budgets_file) as raw:
            raw.execute("update counter set used = 295 - reserved")
        with ThreadPoolExecutor(1) as many:
            answer = many.submit(call, gateway_house, BODY)
            time.sleep(0.1)
            assert not answer.done()
            idle.flush(time.time() + 1)
            assert answer.result()[0] == 200


def test_a_gateway_that_starts_again_books_what_the_last_one_left(gateway_house: House, tmp_path: Path) -> None:
    file = tmp_path / "again" / "budgets.sqlite3"
    dead = Store(file)
    warm(dead, want(10))
    dead.take(asked("c", want(10)), NOW)
    dead.settle_soon("c", 1, exact(5), NOW)
    kill(dead)
    with gateway_at("http://127.0.0.1:9", tmp_path / "again"), closing(Store(file)) as store:
        until(lambda: stands(store) == (5, 0))
        assert not store.granted()
