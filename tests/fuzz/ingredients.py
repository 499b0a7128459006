"""What bodies are made of: values of every type, and those that went wrong somewhere once.

Everything draws from a `random.Random`: the program gives one of its own, tests one of hypothesis', which shrinks.
"""

from __future__ import annotations

import json
import math
import os
from functools import cache
from random import Random
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from afterlaunch.telemetry.conventions import fields

NOW = 1_795_000_000_000_000_000
YEAR = 365 * 86_400 * 10**9
TIMES = (0, 1, 999, 10**9, NOW, NOW + 80 * YEAR, 2**63 - 1, 2**63, 2**64 - 1, NOW // 10**9, NOW // 10**6)
"""1970, now, 2100, the ends of the type, and seconds and milliseconds where nanoseconds are meant."""
WHOLE = (0, 1, -1, 7, 127, 128, 2**31, 2**53 - 1, 2**53, 2**62, 2**63 - 1, -(2**63))
REAL = (0.0, -0.0, 0.5, -1.0, 1e-320, 1e18, 1e308, -1e308, math.inf, -math.inf, math.nan)
NUMBERS = ("", " ", "12", "-3", "1e400", "NaN", "Infinity", "0x10", "1_000", "²", "１２", "12.5", "9" * 30, "+5", "1e5")
TEXTS = (
    *("", "\0", "a\0b", "é", "\u202e\u2066", "\ufeff", "\x1f", "\x1e", "\n\n", "'; drop table spans; --", "%s{}$1"),
    *("<script>alert(1)</script>", "null", "[]", "{}", "[", '{"a":', "true", '"', "<REDACTED>", "route:", "😀" * 50),
    *("openai", "OpenAI ", "openai.chat", "azure", "unknown", "gpt-4o", "claude-sonnet-4-5", "chat", "execute_tool"),
    *(
        "2024-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "2024-13-45",
        "-1",
        "http://[::1",
        "//",
    ),
    *("http://a:99999/x", "erika@example.org", "4111 1111 1111 1111", "sk-proj-Ab3dEf6hIj9lMn2pQr5tUv8x"),
)
LONG = 2**20


@cache
def keys() -> tuple[str, ...]:
    """Every attribute that the mapping knows, those of lists with odd numbers in them, and some that it does not."""
    known = {source.key for field in fields.FIELDS for source in field.sources}
    places = ("0", "1", "-1", "00", "007", "99", "4294967296", "9" * 40, "x", "")
    lists = ("gen_ai.prompt.{}.content", "gen_ai.completion.{}.role", "llm.input_messages.{}.message.content")
    lists += ("llm.output_messages.{}.message.tool_calls.{}.tool_call.function.name", "gen_ai.evaluation.{}.score")
    lists += ("retrieval.documents.{}.document.score", "retrieval.documents.{}.document.metadata", "llm.tools.{}.x")
    odd = [name.format(*(place,) * 2) for name in lists for place in places]
    mine = ("", ".", "a", "gen_ai.", "gen_ai.usage.moon_tokens", "gen_ai.usage.details.moon", "é", "\0", "k" * 300)
    return (*sorted(known), *odd, *mine)


def text(draw: Random, long: bool = True) -> str:
    kind = draw.random()
    if kind < 0.5:
        return draw.choice(TEXTS)
    if kind < 0.7:
        return draw.choice(NUMBERS)
    if kind < 0.85:
        return json.dumps(plain(draw), ensure_ascii=draw.random() < 0.5)
    if kind < 0.995 or not long:
        return "".join(chr(draw.choice((65, 97, 48, 32, 233, 0x4E2D, 0x1F600))) for _ in range(draw.randrange(60)))
    return draw.choice(("x", "é", "[", '{"a":', "1 ", "a@b.co ", "+49 151 234 ", "sk-")) * draw.randrange(LONG // 8)


def plain(draw: Random, depth: int = 0) -> Any:
    """A JSON value, NaN among them."""
    kind = draw.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return draw.choice(TEXTS)
    if kind == 2:
        return draw.choice(WHOLE)
    if kind == 3:
        return draw.choice(REAL)
    if kind == 4:
        return draw.choice((None, True, False, 10**30))
    if kind == 5:
        return [plain(draw, depth + 1) for _ in range(draw.randrange(5))]
    names = ("a", "", "role", "content", "type", "text", "id", "name", "input_tokens", "parts", "score", "function")
    return {draw.choice(names): plain(draw, depth + 1) for _ in range(draw.randrange(5))}


def value(draw: Random, depth: int = 0) -> AnyValue:
    """Every member of AnyValue, and none of them."""
    made = AnyValue()
    kind = draw.randrange(9)
    if kind < 3:
        made.string_value = text(draw)
    elif kind == 3:
        made.int_value = draw.choice(WHOLE)
    elif kind == 4:
        made.double_value = draw.choice(REAL)
    elif kind == 5:
        made.bool_value = draw.random() < 0.5
    elif kind == 6:
        made.bytes_value = draw.randbytes(draw.choice((0, 1, 8, 300)))
    elif kind == 7 and depth < 6:
        made.array_value.values.extend(value(draw, depth + 1) for _ in range(draw.choice((0, 1, 3))))
    elif kind == 8 and depth < 6:
        made.kvlist_value.values.extend(
            KeyValue(key=draw.choice(("a", "a", "b", "", "input")), value=value(draw, depth + 1))
            for _ in range(draw.choice((0, 1, 3)))
        )
    return made


def nested(levels: int) -> AnyValue:
    """A list within a list, so many levels deep; protobuf reads a hundred messages within each other."""
    made = AnyValue(string_value="bottom")
    for _ in range(levels):
        above = AnyValue()
        above.kvlist_value.values.append(KeyValue(key="k", value=made))
        made = above
    return made


def pairs(draw: Random, most: int = 25) -> list[KeyValue]:
    """Attributes, some of them twice."""
    made = [KeyValue(key=draw.choice(keys()), value=value(draw)) for _ in range(draw.randrange(most))]
    if made and draw.random() < 0.3:
        made.append(KeyValue(key=draw.choice(made).key, value=value(draw)))
    if draw.random() < 0.03:
        made.append(KeyValue(key="deep", value=nested(draw.choice((5, 25, 30)))))
    return made


def new_id(width: int) -> bytes:
    """Never drawn twice, whoever draws: a span sent again with another start is another span."""
    return os.urandom(width)


def some_id(draw: Random, width: int) -> bytes:
    """Of the right length, as a rule."""
    if draw.random() < 0.85:
        return new_id(width)
    return draw.choice(
        (
            b"",
            bytes(width),
            b"\xff" * (width - 4) + new_id(4),
            draw.randbytes(draw.choice((1, width - 1, width + 1, 40))),
        )
    )


def instant(draw: Random) -> int:
    return draw.choice(TIMES) if draw.random() < 0.5 else NOW + draw.randrange(-(10**13), 10**13)
