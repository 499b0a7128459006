from __future__ import annotations

import json
import time

import pytest
from tests.real_input import real

from afterlaunch.alerts.matchers import Matcher, all_match, from_rows, matcher, parse, selective, written
from afterlaunch.ground.errors import Invalid


def test_every_published_case_is_read_as_prometheus_alertmanager_reads_it() -> None:
    """AL-8."""
    cases = json.loads(real("vectors/incidents/alertmanager_matchers.json").read_text())["cases"]
    for case in cases:
        if case["error"]:
            with pytest.raises(Invalid):
                parse(case["input"])
        else:
            found = [{"name": one.name, "op": one.op, "value": one.value} for one in parse(case["input"])]
            assert found == case["matchers"], case["input"]
    assert len(cases) == 53


def test_a_missing_label_equals_an_empty_one_and_patterns_are_anchored() -> None:
    assert matcher("team", "=", "").matches({}) and not matcher("team", "!=", "").matches({})
    assert matcher("host", "=~", "db-.*").matches({"host": "db-1"})
    assert not matcher("host", "=~", "b-").matches({"host": "db-1"})
    assert matcher("host", "!~", "db-.*").matches({"host": "web"})
    assert not all_match(parse("{a=b, c=d}"), {"a": "b"})
    assert not selective(parse('{team=~".*"}')) and selective(parse("a=b"))


def test_what_is_written_is_read_again() -> None:
    wanted = [Matcher("a", "=", 'say "hi",\n\\o/'), Matcher("b", "!~", "x|y")]
    assert parse(written(wanted)) == wanted
    assert from_rows([{"name": "a", "op": "=", "value": "b"}]) == [Matcher("a", "=", "b")]


def test_a_pattern_that_hangs_other_engines_takes_no_time() -> None:
    evil = matcher("a", "=~", "(a*)*b" * 20)
    began = time.monotonic()
    assert not evil.matches({"a": "a" * 5000})
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("pattern", ["a{1000}{1000}", "(", "(?=x)", "\\1"])
def test_patterns_that_are_no_linear_ones_are_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        matcher("a", "=~", pattern)
