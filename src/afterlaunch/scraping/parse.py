"""The text that exporters write: Prometheus' text format 0.0.4 and OpenMetrics 1.0. Pure.

A line is `name{labels} value [timestamp] [# exemplar]`. Its head, up to the value, is kept as it was written: it says
which series it is, so a head that was seen before need not be taken apart again.
Sources: prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics specification 1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.8,*/*;q=0.1"
COUNTERS = ("_total", "_count", "_sum", "_bucket")
# Where a quoted text stands in braces, `}` and `#` mean nothing. Possessive throughout: a long bad line fails at once.
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'
_BRACES = r'\{(?:[^"}]++|' + _QUOTED + r")*+\}"
LINE = re.compile(
    rf"(?P<head>[a-zA-Z_:][\w:]*+[ \t]*+(?:{_BRACES})?+|{_BRACES})"
    r"[ \t]*+(?P<value>[^\s{}#]++)(?:[ \t]++(?P<at>[^\s#]++))?[ \t]*+(?:#.*)?"
)
_NAME = rf"(?:(?P<name>[a-zA-Z_:][\w:.]*+)|(?P<quoted>{_QUOTED}))"
LABEL = re.compile(rf"[ \t]*+{_NAME}[ \t]*+(?:=[ \t]*+(?P<value>{_QUOTED})[ \t]*+)?(?:,|$)")
ESCAPED = re.compile(r"\\(.)")
LETTERS = {"n": "\n"}


class Unreadable(ValueError):
    """The text is in neither format; the message names the line."""


@dataclass(frozen=True)
class Sample:
    """`head` as it was written. `value` None: not a number, the exporter has none. `at_ns` None: now."""

    head: str
    value: float | None
    at_ns: int | None


@dataclass(frozen=True)
class Scraped:
    """`kinds`: what `# TYPE` said of each family."""

    samples: list[Sample]
    kinds: dict[str, str]


def parse(text: str, open_metrics: bool = False) -> Scraped:
    """Raises Unreadable; then nothing of it is to be believed."""
    samples: list[Sample] = []
    kinds: dict[str, str] = {}
    ended = False
    unit = 1e6 if open_metrics else 1e3  # timestamps: seconds there, milliseconds here; both as microseconds
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        if line[0] == "#":
            ended = ended or line.rstrip() == "# EOF"
            _note(line, kinds)
            continue
        found = LINE.fullmatch(line.rstrip())
        if found is None:
            raise Unreadable(f"line {number} is no sample")
        head, value, at = found.group("head", "value", "at")
        try:
            read = float(value)
            instant = round(float(at) * unit) * 1_000 if at else None
        except (ValueError, OverflowError):
            raise Unreadable(f"line {number} holds no number where one must be") from None
        samples.append(Sample(head.rstrip(), read if read - read == 0 else None, instant))
    if open_metrics and not ended:
        raise Unreadable("the text was cut short: its last line, # EOF, is missing")
    return Scraped(samples, kinds)


def _note(line: str, kinds: dict[str, str]) -> None:
    words = line.split(None, 3)
    if len(words) >= 4 and words[1] == "TYPE":
        kinds[words[2].strip('"')] = words[3].strip()


def series(head: str) -> tuple[str, dict[str, str]]:
    """A head as name and labels. An empty label is none. Raises Unreadable."""
    name, brace, inside = head.partition("{")
    labels: dict[str, str] = {}
    name, rest, place = name.strip(), inside[:-1].rstrip(), 0
    while brace and place < len(rest):
        found = LABEL.match(rest, place)
        if found is None:
            raise Unreadable(f"the labels of {name or 'a series'} cannot be read")
        key = found["name"] if found["name"] is not None else plain(found["quoted"][1:-1])
        if found["value"] is None:
            if name or found["name"] is not None:
                raise Unreadable(f"a label of {name or 'a series'} has no value")
            name = key  # a quoted name, alone in the braces
        elif found["value"] != '""':
            labels[key] = plain(found["value"][1:-1])
        place = found.end()
    if not name:
        raise Unreadable("a series has no name")
    return name, labels


def plain(quoted: str) -> str:
    return ESCAPED.sub(lambda found: LETTERS.get(found[1], found[1]), quoted) if "\\" in quoted else quoted


def kind_of(name: str, kinds: dict[str, str]) -> str:
    """ "counter" or "gauge" of one series: by what its family was said to be, else by the end of its name."""
    told = kinds.get(name)
    if told is None:
        stem, _, end = name.rpartition("_")
        told = kinds.get(stem) if end in ("bucket", "sum", "count", "total", "created", "info") else None
        if told in ("histogram", "summary"):
            return "counter" if end in ("bucket", "sum", "count") else "gauge"
        if told == "counter":
            return "counter" if end == "total" else "gauge"
        if told == "info":
            return "gauge"
    elif told not in ("untyped", "unknown"):
        return "counter" if told == "counter" else "gauge"
    return "counter" if name.endswith(COUNTERS) else "gauge"
