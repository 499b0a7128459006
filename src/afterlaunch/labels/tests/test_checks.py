"""What is asked of labels, the whole way: from bodies with comments to the page, and to a source that is set aside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import orjson

from afterlaunch.estate.models import System
from afterlaunch.labels.duties import join
from afterlaunch.labels.givers import given
from afterlaunch.labels.models import Batch, Place, Source
from afterlaunch.labels.tests.conftest import AT, House, Stream, lines, said
from afterlaunch.labels.tests.test_pages import signed_in
from afterlaunch.performance import givers
from afterlaunch.performance.tests.test_checks import sentence
from afterlaunch.verdicts.models import Verdict

SOURCES = ("desk", "app", "site")


def day(house: House, number: int, copies: float = 0.0, wrong: float = 0.0, rows: int = 40) -> None:
    """Predictions of 300 contents, labelled by one of three sources each, every third with a comment; copies and wrong
    labels come from the app."""
    random = np.random.default_rng(number)
    predicted: list[Any] = []
    labelled: list[Any] = []
    for hour in range(24):
        for at in range(rows):
            made = (AT + timedelta(days=number, hours=hour, seconds=60 * at)).isoformat()
            kind = int(random.integers(300))
            truth = int(kind * 7919 % 300 < 120)
            key, source = f"{number}-{hour}-{at}", SOURCES[int(random.integers(3))]
            chance = 0.8 if truth else 0.2
            predicted.append(
                {"prediction_id": key, "time": made, "kind": f"k{kind}", "output": truth, "probability": chance}
            )
            off = random.random() < (wrong if source == "app" else 0.02)
            late = (AT + timedelta(days=number, hours=hour + 1)).isoformat()
            told = {"prediction_id": key, "label": 1 - truth if off else truth, "time": late, "source": source}
            if at % 3 == 0:
                copied = source == "app" and random.random() < copies
                told["comment"] = "buy the very best widgets at our shop today" if copied else sentence(random)
            labelled.append(told)
    house.clock.set(AT + timedelta(days=number + 1))
    house.predict(predicted)
    house.clock.set(AT + timedelta(days=number + 1, hours=3))
    house.label(labelled)
    for _ in range(2):
        look(house)


def look(house: House) -> None:
    house.clock.set(house.clock.now() + timedelta(minutes=61))
    while join(house.clock.now()):
        pass


def checked() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in Place.objects.get().told["checks"]}


def reference(house: House) -> None:
    house.clock.set(AT)
    rows = [{"kind": f"k{at % 300}"} for at in range(600)]
    assert house.post("references", lines(rows), who="operator").status == 200


def test_copied_comments_and_wrong_labels_name_their_source_which_is_set_aside(house: House, client: Any) -> None:
    reference(house)
    for number in range(3):
        day(house, number)
    assert Verdict.objects.get(judge="labels.sources").status == "ok"
    assert {kind: one["status"] for kind, one in checked().items()} == {
        "conflicts": "ok",
        "reviewers": "ok",
        "comments": "ok",
        "flips": "not_assessed",
        "givers": "not_assessed",
    }
    day(house, 3, copies=0.7, wrong=0.35)
    verdict = Verdict.objects.get(judge="labels.sources")
    told = checked()
    assert verdict.status == "breach"
    assert told["comments"]["status"] == "breach" and "of app in the last day nearly repeat" in told["comments"]["why"]
    assert told["conflicts"]["status"] == "breach" and "Labels of app differ" in told["conflicts"]["why"]
    browser = signed_in(client, "operator")
    system = System.objects.get(key="scoring")
    page = browser.get(f"/systems/{system.pk}/performance").content.decode()
    assert "What was asked of labels" in page and "nearly repeat another" in page and "MinHash" in page
    told_api = browser.get(f"/api/v1/systems/{system.pk}/performance").json()["environments"][0]
    assert {one["kind"] for one in told_api["checks"]} >= {"conflicts", "reviewers", "comments", "flips", "givers"}
    for _ in range(2):
        look(house)  # the breach was held; posture pilot
    assert list(Source.objects.exclude(stopped_at=None).values_list("name", flat=True)) == ["app"]
    assert checked()["comments"]["status"] == "ok"


def test_no_text_of_a_comment_is_kept(house: House) -> None:
    reference(house)
    day(house, 0, rows=6)
    for batch in Batch.objects.all():
        assert batch.comments is not None
        for body in (bytes(batch.comments), bytes(batch.columns)):
            assert b"helpful" not in body and b"comment" not in body
    body = orjson.dumps({"prediction_id": "x", "label": 1, "time": AT.isoformat(), "source": "s", "comment": None})
    assert said(house.post("labels", body))["rows"] == 1
    assert Batch.objects.order_by("-pk").first().comments is None  # type: ignore[union-attr]


def test_without_repeats_and_comments_each_check_says_what_it_lacks(house: House) -> None:
    reference(house)
    for number in range(3):
        day(house, number, rows=15)
    Batch.objects.update(comments=None)
    look(house)
    told = checked()
    assert told["comments"]["status"] == "not_assessed" and "No comment" in told["comments"]["why"]


def test_few_accounts_that_give_most_of_an_hour_are_found_and_not_kept_by_name(house: House) -> None:
    """Who gave labels is kept as keyed digests of the most frequent; the source can be set aside."""
    house.clock.set(AT)
    house.reference()
    parts = Stream(rows=120)
    for hour in range(40):
        predicted, labelled = parts.hour(hour)
        house.clock.set(AT + timedelta(hours=hour + 3, minutes=5))
        house.predict(predicted)
        few = hour == 39
        house.label([one | {"account": f"reader-{at % 3 if few else at}"} for at, one in enumerate(labelled)])
    house.clock.set(AT + timedelta(hours=43, minutes=10))
    for _ in range(2):
        while join(house.clock.now()):
            pass
        house.clock.set(house.clock.now() + timedelta(minutes=2))
    source = Source.objects.get()
    assert set(source.givers) == {"account"} and "reader" not in str(source.givers)
    assert max(len(by) for _, by in source.givers["account"].values()) <= 64
    told = givers.check(given([source], AT + timedelta(hours=43)))
    assert told.status == "breach" and "Three accounts gave 120 of 120 labels" in told.why
    assert {one["kind"] for one in Place.objects.get().told["checks"]} >= {"givers", "flips"}
