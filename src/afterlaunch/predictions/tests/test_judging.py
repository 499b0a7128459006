"""Hours judged in order, once, and again when something came late; verdicts that alerts and incidents follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from afterlaunch.accounts.models import Grant, User
from afterlaunch.alerts.actions import work
from afterlaunch.alerts.models import Alert
from afterlaunch.app.judges import TITLES
from afterlaunch.estate.models import Dependency, System
from afterlaunch.incidents.models import Incident
from afterlaunch.predictions import duties, judging, rules
from afterlaunch.predictions.models import Batch, Hour, Part, Reference
from afterlaunch.predictions.tests.conftest import AT, House, lines, table
from afterlaunch.profiles.categories import fold as fold_categories
from afterlaunch.profiles.layouts import CategoryLayout, category_layout
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Finding, Scope, Status


def look(house: House, hour: int) -> Verdict:
    """Twenty minutes after the end of an hour."""
    house.clock.set(AT + timedelta(hours=hour + 1, minutes=20))
    duties.judge(house.clock.now())
    return Verdict.objects.get(judge="drift.input")


def states() -> list[tuple[Any, ...]]:
    rows = Hour.objects.order_by("start")
    return [(row.start, row.status, bytes(row.state or b""), orjson.dumps(row.features)) for row in rows]


def test_a_shift_warns_then_breaches_then_an_incident_follows_and_it_ends(house: House) -> None:
    house.reference()
    assert look(house, -2).reason == "no_hour_yet"
    for hour in range(6):
        house.send(hour)
        assert look(house, hour).status == "ok"
    told = Verdict.objects.get(judge="drift.input").evidence
    assert told["false_breaches_per_month"] == pytest.approx(0.7305, abs=0.001)  # once in 1,000 hours, all together
    assert told["false_warnings_per_month"] == pytest.approx(1.461, abs=0.002)
    house.send(6, shift=0.3)
    assert look(house, 6).status in ("warning", "breach")
    for hour in range(7, 12):
        house.send(hour, shift=0.3)
        found = look(house, hour)
        if found.status == "breach":
            break
    assert found.status == "breach" and found.reason == "drifted" and "age" in found.explanation
    assert "income" not in found.explanation.split(".")[0]
    house.send(hour + 1, shift=0.3)
    assert look(house, hour + 1).status == "breach"  # it is held while it lasts, though the detector began anew
    person = User.objects.create_user("o@example.org", "O", password="long enough 1")
    Grant.objects.create(user=person, role="admin")
    work(house.clock.now() + timedelta(minutes=5), {name: title for name, (title, _) in TITLES.items()})
    assert Alert.objects.get().name == "drift.input"
    assert Incident.objects.get().kind == "drift"
    for later in range(hour + 2, hour + 5):
        house.send(later)
        found = look(house, later)
    assert found.status == "ok"


def test_judging_again_changes_nothing_and_late_rows_replay_to_the_same_bytes(house: House) -> None:
    house.reference()
    for hour in range(5):
        if hour != 2:
            house.send(hour, shift=0.1)
        look(house, hour)
    early = states()
    look(house, 5)
    assert states() == early and len(early) == 4
    house.send(2, shift=0.1)  # two hours late
    look(house, 5)
    late = states()
    assert len(late) == 5 and late[:2] == early[:2] and late[3][2] != early[2][2]
    Hour.objects.update(due=True, state=None, profile=None, judged_at=None)
    look(house, 5)
    assert states() == late


def test_many_hours_are_judged_in_passes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    for hour in range(7):
        house.send(hour, rows=200)
    look(house, 7)
    whole = states()
    monkeypatch.setattr(duties, "AT_ONCE", 3)
    Hour.objects.filter(start=AT).update(due=True, state=None, profile=None)
    for _ in range(3):
        look(house, 7)
    assert states() == whole and not Hour.objects.filter(due=True).exists()


def test_what_comes_while_an_hour_is_judged_is_not_lost(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    house.send(0)
    real = duties._keep

    def meanwhile(*told: Any) -> None:
        monkeypatch.setattr(duties, "_keep", real)
        house.send(0, rows=50, seed=99)
        real(*told)

    monkeypatch.setattr(duties, "_keep", meanwhile)
    look(house, 0)
    assert Hour.objects.get().judged_at is None
    look(house, 0)
    assert Hour.objects.get().rows == 550


def test_thin_and_silent_hours_are_not_assessed(house: House) -> None:
    house.reference()
    house.send(0, rows=8)
    found = look(house, 0)
    assert found.status == "not_assessed" and found.reason == "too_little"
    assert look(house, 9).reason == "no_data"


def test_an_open_hour_is_not_judged(house: House) -> None:
    house.reference()
    house.send(0)
    house.clock.set(AT + timedelta(hours=1, minutes=10))
    duties.judge(house.clock.now())
    assert Hour.objects.get().judged_at is None


def test_a_column_that_is_not_sent_is_told(house: House) -> None:
    house.reference()
    rows = table(500, start=AT)
    for row in rows:
        del row["colour"]
    house.post("predictions", lines(rows), who="ingest")
    found = look(house, 0)
    assert found.status == "warning" and "colour" in found.explanation and "missing" in found.explanation


def test_a_version_of_the_model_has_a_state_of_its_own(house: House) -> None:
    house.reference()
    for version, seed in (("v1", 1), ("v2", 2)):
        rows = [{**row, "model_version": version} for row in table(400, seed, 0.4 if version == "v2" else 0.0)]
        house.post("predictions", lines(rows), who="ingest")
    found = look(house, 0)
    assert Hour.objects.count() == 2 and found.status in ("warning", "breach")
    assert found.explanation.startswith("Version v2")


def test_a_blessed_period_becomes_the_reference(house: House) -> None:
    house.reference()
    for hour in range(4):
        house.send(hour, shift=0.5)
        look(house, hour)
    period = {"from": AT.isoformat(), "to": (AT + timedelta(hours=4)).isoformat()}
    answer = house.post("references", orjson.dumps(period), "application/json")
    assert answer.status == 200, answer.body
    made = Reference.objects.get(version=2)
    assert (made.rows, made.source) == (2_000, "period")
    house.send(4, shift=0.5)
    assert look(house, 4).status == "ok"
    early = {"from": "2026-03-03T00:30:00Z", "to": "2026-03-03T04:00:00Z"}
    assert house.post("references", orjson.dumps(early), "application/json").status == 400


def test_the_page_and_the_api_tell_it(house: House, client: Any) -> None:
    boss = User.objects.create_user("b@example.org", "B", password="long enough 1")
    Grant.objects.create(user=boss, role="viewer")
    house.reference()
    system = System.objects.get()
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/systems/{system.pk}/drift"
    assert "No hour has been judged yet" in client.get(address).content.decode()
    house.send(0)
    look(house, 0)
    house.send(1, shift=0.6)
    look(house, 1)
    page = client.get(address).content.decode()
    assert page.count('class="strip"') == 3 and "svg viewBox" in page and "The median went from" in page
    assert "all 3 features together: at most 0.73 breaches and at most 1.5 warnings" in page
    assert "at most 0.24 breaches and at most 0.49 warnings" in page
    assert judging.false_alarms_of([{"name": "judged before rates were told"}]).told == "not known"
    other = client.get(f"{address}?feature=colour").content.decode()
    assert "<h2>colour" in other
    assert client.get(f"{address}?feature=nothing").status_code == 404
    told = client.get(f"/api/v1/systems/{system.pk}/drift").json()["environments"][0]
    assert told["reference"]["version"] == 1 and [one["rows"] for one in told["hours"]] == [500, 500]
    assert {one["name"] for one in told["hours"][1]["features"]} == {"age", "income", "colour"}
    assert told["hours"][1]["false_alarms_per_month"]["breaches"] == pytest.approx(0.7305, abs=0.001)
    empty = System.objects.create(client=system.client, key="other", name="Other")
    assert "curl" in client.get(f"/systems/{empty.pk}/drift").content.decode()


def test_parts_are_summed_up_and_late_rows_still_count(house: House) -> None:
    house.reference()
    for hour in range(3):
        house.send(hour)
    duties.judge(AT + timedelta(hours=4))
    house.clock.set(AT + timedelta(days=5))
    before = {hour.start: bytes(hour.profile or b"") for hour in Hour.objects.all()}
    assert not duties.forget(AT + timedelta(days=5))
    assert not Part.objects.exists() and Batch.objects.count() == 3
    house.send(1, rows=100, seed=77)
    duties.judge(AT + timedelta(days=5))
    again = Hour.objects.order_by("start")
    assert [hour.rows for hour in again] == [500, 600, 500]
    assert [bytes(hour.profile or b"") == before[hour.start] for hour in again] == [True, False, True]
    assert house.send(0).body.count(b'"duplicate":true') == 1
    duties.forget(AT + timedelta(days=100))
    assert not Batch.objects.exists() and Hour.objects.count() == 3
    duties.forget(AT + timedelta(days=401))
    assert not Hour.objects.exists()


CONTRACT = replace(rules.INPUT, name="data.contract")


def test_a_breach_says_what_changed_upstream_at_that_time(house: House, client: Any) -> None:
    house.reference()
    system = System.objects.get(key="scoring")
    feed = System.objects.create(client=system.client, key="orders", name="Orders")
    Dependency.objects.create(system=system, needs=feed)
    for hour in range(3):
        house.send(hour, shift=0.0 if hour < 1 else 1.0)
    broken = [
        (Scope("acme", "orders", "prod"), CONTRACT, "amount is in cents now."),
        (Scope("other", "orders", "prod"), CONTRACT, "of another client."),
        (Scope("acme", "elsewhere", "prod"), CONTRACT, "of a system that is not needed."),
    ]
    findings = [(scope, judge, Finding(judge.name, Status.BREACH, "broken", why)) for scope, judge, why in broken]
    watch.write(findings, AT + timedelta(hours=1, minutes=10))
    duties.judge(AT + timedelta(hours=4))
    verdict = Verdict.objects.get(judge="drift.input")
    assert verdict.status == "breach"
    assert verdict.explanation.endswith("Upstream at that time: Orders, data.contract: amount is in cents now.")
    person = User.objects.create_user("w@example.org", "w", password="long enough 1")
    Grant.objects.create(user=person, role="viewer")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/systems/{system.pk}/drift?feature=age").content.decode()
    assert "amount is in cents now." in page and "another client" not in page and "not needed" not in page
    assert "Upstream at that time" not in client.get(f"/systems/{system.pk}/drift?feature=colour").content.decode()


@pytest.mark.parametrize("values", [40, 300])
def test_categories_of_many_about_equal_values_raise_no_alarm(values: int) -> None:
    """Which of them came most in the reference is chance, and not so again."""
    random = np.random.default_rng(values)
    shares = random.dirichlet(np.full(values, 50.0), 10)
    names = [f"v{at}" for at in range(values)]

    def told(rows: int, layouts: dict[str, CategoryLayout]) -> dict[str, Any]:
        counts = [random.multinomial(rows // 2, one) for one in (*shares, *shares)]
        return {
            f"c{at}": fold_categories(layouts[f"c{at}"], names, np.stack([counts[at], counts[at + 10]]), (0, 0))
            for at in range(10)
        }

    before = [random.multinomial(12_000, one) for one in shares]
    layouts = {
        f"c{at}": category_layout(dict(zip(names, counts.tolist(), strict=True))) for at, counts in enumerate(before)
    }
    reference: dict[str, Any] = {
        f"c{at}": fold_categories(layouts[f"c{at}"], names, np.stack([counts, 0 * counts]), (0, 0))
        for at, counts in enumerate(before)
    }
    of = judging.known(reference)
    followed, statuses = judging.fresh(of), []
    for _ in range(100):
        followed, features = judging.judge(of, followed, told(1_000, layouts))
        statuses += [one.status for one in features]
    assert len(of.streams) == 10 and "breach" not in statuses and statuses.count("warning") <= 3
