"""What is told of one answer, and what is not told where it can't be known."""

from __future__ import annotations

import orjson
import pytest

from afterlaunch.answers.describing import Answer, asks_for_json, describe

SHIPPED = "Your order was shipped yesterday and will arrive on Monday. Thank you for your patience!"


def chat(*said: tuple[str, str]) -> str:
    return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in said]).decode()


def test_an_answer_becomes_numbers_and_words_of_a_few() -> None:
    question = chat(("system", "You are kind."), ("user", "When was my order shipped?"))
    found = describe(Answer("stop", False, 20, question, chat(("assistant", SHIPPED)), "Order 7: shipped yesterday"))
    assert (found["characters"], found["words"], found["tokens"]) == (len(SHIPPED), 15, 20)
    assert (found["language"], found["form"], found["refusal"], found["finish"]) == ("en", "not asked", "no", "stop")
    assert isinstance(found["sentiment"], float) and found["sentiment"] > 0.3
    assert found["like_question"] == pytest.approx(2 / 9)  # order, shipped of nine distinct words
    assert found["like_context"] == pytest.approx(3 / 9)
    assert found["repetition"] == 0
    assert not any(isinstance(value, str) and len(value) > 20 for value in found.values())


def test_what_is_not_kept_is_absent_and_never_zero() -> None:
    assert describe(Answer("length", False, 12)) == {"finish": "length", "tokens": 12}
    assert describe(Answer(None, True)) == {"refusal": "yes"}
    short = describe(Answer(answer="No."))
    assert "language" not in short and "repetition" not in short and "like_question" not in short


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I'm sorry, but I can't help with that request.", "yes"),
        ("Tut mir leid, das kann ich leider nicht beantworten.", "yes"),
        ("Je suis désolé, je ne peux pas répondre à cette question.", "yes"),
        ("As an AI language model, I cannot give medical advice.", "yes"),
        ("I'm sorry to hear that. Here is how to fix it: restart the router.", "no"),
        ("You can't go wrong with the blue one; it helps to measure first.", "no"),
    ],
)
def test_refusals_are_told_by_their_phrases(text: str, refused: str) -> None:
    assert describe(Answer(answer=text))["refusal"] == refused


def test_json_that_was_asked_for_must_be_json() -> None:
    assert asks_for_json(None, '{"response_format": "{\\"type\\": \\"json_object\\"}"}')
    assert asks_for_json("json", None) and not asks_for_json(None, '{"temperature": "0.1"}')
    forms = [describe(Answer(answer=text, asked_json=True))["form"] for text in ('{"a": 1}', '{"a": 1', "Here: {}")]
    assert forms == ["valid", "invalid", "invalid"]


def test_arguments_of_tools_must_be_json() -> None:
    def called(arguments: str) -> str:
        function = {"name": "find", "arguments": arguments}
        return orjson.dumps([{"role": "assistant", "tool_calls": [{"function": function}]}]).decode()

    assert describe(Answer(answer=called('{"id": 7}')))["form"] == "valid"
    assert describe(Answer(answer=called('{"id": 7')))["form"] == "invalid"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Die Bestellung wurde gestern verschickt und kommt am Montag an.", "de"),
        ("La commande a été expédiée hier et arrivera lundi.", "fr"),
        ("订单昨天已经发货，预计星期一到达。请您耐心等待，谢谢您的理解。", "zh"),
    ],
)
def test_languages_are_told(text: str, language: str) -> None:
    found = describe(Answer(answer=text))
    assert found["language"] == language and "sentiment" not in found


def test_an_answer_that_goes_round_in_circles_repeats_itself() -> None:
    found = describe(Answer(answer="We will see what we can do. " * 20))
    assert isinstance(found["repetition"], float) and found["repetition"] > 0.9
