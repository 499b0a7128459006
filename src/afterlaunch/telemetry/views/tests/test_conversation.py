"""What was said is read in every shape it is sent in, once, with tool calls apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afterlaunch.telemetry.views.conversation import Message, messages, turns


def said(message: Message) -> tuple[Any, ...]:
    return (message.role, *((part.kind, part.name, part.text.strip()) for part in message.parts))


CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"order":1}'}}
ASKED = ("user", ("text", "", "Where is it?"))
CALLED = ("assistant", ("tool_call", "find", '{\n  "order": 1\n}'))
SHAPES: dict[str, Any] = {
    "genai": [
        {"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "find", "arguments": {"order": 1}}]},
    ],
    "openai": [
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ],
    "openai request": {
        "model": "x",
        "messages": [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "tool_calls": [CALL]}],
    },
    "anthropic": [
        {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "find", "input": {"order": 1}}]},
    ],
    "openinference": [
        {"message": {"role": "user", "content": "Where is it?"}},
        {"message": {"role": "assistant", "tool_calls": [{"function": {"name": "find", "arguments": {"order": 1}}}]}},
    ],
    "langchain": [{"type": "human", "content": "Where is it?"}, {"type": "ai", "content": "", "tool_calls": [CALL]}],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_says_the_same(shape: str) -> None:
    assert [said(one) for one in messages(json.dumps(SHAPES[shape]), "user")] == [ASKED, CALLED]


def test_plain_text_and_unknown_json_are_shown_as_they_are() -> None:
    assert said(messages("just text", "assistant")[0]) == ("assistant", ("text", "", "just text"))
    assert said(messages("{not json", "user")[0])[1] == ("text", "", "{not json")
    (odd,) = messages('{"a": {"b": 1}}', "user")
    assert odd.parts[0].kind == "other" and '"b": 1' in odd.parts[0].text
    assert messages(None, "user") == [] == messages("  ", "user")
    assert messages('"quoted"', "user")[0].parts[0].text == "quoted"
    assert messages("[1, 2]", "user")[0].parts[0].kind == "other"


def test_results_of_tools_are_kept_apart() -> None:
    given = [{"role": "tool", "content": '{"state": "sent"}', "name": "find"}]
    given.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "sent"}]})  # type: ignore[dict-item]
    kinds = [part.kind for one in messages(json.dumps(given), "user") for part in one.parts]
    assert kinds == ["tool_result", "tool_result"]


def test_what_was_said_before_is_not_said_again() -> None:
    history = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    spans: list[dict[str, Any]] = [
        {"input_text": json.dumps(history[:1]), "output_text": "two"},
        {"input_text": json.dumps([*history, {"role": "user", "content": "three"}]), "output_text": "four"},
        {"input_text": None, "output_text": None},
    ]
    found = turns(spans)
    texts = [[one.parts[0].text for one in turn.messages] for turn in found]
    assert texts == [["one", "two"], ["three", "four"]] and found[1].repeated == 2


def test_instructions_that_are_told_apart_come_first_and_once() -> None:
    told = {"gen_ai.system_instructions": json.dumps([{"type": "text", "content": "be kind"}])}
    spans: list[dict[str, Any]] = [
        {"input_text": "may I?", "output_text": "yes", "attributes": told},
        {"input_text": "and now?", "output_text": "no", "attributes": list(told.items())},
    ]
    found = [[(one.role, one.parts[0].text) for one in turn.messages] for turn in turns(spans)]
    assert found[0] == [("system", "be kind"), ("user", "may I?"), ("assistant", "yes")]
    assert found[1] == [("user", "and now?"), ("assistant", "no")]


def test_the_same_answer_to_another_question_is_said_and_a_second_report_is_not() -> None:
    spans: list[dict[str, Any]] = [
        {"input_text": "may I?", "output_text": "yes"},
        {"input_text": "may I?", "output_text": "yes"},
        {"input_text": "and now?", "output_text": "yes"},
        {"input_text": "may I?", "output_text": "no"},
        {"input_text": "failed", "output_text": None},
        {"input_text": "failed", "output_text": "at last"},
    ]
    texts = [[one.parts[0].text for one in turn.messages] for turn in turns(spans)]
    assert texts == [["may I?", "yes"], [], ["and now?", "yes"], ["may I?", "no"], ["failed"], ["at last"]]


def test_a_huge_message_is_cut_and_says_so() -> None:
    (one,) = messages("x" * 100_000, "user")
    assert one.parts[0].cut and len(one.parts[0].text) < 30_000


@pytest.mark.parametrize(
    "text", ["[[[[[]]]]]", "[null, 3, {}]", '{"messages": "no"}', '{"role": 3}', "[" * 2000, '{"choices": [{}]}']
)
def test_odd_content_breaks_nothing(text: str) -> None:
    assert isinstance(messages(text, "user"), list)
