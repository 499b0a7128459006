"""Edits touch the smallest span and leave valid JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.gateway.splice import ask_for_usage, members, set_model

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text() | st.sampled_from(["model", "stream_options", "a:b", '"', "{"]), VALUES, max_size=6)


@given(OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_a_new_model_changes_nothing_else(document: dict[str, Any], indent: int | None, plain: bool) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    if b"\xed" in body:
        return  # lone surrogates are no valid JSON text
    assert json.loads(set_model(body, "m-é")) == {**document, "model": "m-é"}


@given(OBJECTS, st.sampled_from([None, 2]))
def test_usage_is_asked_for_and_other_options_stay(document: dict[str, Any], indent: int | None) -> None:
    options = document.get("stream_options")
    wanted = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    body = json.dumps(document, indent=indent).encode()
    assert json.loads(ask_for_usage(body)) == {**document, "stream_options": wanted}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"a","n":1.0e2}', b'{"model":"b","n":1.0e2}'),
        (b'\n{ "x":[{"model":"a"}], "model" :  "a" }', b'\n{ "x":[{"model":"a"}], "model" :  "b" }'),
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"b"}'),
        (b'{"model":"a","model":"c"}', b'{"model":"b","model":"b"}'),
        (b"{ }", b'{"model":"b" }'),
        (b'{"text":"\\"model\\":\\"a\\""}', b'{"model":"b","text":"\\"model\\":\\"a\\""}'),
    ],
)
def test_the_bytes_around_the_model_stay(before: bytes, after: bytes) -> None:
    assert set_model(before, "b") == after


def test_members_know_their_values_bytes() -> None:
    body = b'{"a" : [1, {"b":2}] ,"c":"}"}'
    assert [body[m.start : m.end] for m in members(body)] == [b'[1, {"b":2}]', b'"}"']
