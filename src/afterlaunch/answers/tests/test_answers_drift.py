"""From stored spans to the verdict: hours are described, a reference is learnt or chosen, and answers that change are
found, on both engines."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.answers import duties, references
from afterlaunch.answers.models import Hour, Reference
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals.tables import prepare
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.verdicts.models import Verdict

FIRST = datetime(2026, 3, 2, tzinfo=UTC)
RESOURCE = {"service.name": "desk", "deployment.environment.name": "prod"}
_SAID = "the order was shipped yesterday and it will arrive at your house on a sunny day next week"
WORDS = _SAID.split()
ME = automation("test")


def answer(dice: random.Random, sorry: float = 0.05, longer: float = 1.0, words: Sequence[str] = WORDS) -> str:
    if dice.random() < sorry:
        return "I'm sorry, but I can't help with that."
    return " ".join(dice.choices(words, k=int(dice.lognormvariate(3, 0.4) * longer)))


@pytest.fixture
def opened(place: Path | str, db: None) -> Iterator[store.Store]:
    made = store.open_store(place)
    prepare(made)
    yield made
    store.close_store()


@pytest.fixture
def desk(opened: store.Store) -> System:
    client = Client.objects.create(slug="acme", name="Acme", created_at=FIRST)
    return System.objects.create(client=client, key="desk", name="Desk")


def send(opened: store.Store, at: datetime, count: int, seed: int, content: bool = True, **told: Any) -> None:
    """Calls of one hour, one commit; each with a question and an answer."""
    dice = random.Random(seed)
    spans = []
    for number in range(count):
        more: dict[str, Any] = {"gen_ai.prompt.version": "v2" if number % 2 else "v1"}
        if content:
            asked = [{"role": "user", "parts": [{"type": "text", "content": "When was my order shipped?"}]}]
            said = [{"role": "assistant", "parts": [{"type": "text", "content": answer(dice, **told)}]}]
            more |= {"gen_ai.input.messages": orjson.dumps(asked).decode()}
            more |= {"gen_ai.output.messages": orjson.dumps(said).decode()}
        one = span(CALL | more, number=seed * 10_000 + number + 1, trace=seed * 10_000 + number + 1)
        one.start_time_unix_nano = clock.to_ns(at) + number * 10**9
        one.end_time_unix_nano = one.start_time_unix_nano + 10**9
        spans.append(one)
    opened.commit([normalise(body(*spans, resource=RESOURCE), PROTOBUF, "acme", 0).table])


CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.response.finish_reasons": ["stop"],
}


def look(now: datetime) -> Verdict:
    with clock.frozen(now):
        while duties.describe(now):
            pass
        duties.judge(now)
    return Verdict.objects.get(judge="drift.output", system="desk", environment="prod")


def day(opened: store.Store, number: int, per_hour: int = 100, **told: Any) -> None:
    """Six hours of a day."""
    for at in range(6):
        hour = FIRST + timedelta(days=number, hours=4 * at + 3)
        send(opened, hour, per_hour, number * 10 + at + 1, **told)


def test_a_model_that_begins_to_refuse_and_to_ramble_is_found(opened: store.Store, desk: System) -> None:
    day(opened, 0)
    verdict = look(FIRST + timedelta(days=1, hours=2))
    assert (verdict.status, verdict.reason, verdict.count) == ("not_assessed", "learning", 600)
    with clock.frozen(FIRST + timedelta(days=1, hours=2)):
        made = references.choose(ME, desk, "prod", FIRST, FIRST + timedelta(days=1))
    assert (made.version, made.answers) == (1, 600)
    assert sorted(made.parts.values_list("slice", "answers")) == [
        ("", 600),
        ("model:gpt-4o", 600),
        ("version:v1", 300),
        ("version:v2", 300),
    ]
    day(opened, 1)
    verdict = look(FIRST + timedelta(days=2, hours=2))
    assert (verdict.status, verdict.reason, verdict.count) == ("ok", "no_drift", 600)
    day(opened, 2, sorry=0.5, longer=2.0)
    verdict = look(FIRST + timedelta(days=3, hours=2))
    assert (verdict.status, verdict.severity) == ("breach", "P2")
    newest = Hour.objects.filter(slice="").latest("start")
    told = {one["name"]: one for one in newest.features}
    assert told["refusal"]["status"] == told["words"]["status"] == "breach"
    assert told["tokens"]["status"] == told["finish"]["status"] == "not_assessed"  # constant in both
    assert "refusal" in verdict.explanation or "characters" in verdict.explanation
    assert {one.status for one in Hour.objects.filter(start=newest.start)} == {"breach"}


def test_nothing_is_claimed_of_content_that_is_not_kept(opened: store.Store, desk: System) -> None:
    day(opened, 0, 25)
    look(FIRST + timedelta(days=1, hours=1))
    with clock.frozen(FIRST + timedelta(days=1, hours=2)):
        references.choose(ME, desk, "prod", FIRST, FIRST + timedelta(days=1))
    day(opened, 1, 25, content=False)
    verdict = look(FIRST + timedelta(days=2, hours=2))
    assert verdict.status == "not_assessed" and "None of the calls told what was answered." in verdict.explanation
    told = {one["name"]: one for one in Hour.objects.filter(slice="").latest("start").features}
    assert told["characters"]["reason"] == told["refusal"]["reason"] == "no_content"


def test_a_reference_is_learnt_of_the_first_week(opened: store.Store, desk: System) -> None:
    for number in range(8):
        send(opened, FIRST + timedelta(days=number), 80, number + 1)
    look(FIRST + timedelta(days=4))
    verdict = look(FIRST + timedelta(days=8))
    made = Reference.objects.get()
    assert (made.starts_at, made.ends_at) == (FIRST, FIRST + timedelta(days=7, hours=1))
    assert (made.answers, made.made_by) == (640, "answers.judge")
    assert verdict.reason == "first_day"


def test_calls_that_came_late_are_described_and_judged_again_and_nothing_counts_twice(
    opened: store.Store, desk: System
) -> None:
    day(opened, 0, 20)
    now = FIRST + timedelta(days=1, hours=2)
    look(now)
    before = bytes(Hour.objects.filter(slice="").earliest("start").profile)
    look(now + timedelta(minutes=1))
    assert bytes(Hour.objects.filter(slice="").earliest("start").profile) == before
    assert Hour.objects.filter(slice="").count() == 6
    send(opened, FIRST + timedelta(hours=3), 50, 99)
    look(now + timedelta(minutes=20))
    first = Hour.objects.filter(slice="").earliest("start")
    assert (first.calls, first.answers) == (70, 70) and Hour.objects.filter(slice="").count() == 6
