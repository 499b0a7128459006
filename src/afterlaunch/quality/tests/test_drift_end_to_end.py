"""A sender renames an attribute in a new release: from what it sends to the verdict that names it, on both engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.app.duties import run_judges
from afterlaunch.ground import clock
from afterlaunch.telemetry import store, tally
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.rebuild import rebuild
from afterlaunch.telemetry.signals.tables import prepare
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span
from afterlaunch.telemetry.told import told
from afterlaunch.verdicts.models import Verdict

NOW = clock.from_ns(AT)
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.output_tokens": 10,
    "session.id": "s",
}
BEFORE, AFTER = {**CALL, "gen_ai.usage.input_tokens": 100}, {**CALL, "gen_ai.usage.input_token_count": 100}
PLACE = ("acme", "desk", "prod")
RESOURCE = {"service.name": "desk", "deployment.environment.name": "prod"}


@pytest.fixture
def opened(place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(place)
    prepare(made)
    yield made
    store.close_store()


def sent(attributes: Mapping[str, Any], calls: int, version: str, first: int, hours_ago: float = 0) -> Any:
    """The rows of a body; `first`: number of its first span."""
    spans = [span(attributes, number=first + n, trace=first + n) for n in range(calls)]
    for one in spans:
        one.start_time_unix_nano -= int(hours_ago * 3600 * 10**9)
        one.end_time_unix_nano -= int(hours_ago * 3600 * 10**9)
    data = body(*spans, scope="opentelemetry.instrumentation.x", version=version, resource=RESOURCE)
    return normalise(data, PROTOBUF, "acme", 0).table


def counts(at: int = 0) -> dict[tuple[str, str], int]:
    """What is stored of the past (0) or of late (1)."""
    found = told(NOW)[PLACE]
    out: dict[tuple[str, str], int] = {}
    for row in (found.past, found.recent)[at]:
        out[row.what, row.key] = out.get((row.what, row.key), 0) + row.spans
    return out


@pytest.mark.django_db
def test_a_renamed_attribute_of_a_new_release_leads_to_a_verdict_that_names_it(opened: store.Store) -> None:
    for day in range(1, 4):
        opened.commit([sent(BEFORE, 50, "1.4.0", day * 1000, hours_ago=24 * day)])
    opened.commit([sent(BEFORE, 40, "1.4.0", 10_000)])
    run_judges(NOW)
    verdict = Verdict.objects.get(judge="quality.conventions", system="desk", environment="prod")
    assert (verdict.status, verdict.reason) == ("ok", "steady")
    opened.commit([sent(AFTER, 40, "1.5.0", 20_000)])
    run_judges(NOW + timedelta(minutes=1))
    verdict.refresh_from_db()
    assert (verdict.status, verdict.reason, verdict.severity) == ("breach", "renamed", "P3")
    said = "gen_ai.usage.input_tokens seems to be gen_ai.usage.input_token_count now"
    assert said in verdict.explanation
    assert "opentelemetry.instrumentation.x in desk, new version 1.5.0" in verdict.explanation


def test_each_stored_span_counts_once_whatever_is_sent_again(opened: store.Store) -> None:
    rows = sent(BEFORE, 10, "1", 1, hours_ago=24)
    opened.commit([rows])
    opened.commit([rows, sent(AFTER, 5, "1", 100, hours_ago=24)])
    opened.upkeep(AT)
    found = counts()
    assert found[tally.OPERATION, "inference"] == found[tally.FIELD, "session"] == 15
    assert found[tally.FIELD, "in_uncached"] == 10
    assert found[tally.UNKNOWN, "gen_ai.usage.input_token_count"] == found[tally.FLAG, "usage_key_unknown"] == 5


def test_many_small_commits_become_few_rows_and_a_rebuilt_store_holds_the_same(tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    opened = store.open_store(file)
    for number in range(20):
        opened.commit([sent(BEFORE, 1, "1", number + 1, hours_ago=24)])
    before = counts()
    (rows,) = opened.query("select count(*) as rows from attribute_counts")
    opened.upkeep(AT)
    (fewer,) = opened.query("select count(*) as rows from attribute_counts")
    assert (rows["rows"], fewer["rows"]) == (20 * len(before), len(before)) and counts() == before
    store.close_store()
    made = rebuild(file, AT, lambda text: None).file
    assert made is not None
    store.open_store(made)
    assert counts() == before
    store.close_store()
