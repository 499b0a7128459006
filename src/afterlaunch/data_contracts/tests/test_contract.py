"""Contracts as YAML: what is written is read back, what is wrong is named."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from afterlaunch.data_contracts.contract import read, write
from afterlaunch.data_contracts.expressions import Expression
from afterlaunch.ground.errors import Invalid

WHOLE = """
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {name: orders, owner: team-shop, version: 2.1.0}
spec:
  columns:
  - {name: id, type: integer, required: true, unique: true}
  - {name: state, type: text, values: [CA, WI], nulls: 0.1, similar: true, warn: [similar]}
  - {name: zip, type: text, pattern: '\\d{5}', length: {least: 5, most: 5}}
  - {name: price, type: number, range: {least: 0, most: 100.5}}
  - {name: at, type: timestamp}
  rules:
  - {kind: dependency, from: zip, to: state, tolerance: 0.01}
  - {kind: embedded, column: zip, other: state, severity: warn}
  - {kind: expression, expression: 'price >= 0 and not (state == "CA")'}
  volume: {least: 10, most: 100, severity: error}
  freshness: {column: at, most: 3h, severity: error}
  additionalColumns: false
"""


def test_what_is_written_is_read_back() -> None:
    contract = read(WHOLE)
    assert read(write(contract)) == contract
    assert contract.owner == "team-shop"
    assert [column.severity("similar") for column in contract.columns[:2]] == ["error", "warn"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("kind: DataContract", "kind: Contract", "needs apiVersion"),
        ("owner: team-shop", "owners: x", "no owners"),
        ("owner: team-shop, ", "", "metadata.owner is missing"),
        ("type: integer", "type: int", "no type 'int'"),
        ("unique: true", "unique: yes please", "unique is true or false"),
        ("nulls: 0.1", "nulls: 10", "between 0 and 1"),
        ("name: zip,", "name: state,", "state more than once"),
        ("'\\d{5}'", "'(\\d{5}'", "no regular expression"),
        ("from: zip", "from: zap", "no column 'zap'"),
        ("kind: embedded", "kind: nested", "no kind 'nested'"),
        ("price >= 0", "prize >= 0", "no column 'prize'"),
        ("price >= 0", '__import__("os") == 0', "no expression"),
        ("most: 3h", "most: soon", "a span such as 3h"),
        ("warn: [similar]", "warn: [similarity]", "names no rule"),
        ("severity: warn", "severity: fatal", "error or warn"),
        ("spec:", "spec: [", "no YAML"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, why: str) -> None:
    assert old in WHOLE
    with pytest.raises(Invalid) as caught:
        read(WHOLE.replace(old, new, 1))
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("text", "record", "holds"),
    [
        ("a <= b", {"a": "2", "b": "10"}, True),
        ("a < b < c", {"a": "1", "b": "2", "c": "2"}, False),
        ("a * 2 + 1 == b", {"a": "2", "b": "5.0"}, True),
        ("a <= b", {"a": "2", "b": ""}, None),
        ("a <= b", {"a": "2", "b": "N/A"}, None),
        ("a <= b", {"a": "2026-01-02", "b": "2026-01-02T01:00:00"}, True),
        ("a <= b", {"a": "x", "b": "2"}, None),
        ("a / b > 0", {"a": "1", "b": "0"}, None),
        ('not (a == "x") or b != "y"', {"a": "x", "b": "y"}, False),
        ('column("net price") > 0', {"net price": "1"}, True),
        ('a + "_" + b == c', {"a": "al", "b": "hf-1", "c": "al_hf-1"}, True),
        ("-a < 0", {"a": "1"}, True),
    ],
)
def test_expressions_hold_or_not_or_cannot_be_told(text: str, record: dict[str, str], holds: bool | None) -> None:
    assert Expression(text).holds(record) is holds


@pytest.mark.parametrize(
    "text", ["", "a ==", "a.b == 1", "a[0] == 1", "f(a)", "lambda: 1", "a ** 2 > 1", "[a]", "a if b else c", "a" * 600]
)
def test_anything_else_is_no_expression(text: str) -> None:
    with pytest.raises(Invalid):
        Expression(text)


@settings(max_examples=40, deadline=None)
@given(some.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        Expression(text).holds({"a": "1"})
    except Invalid as problem:
        assert problem.message


plain = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(plain, some.sampled_from(["metadata", "spec", "columns", "rules", "volume", "freshness"]))
def test_any_document_is_a_contract_or_refused(part: object, place: str) -> None:
    told = yaml.safe_load(WHOLE)
    (told if place in told else told["spec"])[place] = part
    try:
        contract = read(yaml.safe_dump(told))
    except Invalid as problem:
        assert problem.message
    else:
        assert read(write(contract)) == contract
