"""Buckets of requests and tokens, by one process and by several at once."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from afterlaunch.contracts.handling import Limits
from afterlaunch.gateway.limits import Buckets, Scope


def test_a_minutes_worth_and_then_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    buckets, scopes = Buckets(), [Scope("key", "key/k", Limits(requests=60))]
    assert [buckets.enter(scopes) for _ in range(60)] == [None] * 60
    refused = buckets.enter(scopes)
    assert refused is not None and (refused.what, refused.limit) == ("requests", 60)
    assert refused.wait == pytest.approx(1.0, abs=0.01)
    now[0] += 1.0
    assert buckets.enter(scopes) is None and buckets.enter(scopes) is not None
    now[0] += 60.0
    assert [buckets.enter(scopes) for _ in range(60)] == [None] * 60 and buckets.enter(scopes) is not None


def test_what_one_scope_refuses_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    buckets = Buckets()
    wide, narrow = Scope("key", "key/k", Limits(requests=10)), Scope("route", "route/r", Limits(requests=1))
    assert buckets.enter([wide, narrow]) is None
    for _ in range(100):
        refused = buckets.enter([wide, narrow])
        assert refused is not None and refused.scope is narrow
    assert [buckets.enter([wide]) for _ in range(9)] == [None] * 9 and buckets.enter([wide]) is not None


def test_tokens_are_paid_when_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    buckets, scopes = Buckets(), [Scope("tenant", "tenant/r/t", Limits(tokens=1_000))]
    assert buckets.enter(scopes) is None
    buckets.spend(scopes, 1_500)
    refused = buckets.enter(scopes)
    assert refused is not None and refused.what == "tokens" and refused.wait == pytest.approx(30.0)
    now[0] += 31.0
    assert buckets.enter(scopes) is None


def test_buckets_that_share_a_place_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    buckets = Buckets()
    scopes = [[Scope("tenant", f"tenant/{n}", Limits(requests=1))] for n in range(2_000)]
    assert all(buckets.enter(one) is None for one in scopes)
    assert all(buckets.enter(one) is not None for one in scopes)


def _enter(file: Path, tries: int, let_in: object) -> None:
    buckets, scopes = Buckets(file), [Scope("key", "key/k", Limits(requests=1_000_000))]
    scopes = [Scope("key", "key/k", Limits(requests=500))]
    let_in.put(sum(buckets.enter(scopes) is None for _ in range(tries)))  # type: ignore[attr-defined]


def test_workers_share_their_buckets(tmp_path: Path) -> None:
    many = multiprocessing.get_context("fork")
    let_in = many.Queue()
    workers = [many.Process(target=_enter, args=(tmp_path / "buckets", 400, let_in)) for _ in range(4)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    total = sum(let_in.get() for _ in workers)
    for worker in workers:
        worker.join()
    assert 500 <= total <= 500 + (time.monotonic() - began) * 500 / 60 + 1
