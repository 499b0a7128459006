"""What people see of answers, and what they decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.answers import duties, folding
from afterlaunch.answers.folding import Described
from afterlaunch.answers.layouts import VERSION
from afterlaunch.answers.models import Hour
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.predictions import packed

FIRST = datetime(2026, 3, 2, tzinfo=UTC)


def signed_in(client: Browser, role: str) -> Browser:
    person = User.objects.create_user(f"{role}@example.org", role, password="long enough 1")
    Grant.objects.create(user=person, role=role)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def described(dice: np.random.Generator, longer: float = 1.0, refused: float = 0.03, sliced: bool = False) -> Described:
    words = dice.lognormal(3, 0.5) * longer
    values: dict[str, float | str] = {
        "characters": round(words * 5.5),
        "words": round(words),
        "tokens": round(words * 1.3),
        "language": str(dice.choice(["en", "de"], p=[0.8, 0.2])),
        "refusal": "yes" if dice.random() < refused else "no",
        "form": "not asked",
        "finish": "stop" if dice.random() < 0.95 else "length",
        "sentiment": float(dice.uniform(-1, 1)),
        "repetition": float(dice.beta(1, 20)),
        "like_question": float(dice.beta(2, 8)),
    }
    slices = {"version": "v2" if dice.random() < 0.5 else "v1"} if sliced else {}
    return Described(int(dice.integers(0, 2**63)), True, slices, values)


def hour(system: System, start: datetime, rows: list[Described]) -> None:
    for one in folding.fold(rows):
        Hour.objects.create(
            system=system, environment="prod", slice=one.slice, start=start, cells=VERSION, calls=len(rows),
            answers=one.answers, with_content=one.with_content, profile=packed.pack(one.profiles), described_at=start,
        )  # fmt: skip


def fill(
    system: System, days: int, changed_from: int = 10**6, per_hour: int = 70, every: int = 3, sliced: bool = False
) -> None:
    dice = np.random.default_rng(7)
    for at in range(0, 24 * days, every):
        factor = 1.6 if at >= 24 * changed_from else 1.0
        rows = [described(dice, factor, 0.03 * factor**4, sliced) for _ in range(per_hour)]
        hour(system, FIRST + timedelta(hours=at), rows)


def judge(now: datetime) -> None:
    with clock.frozen(now):
        for _ in range(2):
            duties.judge(now)


@pytest.fixture
def desk(db: None) -> System:
    client = Client.objects.create(slug="acme", name="Acme", created_at=FIRST)
    return System.objects.create(client=client, key="desk", name="Desk")


def test_empty_pages_say_what_to_send(desk: System, client: Browser) -> None:
    browser = signed_in(client, "viewer")
    address = f"/systems/{desk.pk}/answers"
    assert "gen_ai.output.messages" in browser.get(address).content.decode()
    assert browser.get(f"/api/v1{address}").json()["environments"] == []
    fill(desk, 1, per_hour=35)
    judge(FIRST + timedelta(days=1, hours=1))
    page = browser.get(address).content.decode()
    assert "280 answers so far, 500 are needed" in page and "Choose a period" not in page


def test_the_page_and_the_api_tell_what_changed(desk: System, client: Browser) -> None:
    fill(desk, 10, changed_from=9, sliced=True)
    judge(FIRST + timedelta(days=10, hours=1))
    browser, address = signed_in(client, "operator"), f"/systems/{desk.pk}/answers"
    page = browser.get(address).content.decode()
    for words in ("descriptors of answers changed", "<svg", "Reference 1", "version:v2", "refusals", "Choose another"):
        assert words in page, words
    told = browser.get(f"/api/v1{address}").json()["environments"][0]
    whole = told["slices"][0]
    assert (whole["slice"], whole["status"], told["reference"]["answers"]) == ("", "breach", 3_990)
    status = {one["name"]: one["status"] for one in whole["descriptors"]}
    assert status["words"] == "breach" and status["language"] == "ok" and status["like_context"] == "not_assessed"
    assert browser.get(f"{address}?slice=version:v2&of=words").status_code == 200
    for wrong in ("slice=version:v9", "of=nothing", "environment=none"):
        assert browser.get(f"{address}?{wrong}").status_code == 404


def test_a_period_becomes_the_reference_on_record(desk: System, client: Browser) -> None:
    fill(desk, 3)
    browser, address = signed_in(client, "operator"), f"/systems/{desk.pk}/answers/reference"
    given = {"environment": "prod", "start": "2026-03-02T00:00", "end": "2026-03-03T00:00"}
    with clock.frozen(FIRST + timedelta(days=2, hours=1)):
        assert browser.post(address, given).status_code == 302
        assert browser.post(address, given | {"end": "2026-03-02T03:00"}).status_code == 400
        assert browser.post(address, given | {"start": "2026-03-02T00:30"}).status_code == 400
        assert browser.post(address, given | {"end": "2026-03-09T00:00"}).status_code == 409
    judge(FIRST + timedelta(days=3, hours=1))
    assert "ok" in {one.status for one in Hour.objects.filter(slice="")}
    assert Entry.objects.filter(deed="answers.reference").count() == 1


def test_calm_answers_raise_nothing_for_three_weeks(desk: System) -> None:
    """With the promise of one false look in 1,000, on answers without any change."""
    fill(desk, 28, per_hour=80, every=12)
    for day in (8, 14, 21, 28):
        judge(FIRST + timedelta(days=day, hours=1))
    judged = Hour.objects.filter(slice="").exclude(judged_at=None)
    assert judged.count() > 35
    assert not judged.exclude(status="ok").exists()


def test_a_pass_without_anything_new_asks_little(desk: System, django_assert_max_num_queries: Any) -> None:
    fill(desk, 10, every=6, sliced=True)
    judge(FIRST + timedelta(days=10, hours=1))
    now = FIRST + timedelta(days=10, hours=2)
    with clock.frozen(now), django_assert_max_num_queries(14):
        duties.judge(now)
