"""Assertions on answers: each says what it found, and no answer, pattern or schema breaks them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.ground.errors import Invalid
from afterlaunch.probes import assertions
from afterlaunch.probes.assertions import Answer
from afterlaunch.probes.json_paths import Absent, parsed, value_at
from afterlaunch.probes.similarity import similarity

GOOD = '{"city": "Paris", "tags": ["a", "b"], "n": 2, "odd name": null}'


@pytest.mark.parametrize(
    ("told", "text", "ok"),
    [
        ({"kind": "contains", "text": "Paris"}, GOOD, True),
        ({"kind": "contains", "text": "paris"}, GOOD, False),
        ({"kind": "contains", "text": "paris", "ignore_case": True}, GOOD, True),
        ({"kind": "not_contains", "text": "as an AI"}, GOOD, True),
        ({"kind": "matches", "pattern": r"P\w+s"}, GOOD, True),
        ({"kind": "matches", "pattern": r"^\d+$"}, GOOD, False),
        ({"kind": "json_schema", "schema": {"required": ["city"]}}, GOOD, True),
        ({"kind": "json_schema", "schema": {"required": ["city"]}}, f"```json\n{GOOD}\n```", True),
        ({"kind": "json_schema", "schema": {"properties": {"n": {"type": "string"}}}}, GOOD, False),
        ({"kind": "json_schema", "schema": {}}, "no json", False),
        ({"kind": "json_path", "path": "$.tags[-1]", "equals": "b"}, GOOD, True),
        ({"kind": "json_path", "path": "$['odd name']", "equals": None}, GOOD, True),
        ({"kind": "json_path", "path": "$.n", "equals": True}, GOOD, False),
        ({"kind": "json_path", "path": "$.missing"}, GOOD, False),
        ({"kind": "similar", "reference": "The capital is Paris.", "least": 0.9}, "the capital  is PARIS.", True),
        ({"kind": "similar", "reference": "The capital is Paris.", "least": 0.5}, "Bananas are yellow fruit", False),
        ({"kind": "latency", "max_ms": 100}, GOOD, True),
        ({"kind": "cost", "max_usd": 0.001}, GOOD, True),
        ({"kind": "cost", "max_usd": 0.0000001}, GOOD, False),
    ],
)
def test_each_kind_finds_what_it_is_asked_for(told: dict[str, Any], text: str, ok: bool) -> None:
    (found,) = assertions.judged(assertions.check([told]), Answer(text, 50.0, 500_000))
    assert found.ok == ok and found.said


def test_a_cost_that_is_not_known_does_not_pass() -> None:
    (found,) = assertions.judged([{"kind": "cost", "max_usd": 5}], Answer("x", 1.0, None))
    assert not found.ok and "not known" in found.said


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "nonsense"},
        {"kind": "contains"},
        {"kind": "contains", "text": ""},
        {"kind": "contains", "text": "x", "more": 1},
        {"kind": "matches", "pattern": "("},
        {"kind": "matches", "pattern": "(?=x)"},
        {"kind": "json_schema", "schema": {"type": "nonsense"}},
        {"kind": "json_schema", "schema": {"$ref": "http://127.0.0.1:1/schema"}},
        {"kind": "json_path", "path": "data"},
        {"kind": "json_path", "path": "$..x"},
        {"kind": "similar", "reference": "x", "least": 2},
        {"kind": "latency", "max_ms": True},
        {"kind": "latency", "max_ms": float("nan")},
        {"kind": "cost", "max_usd": -1},
        "text",
    ],
)
def test_what_can_never_be_asked_is_refused(wrong: Any) -> None:
    with pytest.raises(Invalid):
        assertions.check([wrong])


def test_no_pattern_holds_up_a_probe() -> None:
    hard = "a" * 200_000 + "!"
    told = [
        {"kind": "matches", "pattern": "(a+)+$"},
        {"kind": "json_schema", "schema": {"pattern": "(a|aa)+$"}},
    ]
    found = assertions.judged(assertions.check(told), Answer(f'"{hard}"', 1.0))
    assert [one.ok for one in found] == [False, False]


def test_similarity_measures_wording() -> None:
    assert similarity("", "") == 1 and similarity("", "x") == 0
    assert similarity("Refunds take 5 days.", "refunds  take 5 DAYS.") == pytest.approx(1)
    near = similarity("Refunds take five working days.", "A refund takes five working days.")
    far = similarity("Refunds take five working days.", "Our office is closed on Sunday.")
    assert far < 0.3 < 0.5 < near < 1


TEXTS = st.text(max_size=60)
PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | TEXTS
ANY = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
)
FIELDS = ["text", "pattern", "schema", "path", "equals", "reference", "least", "max_ms", "max_usd", "ignore_case"]
KINDS = st.sampled_from([*assertions.KINDS, "other"])


@settings(deadline=None)
@given(KINDS, st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=3), TEXTS)
def test_anything_is_refused_or_judged(kind: str, told: dict[str, Any], text: str) -> None:
    with contextlib.suppress(Invalid):
        (found,) = assertions.judged(assertions.check([{"kind": kind, **told}]), Answer(text, 1.0, None))
        assert isinstance(found.ok, bool) and found.said


@given(st.text(max_size=40), ANY)
def test_any_path_is_refused_or_leads_somewhere_or_nowhere(path: str, document: Any) -> None:
    with contextlib.suppress(Invalid, Absent):
        value_at(document, path)
    with contextlib.suppress(Invalid, Absent):
        value_at(document, "$" + path)
    assert parsed("$.a['b c'][0]") == ["a", "b c", 0]
