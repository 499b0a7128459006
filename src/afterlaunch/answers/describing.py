"""One answer as numbers and words of a few: its descriptors. Nothing of the text itself is kept. Pure.

Each descriptor that can't be told of an answer is absent there, and never zero: without a question there is no
likeness to it, a text of three words has no language.

1. Length: characters, words, and tokens as the provider counted them. 2. Language: the model of `py3langid` (97
languages), of at least 20 letters. 3. Form: whether JSON that was asked for, and arguments of tools, can be read.
4. Refusal: the provider's word, else phrases in five languages within the first 300 characters. 5. Sentiment: VADER's
compound, of English alone, over the first 500 characters. 6. Repetition: the share of runs of three words that came
before in the same answer. 7. Likeness: the share of the answer's distinct words (four letters or more) that stand in
the question, or in what was retrieved for it. Words, not meaning; that is told by `embedding`, where a model is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from afterlaunch.answers import embedding
from afterlaunch.answers.embedding import Embed
from afterlaunch.telemetry.views.conversation import Message, Part, messages

LONGEST = 20_000  # characters of a text that is looked at
LETTERS = 20  # that a language needs
SENTIMENT_OF, REFUSAL_WITHIN = 500, 300
LIKE = 4  # letters of a word that counts for likeness
WORD = re.compile(r"\w+", re.UNICODE)
REFUSAL = re.compile(
    r"\b(?:i(?:'|’)?m (?:sorry|unable|afraid)|i am (?:sorry|unable)|sorry|unfortunately|i apologi[sz]e)\b.{0,60}"
    r"\b(?:can(?:no|')?t|can’t|unable|won(?:'|’)t|not able)\b.{0,40}\b(?:help|assist|provide|do|answer|discuss|comply|"
    r"fulfil|support|share|continue|engage)"
    r"|\bi (?:can(?:no|')?t|can’t|won(?:'|’)t|will not|am (?:unable|not able) to) "
    r"(?:help|assist|provide|answer|discuss|comply|fulfil|support|engage)"
    r"|\bas an ai\b.{0,60}\b(?:can(?:no|')?t|can’t|unable|not able)"
    r"|\b(?:tut mir leid|leider)\b.{0,60}\b(?:kann|darf) ich\b.{0,60}\bnicht\b"
    r"|\b(?:kann|darf) ich (?:dir |ihnen )?nicht\b"
    r"|\b(?:je suis désolé|désolée?)\b.{0,60}\bne peux pas\b|\bje ne peux pas (?:vous |t')?(?:aider|répondre|fournir)"
    r"|\blo siento\b.{0,60}\bno puedo\b|\bno puedo (?:ayudar|responder|proporcionar)"
    r"|\bmi dispiace\b.{0,60}\bnon posso\b",
    re.IGNORECASE | re.DOTALL,
)
NOT_ASKED, VALID, INVALID = "not asked", "valid", "invalid"
YES, NO = "yes", "no"
Value = float | str


@dataclass(frozen=True)
class Answer:
    """What is stored of one call. `context`: what retrievals of the same trace brought; texts are None where they are
    not kept."""

    finish: str | None = None
    refused: bool = False
    tokens: int | None = None
    question: str | None = None
    answer: str | None = None
    context: str | None = None
    asked_json: bool = False


def describe(one: Answer, embed: Embed | None = None) -> dict[str, Value]:
    """Descriptor -> value, of `layouts.DESCRIPTORS`. `embed`: the embedding model in force."""
    found: dict[str, Value] = {}
    if one.finish:
        found["finish"] = one.finish
    if one.tokens is not None:
        found["tokens"] = float(one.tokens)
    if one.answer is None:
        if one.refused:
            found["refusal"] = YES
        return found
    said = messages(one.answer, "assistant")
    text = _text_of(said)
    found["characters"] = float(len(text))
    found["refusal"] = YES if one.refused or REFUSAL.search(text[:REFUSAL_WITHIN]) else NO
    found["form"] = _form(said, text, one.asked_json)
    words = WORD.findall(text.lower()[:LONGEST])
    found["words"] = float(len(words))
    if text.strip():
        found["letters"] = sum(map(str.isalpha, text[:LONGEST])) / len(text[:LONGEST])
    if len(words) >= 6:
        runs = list(zip(words, words[1:], words[2:], strict=False))
        found["repetition"] = 1 - len(set(runs)) / len(runs)
    language = language_of(text)
    if language:
        found["language"] = language
        if language == "en":
            found["sentiment"] = sentiment_of(text)
    question = question_of(one.question) if one.question is not None else ""
    context = (_text_of(messages(one.context, "tool")) or one.context) if one.context else ""
    if own := _telling(words):
        for name, other in (("like_question", question), ("like_context", context)):
            if theirs := _telling(_words(other)):
                found[name] = len(own & theirs) / len(own)
    return found | (embedding.describe(embed, text, question, context) if embed else {})


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower()[: 5 * LONGEST])


def _telling(words: list[str]) -> set[str]:
    return {word for word in words if len(word) >= LIKE}


def _text_of(said: list[Message]) -> str:
    return "\n".join(_plain(part) for one in said for part in one.parts if part.kind != "tool_call")


def _plain(part: Part) -> str:
    """JSON without the indents that a page gets."""
    return orjson.dumps(orjson.loads(part.text)).decode() if part.kind == "other" and not part.cut else part.text


def question_of(text: str) -> str:
    """What the user asked last."""
    asked = messages(text, "user")
    last = next((one for one in reversed(asked) if one.role == "user"), None)
    return _text_of([last] if last else asked)


def _form(said: list[Message], text: str, asked_json: bool) -> str:
    calls = [part for one in said for part in one.parts if part.kind == "tool_call" and part.text]
    if not calls and not asked_json:
        return NOT_ASKED
    if any(not part.cut and not _is_json(part.text) for part in calls):
        return INVALID
    return VALID if not asked_json or (calls and not text) or _is_json(text) else INVALID


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def asks_for_json(output_type: str | None, parameters: str | None) -> bool:
    """By gen_ai.output.type, or the response format among the request's parameters."""
    if output_type and output_type.lower() in ("json", "json_object", "json_schema"):
        return True
    if not parameters or "format" not in parameters:
        return False
    try:
        told = orjson.loads(parameters)
    except orjson.JSONDecodeError:
        return False
    return isinstance(told, Mapping) and any("format" in str(key) and "json" in str(it) for key, it in told.items())


def language_of(text: str) -> str:
    """ISO 639-1; '' for too short a text."""
    start = text[:600]
    if sum(map(str.isalpha, start)) < LETTERS:
        return ""
    return str(_languages().classify(start)[0])


@cache
def _languages() -> Any:
    import py3langid  # its model takes a second and 60 MB: only who describes answers loads it

    return py3langid


@cache
def _sentiments() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def sentiment_of(text: str) -> float:
    """-1 (negative) to 1."""
    return float(_sentiments().polarity_scores(text[:SENTIMENT_OF])["compound"])
