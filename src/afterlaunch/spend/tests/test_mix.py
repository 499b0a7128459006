"""A change of what calls are divided among is found at equal cost, and chance alone is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.ground import clock
from afterlaunch.spend.mix import ENOUGH, HOURS, LEAST, look
from afterlaunch.spend.mix_judging import judge
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.verdicts.models import Verdict

NOW = datetime(2026, 11, 20, 12, 15, tzinfo=UTC)
END = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORLDS = [
    # calls an hour, values, calls of a session, how steady shares are (0: wholly), spread of costs, rhythm
    (150, 4, 1, 0, 0.5, 0.0),
    (150, 4, 8, 0, 1.5, 0.0),
    (400, 5, 1, 100, 1.0, 0.3),
    (400, 10, 10, 30, 1.5, 0.5),
    (3000, 3, 3, 20, 2.0, 0.5),
    (400, 2, 20, 0, 1.5, 0.3),
]


def hours_of(world: tuple[int, int, int, int, float, float], hours: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Calls and cost by hour and value, of a system where nothing changes but by chance and by the clock."""
    calls, values, session, steady, spread, rhythm = world
    rng = np.random.default_rng(seed)
    day, night = rng.dirichlet(np.full(values, 1.5)), rng.dirichlet(np.full(values, 1.5))
    counted, paid = np.zeros((hours, values)), np.zeros((hours, values))
    for hour in range(hours):
        wave = 0.5 + 0.5 * np.sin(2 * np.pi * hour / 24)
        part = rhythm if hour // 24 % 7 >= 5 else rhythm * wave
        shares = day * (1 - part) + night * part
        if steady:
            shares = rng.dirichlet(shares * steady + 1e-9)
        sessions = max(1, int(calls * (0.3 + 0.7 * wave)) // session)
        for value in rng.choice(values, sessions, p=shares / shares.sum()):
            length = 1 + rng.poisson(session - 1) if session > 1 else 1
            counted[hour, value] += length
            paid[hour, value] += rng.lognormal(0, spread, length).sum()
    return counted, paid


def test_chance_sessions_drifting_shares_and_rhythms_are_no_change() -> None:
    looks = false = 0
    for world in WORLDS:
        for seed in range(2):
            counted, paid = hours_of(world, 24 * 21, seed)
            calls = counted.sum(axis=1)
            for end in range(HOURS, 24 * 21):
                for amounts in (counted, paid):
                    found = look(amounts[end - HOURS : end], calls[end - HOURS : end])
                    looks += found is not None
                    false += found is not None and found.sudden
    assert looks > 5_000 and false <= looks / 3_000, (false, looks)


def test_what_went_elsewhere_is_found_in_its_first_hour() -> None:
    found = 0
    for seed in range(20):
        counted, _ = hours_of((400, 4, 1, 300, 0.5, 0.2), HOURS, seed)
        largest = int(counted[-1].argmax())
        gone = counted[-1, largest] * 0.8
        counted[-1, largest] -= gone
        counted[-1, (largest + 1) % 4] += gone
        moved = look(counted, counted.sum(axis=1))
        assert moved is not None
        found += moved.sudden
    assert found >= 18


def test_little_is_not_assessed_and_a_small_change_is_none() -> None:
    even = np.full((HOURS, 2), 100.0)
    assert look(even, even.sum(axis=1)) is not None
    few = even.copy()
    few[-1] = 10
    assert look(few, few.sum(axis=1)) is None
    young = even.copy()
    young[:-40] = 0
    assert look(young, young.sum(axis=1)) is None
    small = even.copy()
    small[-1] = [130, 70]
    moved = look(small, small.sum(axis=1))
    assert moved is not None and not moved.sudden and moved.line == LEAST and moved.distance == pytest.approx(0.15)


@pytest.fixture
def store(tmp_path: Path, db: None) -> Iterator[Store]:
    yield stores.open_store(tmp_path / "t.duckdb")
    stores.close_store()


def tell(store: Store, shares: dict[str, int], hours: range, arm: str = "") -> None:
    """In each hour that ended so many hours before `END`, so many calls of each model; all cost the same."""
    spans = []
    for back in hours:
        for place, (model, calls) in enumerate(sorted(shares.items())):
            for number in range(calls):
                told = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
                told |= {"gen_ai.request.model": model, "gen_ai.agent.name": "triage"}
                told |= {"afterlaunch.arm": arm} if arm else {}
                unique = (back * 10 + place) * 1_000 + number + (10**7 if arm == "candidate" else 1)
                one = span({**told, "gen_ai.usage.cost": 0.01}, number=unique, trace=unique)
                at = END - timedelta(hours=back, minutes=-5)
                one.start_time_unix_nano, one.end_time_unix_nano = clock.to_ns(at), clock.to_ns(at) + 10**9
                spans.append(one)
    store.commit([normalise(body(*spans), PROTOBUF, "acme", 0).table])


def told_now() -> Verdict:
    with clock.frozen(NOW):
        judge(NOW)
    return Verdict.objects.get(judge="spend.mix")


def test_another_mix_of_models_at_equal_cost_says_what_drives_it(store: Store) -> None:
    with clock.frozen(NOW):
        tell(store, {"gpt-5": 90, "gpt-5-mini": 30}, range(2, 60))
        tell(store, {"gpt-5": 30, "gpt-5-mini": 90}, range(1, 2))
    verdict = told_now()
    assert (verdict.status, verdict.reason, verdict.system) == ("breach", "mix_changed", "desk")
    assert verdict.value == pytest.approx(0.5)
    assert "gpt-5-mini: 25.0% before, 75.0% now; gpt-5: 75.0% before, 25.0% now" in verdict.explanation
    assert {name: verdict.evidence[name] for name in ("gained", "lost", "dimension")} == {
        "gained": "gpt-5-mini", "lost": "gpt-5", "dimension": "model",
    }  # fmt: skip
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    with clock.frozen(NOW):
        page = browser.get("/spend").content.decode()
    assert "Sudden change of mix" in page and "gpt-5-mini: 25.0% before, 75.0% now" in page


def test_a_rollout_that_moves_the_shares_only_warns(store: Store) -> None:
    with clock.frozen(NOW):
        tell(store, {"gpt-5": 110}, range(2, 60))
        tell(store, {"gpt-5": 55}, range(1, 2), "baseline")
        tell(store, {"gpt-5-mini": 55}, range(1, 2), "candidate")
    verdict = told_now()
    assert (verdict.status, verdict.reason) == ("warning", "moved_by_rollout"), verdict.explanation


def test_each_hour_is_looked_at_once_and_silence_is_not_ok(store: Store) -> None:
    with clock.frozen(NOW):
        tell(store, {"gpt-5": ENOUGH}, range(1, 60))
    assert told_now().status == "ok"
    before = told_now().assessed_at
    assert told_now().assessed_at == before
    with clock.frozen(NOW + timedelta(hours=1)):
        judge(NOW + timedelta(hours=1))
    verdict = Verdict.objects.get(judge="spend.mix")
    assert (verdict.status, verdict.reason) == ("not_assessed", "too_few_calls")
