"""The words of the search box: `model:gpt-4o tenant:acme cost>0.01 duration>2s "refund policy"`. Pure.

A term is 1. FIELD:VALUE (VALUE,VALUE for any of them; VALUE* for what begins so, *VALUE* for what holds it; * for
what is told at all), 2. FIELD>NUMBER and >=, <, <=, =, 3. attribute:KEY=VALUE or attribute:KEY, 4. a word or
"several words": text in the content, in any case. A minus in front turns a term round. All terms hold at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.views import fields
from afterlaunch.telemetry.views.fields import ALIASES, ATTRIBUTES, FIELDS, Field

HELP = 'For example model:gpt-4o tenant:acme cost>0.01 duration>2s error:rate_limited "refund policy"'
MOST_TERMS, LONGEST = 40, 2_000
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TERM = re.compile(
    rf"(?P<minus>-)?(?:(?P<field>[A-Za-z_]\w*)(?P<sign>>=|<=|[:><=])(?P<value>(?:{_QUOTED}|[^\s\"])*)"
    rf"|(?P<text>{_QUOTED}|[^\s\"]+))(?=\s|$)"
)
_PART = re.compile(rf"(?:{_QUOTED}|[^,\"])+")
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3_600 * 10**9}
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
_SIZE = re.compile(r"(-?[\d.]+)\s*([a-zµA-Z]*)")
_WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class Term:
    """`field` is empty for text, and "attribute" for an attribute, whose key is `key`."""

    field: str
    sign: str
    values: tuple[str, ...]
    key: str = ""
    turned: bool = False

    def __str__(self) -> str:
        said = ",".join(_quoted(value, bool(self.field)) for value in self.values)
        if self.field == "attribute":
            said = _quoted(f"{self.key}={self.values[0]}" if self.values else self.key)
        minus = "-" if self.turned else ""
        return f"{minus}{self.field}{self.sign}{said}" if self.field else f"{minus}{said}"


@dataclass(frozen=True)
class Search:
    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)

    def also(self, field: str, value: str) -> Search:
        """With one more term, or with another value where the field is asked for already."""
        kept = tuple(term for term in self.terms if term.field != field or term.sign != ":")
        return replace(self, terms=(*kept, Term(field, ":", (value,))))

    def lacking(self, field: str) -> Search:
        """Of what does not tell the field."""
        kept = tuple(term for term in self.terms if term.field != field or term.sign != ":")
        return replace(self, terms=(*kept, Term(field, ":", ("*",), turned=True)))

    def without(self, term: Term) -> Search:
        return replace(self, terms=tuple(one for one in self.terms if one != term))

    @property
    def texts(self) -> list[str]:
        return [term.values[0].lower() for term in self.terms if not term.field and not term.turned]

    def equals(self) -> dict[str, str | None]:
        """As exact values of dimensions, which is all that sums can be narrowed by. Raises Invalid."""
        out: dict[str, str | None] = {}
        for term in self.terms:
            name = {"kind": "op_kind"}.get(term.field, term.field)
            plain = term.sign == ":" and len(term.values) == 1 and "*" not in term.values[0] and not term.turned
            if term.sign == ":" and term.values == ("*",) and term.turned and name in DIMENSIONS:
                out[name] = None
            elif name not in DIMENSIONS or not plain or name in out:
                raise Invalid(
                    f"Sums can't be narrowed by {term}.",
                    "Here only exact values work, of " + ", ".join(DIMENSIONS) + ". The list of calls takes anything.",
                )
            else:
                out[name] = term.values[0]
        return out


def parse(text: str) -> Search:
    """Raises Invalid with what is wrong and what would be right."""
    if len(text) > LONGEST:
        raise Invalid(f"The search is longer than {LONGEST} characters.", "Leave something out.")
    terms, at = [], 0
    while (rest := text[at:].lstrip()) and (at := len(text) - len(rest)) < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise Invalid(f"The search can't be read from here: {rest[:40]}", "Quotes come in pairs. " + HELP)
        terms.append(_term(found))
        at = found.end()
    if len(terms) > MOST_TERMS:
        raise Invalid(f"More than {MOST_TERMS} terms.", "Leave something out.")
    return Search(tuple(terms))


def _term(found: re.Match[str]) -> Term:
    turned = bool(found["minus"])
    if found["text"]:
        return Term("", "", (_plain(found["text"]),), turned=turned)
    name, sign = found["field"].lower(), found["sign"]
    name = {"attr": "attribute"}.get(name, ALIASES.get(name, name))
    if name == "attribute":
        key, _, value = _plain(found["value"]).partition("=")
        if not key or sign != ":":
            raise Invalid("An attribute is asked for by attribute:KEY=VALUE.", HELP)
        return Term(name, ":", (_plain(value),) if value else (), key, turned)
    if name not in FIELDS:
        raise Invalid(f"There is no field {name!r}.", f'Fields: {", ".join(FIELDS)}. As text: "{found[0]}"')
    values = tuple(_plain(part) for part in _PART.findall(found["value"]))
    if not values:
        raise Invalid(f"{found[0]} asks for nothing.", f"{name}:* finds what tells any {name}, -{name}:* the rest.")
    term = Term(name, sign, values, turned=turned)
    _check(term, FIELDS[name])
    return term


def _plain(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _quoted(text: str, in_list: bool = False) -> str:
    safe = re.fullmatch(r'[^\s",]+' if in_list else r'[^\s":<>=]+', text) and not text.startswith("-")
    return text if safe else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check(term: Term, field: Field) -> None:
    if term.sign != ":" and field.kind not in (fields.NUMBER, fields.DURATION, fields.MONEY):
        raise Invalid(f"{field.name} is no number.", f"Write {field.name}:VALUE")
    if term.values != ("*",):
        for value in term.values:
            _value(field, value)


def _value(field: Field, text: str) -> Any:
    """As the column holds it. Raises Invalid."""
    if field.kind == fields.YES_NO:
        if text.lower() not in _WORDS:
            raise Invalid(f"{field.name} is yes or no, not {text!r}.", f"{field.name}:yes")
        return _WORDS[text.lower()]
    if field.kind == fields.ID:
        width = 32 if field.name == "trace" else 16
        if not re.fullmatch(rf"[0-9a-fA-F]{{{width}}}", text):
            raise Invalid(f"{text!r} is no {field.name} id.", f"{width} hex digits")
        return text.lower()
    if field.kind not in (fields.NUMBER, fields.DURATION, fields.MONEY):
        return text
    told = _SIZE.fullmatch(text)
    try:
        number = Decimal(told[1]) if told else None
    except InvalidOperation:
        number = None
    units = _UNITS if field.kind == fields.DURATION else {"": 10**9, "usd": 10**9} if field.kind == "money" else _TIMES
    if told is None or number is None or told[2].lower() not in units:
        hint = {fields.DURATION: "2s, 150ms, 3min", fields.MONEY: "0.01 (USD)"}.get(field.kind, "200, 10k")
        raise Invalid(f"{field.name} can't be {text!r}.", f"For example {field.name}>{hint}")
    scaled = max(Decimal(-(2**62)), min(Decimal(2**62), number * units[told[2].lower()]))
    return int(scaled) if units is not _TIMES or scaled == int(scaled) else float(scaled)


Sql = tuple[str, list[Any]]


def conditions(search: Search, table: str) -> tuple[Sql, Sql]:
    """What the rows of `table` ("calls" or "spans") must tell, and, of calls, what one of their spans must tell:
    SQL with parameters; the second is empty where nothing is asked of spans."""
    own: list[Sql] = []
    of_spans: list[Sql] = []
    for term in search.terms:
        field = FIELDS.get(term.field)
        if table == "calls" and field is not None and field.calls:
            own.append(_compared(term, field, field.calls))
        elif field is not None and not field.spans:
            raise Invalid(f"Only calls tell {field.name}.", "Search calls, or leave it out.")
        else:
            sql = _of_span(term) if field is None else _compared(term, field, field.spans)
            (of_spans if table == "calls" else own).append(sql)
    return _together(own), _together(of_spans)


def _together(parts: list[Sql]) -> Sql:
    return " and ".join(sql for sql, _ in parts), [one for _, parameters in parts for one in parameters]


def _turned(term: Term, sql: str) -> str:
    return f"not coalesce({sql}, false)" if term.turned else f"({sql})"


def _of_span(term: Term) -> Sql:
    if not term.field:
        sql = " or ".join(f"position(? in lower({name})) > 0" for name in fields.TEXTS)
        return _turned(term, sql), [term.values[0].lower()] * len(fields.TEXTS)
    column = ATTRIBUTES.get(term.key)
    if not term.values:
        sql = "map_contains(attributes, ?)" + (f" or {column} is not null" if column else "")
        return _turned(term, sql), [term.key]
    sql = "attributes[?] = ?" + (f" or {column} = ?" if column else "")
    return _turned(term, sql), [term.key, *[term.values[0]] * (2 if column else 1)]


def _compared(term: Term, field: Field, column: str) -> Sql:
    if term.values == ("*",):
        return _turned(term, f"{column} is not null"), []
    if term.sign in (">", ">=", "<", "<="):
        return _turned(term, f"{column} {term.sign} ?"), [_value(field, term.values[0])]
    parts, parameters = [], []
    for text in term.values:
        sql, value = _one(field, column, text)
        parts.append(sql)
        parameters.append(value)
    return _turned(term, " or ".join(parts)), parameters


def _one(field: Field, column: str, text: str) -> tuple[str, Any]:
    if field.kind == fields.ID:
        return f"{column} = unhex(?)", _value(field, text)
    if field.kind == fields.LIST:
        return f"list_contains({column}, ?)", text
    if field.kind == fields.TEXT and len(text) > 1 and text.endswith("*"):
        begin = text[:-1]
        if begin.startswith("*"):
            return f"position(? in lower({column})) > 0", begin[1:].lower()
        return f"substr({column}, 1, {len(begin)}) = ?", begin
    return f"{column} = ?", _value(field, text)


def of_dimensions(equals: Mapping[str, str | None]) -> Search:
    """The search that asks for these values."""
    short = {"op_kind": "kind"}
    return Search(
        tuple(
            Term(short.get(name, name), ":", ("*",), turned=True)
            if value is None
            else Term(short.get(name, name), ":", (value,))
            for name, value in equals.items()
        )
    )
