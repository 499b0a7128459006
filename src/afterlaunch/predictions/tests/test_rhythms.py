"""Features with a rhythm of the week: judged by the same hours, without false alarms, and with no less of an eye."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import erf, pi, sin
from typing import Any

import numpy as np
import orjson
import pytest

from afterlaunch.accounts.models import Grant, User
from afterlaunch.drift import rhythms
from afterlaunch.estate.models import System
from afterlaunch.predictions import duties, judging, weekly
from afterlaunch.predictions.models import Bucket, Hour, Reference, Rhythm
from afterlaunch.predictions.tests.conftest import House, lines
from afterlaunch.profiles.layouts import numeric_layout
from afterlaunch.profiles.numeric import APART, NumericProfile
from afterlaunch.verdicts.models import Verdict

STREAMS, ROWS = 40, 300
SAMPLE = np.random.default_rng(0).normal(size=200_000)
LAYOUT = numeric_layout(np.concatenate([SAMPLE + level for level in (-0.7, 0.0, 0.7)]), -9.0, 9.0)


def profiles(random: np.random.Generator, level: float) -> dict[str, Any]:
    """An hour of streams that are normal around a level."""
    below = np.array([0.5 * (1 + erf((edge - level) / 2**0.5)) for edge in LAYOUT.edges])
    shares = np.diff(np.concatenate(([0.0], below, [1.0])))
    apart, sums = np.zeros((2, len(APART)), np.int64), np.zeros((2, 2))
    halves = [random.multinomial(ROWS // 2, shares, STREAMS) for _ in range(2)]
    return {
        f"f{at}": NumericProfile(LAYOUT, np.stack([half[at] for half in halves]), apart, sums, -5.0, 5.0)
        for at in range(STREAMS)
    }


def level(hour: int) -> float:
    """A rhythm of the day, and another one at weekends."""
    return 0.7 * sin(2 * pi * hour / 24) + (0.4 if hour // 24 % 7 >= 5 else 0.0)


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    found = parts[0]
    for part in parts[1:]:
        found = {name: one.merge(part[name]) for name, one in found.items()}
    return found


class World:
    def __init__(self) -> None:
        random = np.random.default_rng(11)
        weeks = [profiles(random, level(hour)) for hour in range(504)]
        self.buckets = [merged(weeks[hour::168]) for hour in range(168)]
        self.whole = merged(self.buckets)
        self.known = judging.known(self.whole)

    def run(self, hours: int, weekly: bool, shift: float = 0.0, seed: int = 5) -> list[list[str]]:
        random = np.random.default_rng(seed)
        followed, found = judging.fresh(self.known), []
        for hour in range(hours):
            same = self.buckets[hour % 168]
            known = judging.in_hours(self.known, same, "the same hours") if weekly else self.known
            followed, features = judging.judge(known, followed, profiles(random, level(hour) + shift))
            found.append([one.status for one in features])
        return found


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def alarmed(hours: list[list[str]]) -> int:
    return sum(any(status in ("warning", "breach") for status in hour) for hour in hours)


def test_forty_streams_with_a_strong_rhythm_raise_as_few_alarms_as_stated(world: World) -> None:
    """Three kinds of alarm, each once in 1,000 hours for all features together; against the whole nearly every hour."""
    assert alarmed(world.run(48, weekly=False)) > 40
    hours = world.run(336, weekly=True)
    assert alarmed(hours) <= 3 * 0.336 + 3 * (3 * 0.336) ** 0.5
    assert not any("breach" in hour for hour in hours)
    assert sum(hour.count("not_assessed") for hour in hours) == 0


def test_a_shift_of_three_tenths_is_found_within_hours(world: World) -> None:
    hours = np.array(world.run(30, weekly=True, shift=0.3))
    found = (hours != "ok").argmax(0)
    assert (hours != "ok").any(0).all() and np.median(found) <= 2
    assert (hours == "breach").any(0).mean() > 0.9


def test_what_was_gathered_against_the_whole_is_forgotten_for_features_with_a_rhythm(world: World) -> None:
    random = np.random.default_rng(3)
    followed = judging.fresh(world.known)
    for _ in range(5):
        followed, _ = judging.judge(world.known, followed, profiles(random, 0.7))
    after = judging.begun_anew(followed, world.known, ["f0", "f3"])
    assert followed.held.all() and [at for at, held in enumerate(after.held) if not held] == [0, 3]
    assert after.state.windows[0] == 0 and after.state.windows[1] == 5
    assert judging.as_bytes(judging.begun_anew(followed, world.known, [])) == judging.as_bytes(followed)


# The whole way: bodies, hours, the duty that learns.

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def rows_of(hours: range, per_hour: int = 240, shift: float = 0.0, seed: int = 1) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng((seed, hours.start + 10_000))
    for hour in hours:
        load = random.normal(50 + 20 * np.sin(2 * np.pi * hour / 24) + 10 * shift, 10, per_hour)
        steady = random.normal(0, 1, per_hour)
        for at in range(per_hour):
            when = START + timedelta(hours=hour, seconds=at)
            told = {"prediction_id": f"{seed}-{hour}-{at}", "time": when.isoformat()}
            yield told | {"load": round(float(load[at]), 3), "steady": round(float(steady[at]), 3)}


def send(house: House, hours: range, **kind: Any) -> None:
    house.clock.set(max(house.clock.now(), START + timedelta(hours=hours.stop)))
    assert house.post("predictions", lines(list(rows_of(hours, **kind))), who="ingest").status == 200


def judge(house: House) -> Verdict:
    house.clock.set(house.clock.now() + timedelta(minutes=20))
    while True:
        duties.judge(house.clock.now())
        if not Hour.objects.filter(due=True).exists():
            return Verdict.objects.get(judge="drift.input")


def statuses(since: int) -> list[tuple[str, str]]:
    found = []
    for hour in Hour.objects.filter(start__gte=START + timedelta(hours=since)).order_by("start"):
        found += [(one["name"], one["status"]) for one in hour.features]
    return found


def reference(house: House, shift: float = 0.0, timed: bool = False, hours: int = 504) -> None:
    rows = list(rows_of(range(-hours, 0), per_hour=30, shift=shift, seed=9))
    kept = [row if timed else {"load": row["load"], "steady": row["steady"]} for row in rows]
    assert house.post("references", lines(kept)).status == 200


def test_three_weeks_of_predictions_tell_the_rhythm_and_end_its_alarms(house: House, client: Any) -> None:
    house.clock.set(START)
    reference(house)
    System.objects.update(time_zone="Europe/Berlin")
    send(house, range(505))
    assert judge(house).status in ("warning", "breach")
    made = Rhythm.objects.get()
    assert made.features == ["load"] and made.shares["load"] > 0.5 > rhythms.SHARE > made.shares["steady"]
    assert (made.zone, made.weeks, made.since) == ("Europe/Berlin", 3, START + timedelta(hours=505))
    assert made.ends_at == START + 21 * DAY and Bucket.objects.count() == 168
    send(house, range(505, 553))
    assert judge(house).status == "ok"
    assert {status for _, status in statuses(505)} == {"ok"}
    before = [(row.start, bytes(row.state or b""), row.features) for row in Hour.objects.order_by("start")]
    Hour.objects.filter(start__gte=START + timedelta(hours=500)).update(due=True)
    judge(house)
    assert before == [(row.start, bytes(row.state or b""), row.features) for row in Hour.objects.order_by("start")]
    send(house, range(553, 556), shift=1.0)
    found = judge(house)
    assert found.status in ("warning", "breach") and "load" in found.explanation
    # hour 555 is a Wednesday 03:00 UTC, 04:00 there
    assert "Compared with Wednesdays from 04:00 (Europe/Berlin) of 3 weeks." in found.explanation
    person = User.objects.create_user("r@example.org", "R", password="long enough 1")
    Grant.objects.create(user=person, role="viewer")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    system = System.objects.get()
    page = client.get(f"/systems/{system.pk}/drift?feature=load").content.decode()
    assert "Wednesdays from 04:00" in page and "of what differs between hours" in page
    told = client.get(f"/api/v1/systems/{system.pk}/drift").json()["environments"][0]
    assert told["rhythm"]["features"] == ["load"]
    Rhythm.objects.update(features=[], since=None)
    page = client.get(f"/systems/{system.pk}/drift?feature=steady").content.decode()
    assert "the whole reference" in page


def test_weeks_that_are_not_the_reference_do_not_hide_it(house: House) -> None:
    house.clock.set(START)
    reference(house, shift=1.5)
    send(house, range(505))
    judge(house)
    made = Rhythm.objects.get()
    assert made.features == [] and "do not look like the reference" in made.left_out["load"]
    assert "not used" in weekly.season(made, "load")
    send(house, range(505, 508))
    assert judge(house).status == "breach"


def test_a_reference_with_times_knows_its_rhythm_at_once_and_says_where_it_is_thin(house: House) -> None:
    house.clock.set(START)
    reference(house, timed=True, hours=600)
    made = Rhythm.objects.get()
    assert made.features == ["load"] and made.since is None and made.weeks == 3
    send(house, range(30))
    assert judge(house).status == "ok"
    assert {one for name, one in statuses(0) if name == "load"} == {"not_assessed"}  # 90 values of each hour
    load = next(one for one in Hour.objects.latest("start").features if one["name"] == "load")
    assert load["reason"] == "thin_hours" and "90 of 100 values on Tuesdays from 05:00 (UTC)" in load["why"]


def test_a_period_of_three_weeks_has_its_rhythm(house: House) -> None:
    house.clock.set(START)
    reference(house)
    send(house, range(504), seed=4)
    judge(house)
    period = {"from": START.isoformat(), "to": (START + 21 * DAY).isoformat()}
    assert house.post("references", orjson.dumps(period), "application/json").status == 200
    made = Rhythm.objects.get(reference=Reference.objects.get(version=2))
    assert made.features == ["load"] and made.since is None
    send(house, range(504, 520), seed=5)
    assert judge(house).status == "ok"


def test_times_that_cannot_be_read_are_as_none(house: House) -> None:
    house.clock.set(START)
    rows = [{**row, "time": "yesterday"} for row in rows_of(range(10))]
    assert house.post("references", lines(rows)).status == 200
    assert not Rhythm.objects.exists()
