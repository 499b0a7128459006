"""What a secret, an address, a phone number and a card number look like in free text. Pure.

Two descriptions of the same things. `SUSPICIOUS` is one regular expression for RE2, which reads every text once and in
linear time: it may suspect too much, never too little. `masked` then looks exactly at the few texts that it chose. Its
expressions give nothing back of what they have read without a bound (possessive quantifiers), so that no text makes
them slow. Texts are often JSON: an escape (`\\n`) before a word is no part of the word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

import re2

from afterlaunch.ground.sensitive.numbers import cards, phone_end

Stand = Callable[[str, str], str]
KINDS = ("private key", "password", "token", "e-mail", "card", "phone")
MANY = 50  # so many doubtful numbers of one text are looked up; what comes then is masked unasked
_ESCAPED = r"(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})"
_TOKEN_STARTS = (
    "sk-", "pk-", "rk-", "sk_live_", "sk_test_", "pk_live_", "pk_test_", "rk_live_", "rk_test_", "gsk_", "xai-", "hf_",
    "alt_", "al_", "whsec_", "npm_", "pypi-", "glpat-", "dop_v1_", "shpat_", "nvapi-", "r8_", "lin_api_", "dapi",
)  # fmt: skip
_STARTS = "|".join(sorted(_TOKEN_STARTS, key=len, reverse=True))
_CLOUD = "AKIA", "ASIA", "AROA", "AIDA", "ABIA", "ACCA"
_NAMED = (
    "passwd|password|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key"
    "|client[_-]?secret|auth[_-]?token|access[_-]?token|refresh[_-]?token|session[_-]?token|id[_-]?token"
)
_ASSIGN = r"[\"'\\]{0,3}\s{0,3}[:=]\s{0,3}"
_CALLED = r"(?i:telephone|telefon|tel|phone|mobile|cell|fax|handy|whatsapp)(?i:[ _-]?(?:number|nummer|no|nr))?"
_NO_VALUE = ("string", "null", "none", "true", "false", "undefined", "required", "optional")


def _after(characters: str) -> str:
    """Not within a word of these characters; an escape before it is no part of it."""
    return rf"(?:(?<![{characters}\\])|{_ESCAPED})"


_WORD, _NUMBER, _LOCAL = _after("A-Za-z0-9"), _after("A-Za-z0-9.+"), _after(r"\w.%+'-")


@dataclass(frozen=True)
class Rule:
    """`look`: the name of its row in `_LOOKS`; `needs`: one of these stands in every text that holds it; `secret`:
    whether a match is one. A group's text is masked, else all of the match."""

    name: str
    look: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]
    secret: Callable[[re.Match[str]], bool] | None = None


def _mixed(found: re.Match[str]) -> bool:
    """A random token, not words joined by hyphens."""
    return any(one.isdigit() for one in found.group(found.lastindex or 0))


def _value(found: re.Match[str]) -> bool:
    text = found.group(1)
    return not text.startswith("[masked") and text.lower() not in _NO_VALUE


def _rule(
    name: str, look: str, needs: tuple[str, ...], pattern: str, secret: Callable[[re.Match[str]], bool] | None = None
) -> Rule:
    return Rule(name, look, needs, re.compile(pattern, re.S), secret)


_RULES = (
    _rule(
        "private key",
        "private key",
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    _rule("password", "password in an address", ("://",), r"://[^/\s:@\"']{0,256}+:([^/\s@\"']{1,256}+)@"),
    _rule(
        "token",
        "known beginnings",
        ("eyJ",),
        rf"{_WORD}eyJ[A-Za-z0-9_-]{{8,}}+\.[A-Za-z0-9_-]{{8,}}+(?:\.[A-Za-z0-9_-]*+)*+",
    ),
    _rule("token", "known beginnings", _CLOUD, rf"{_WORD}(?:{'|'.join(_CLOUD)})[A-Z0-9]{{16,}}+"),
    _rule(
        "token", "known beginnings", ("gh", "github_pat_"), rf"{_WORD}(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{{20,}}+"
    ),
    _rule(
        "token",
        "known beginnings",
        ("AIza", "ya29."),
        rf"{_WORD}(?:AIza[A-Za-z0-9_-]{{30,}}+|ya29\.[A-Za-z0-9_-]{{20,}}+)",
    ),
    _rule("token", "known beginnings", ("xox", "xapp-"), rf"{_WORD}(?:xox[a-z]|xapp)-[A-Za-z0-9-]{{10,}}+"),
    _rule(
        "token",
        "known beginnings",
        ("hooks.slack.com",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([^\s\"'\\]{8,}+)",
    ),
    _rule("token", "known beginnings", ("SG.",), rf"{_WORD}SG\.[A-Za-z0-9_-]{{16,}}+\.[A-Za-z0-9_-]{{16,}}+"),
    _rule("token", "known beginnings", _TOKEN_STARTS, rf"{_WORD}(?:{_STARTS})[A-Za-z0-9_-]{{14,}}+", _mixed),
    _rule(
        "token",
        "known beginnings",
        ("earer", "EARER", "asic", "ASIC"),
        rf"(?i:{_WORD}(?:bearer|basic))\s{{1,3}}([A-Za-z0-9._~+/=-]{{12,}}+)",
        _mixed,
    ),
    _rule(
        "password",
        "password",
        (),
        rf"(?i:(?<![A-Za-z])(?:{_NAMED})){_ASSIGN}\\{{0,3}}[\"']([^\"'\\\n]{{4,256}}+)",
        _value,
    ),
    _rule("password", "password", (), rf"(?i:(?<![A-Za-z])(?:{_NAMED})){_ASSIGN}([^\s\"'\\,;&]{{4,256}}+)", _value),
    _rule(
        "e-mail",
        "e-mail",
        ("@", "%40"),
        rf"{_LOCAL}(?:[\w.+'-]|%(?!40))++(?:@|%40)(?:[\w-]{{1,63}}\.){{1,8}}[^\W\d_][\w-]{{1,24}}",
    ),
)
_CARDS = re.compile(rf"{_NUMBER}\d(?:[ -]?\d){{12,}}+")
_PHONES = re.compile(rf"{_after('A-Za-z0-9.+-')}(?:\+\d|00[1-9])[\d ().\-/\xa0]{{5,30}}+")
_LOCAL_PHONES = re.compile(
    rf"{_after('A-Za-z0-9.+:/-')}(?:\([2-9]\d\d\) ?\d{{3}}[ .-]\d{{4}}|[2-9]\d\d-\d{{3}}-\d{{4}}"
    r"|[2-9]\d\d([. ])[2-9]\d\d\1\d{4})(?![A-Za-z0-9-])"
)
_CALLED_PHONES = re.compile(rf"(?<![A-Za-z]){_CALLED}[\"'\\ .:=#]{{1,6}}(\(?0[\d ()/.-]{{6,18}}\d)(?![A-Za-z0-9-])")

_BYTE_ESCAPED = r"\\[nrtbf]|\\u[0-9a-fA-F]{4}"
_START, _DIGITS = rf"(?:^|[^A-Za-z0-9]|{_BYTE_ESCAPED})", rf"(?:^|[^0-9A-Za-z.+]|{_BYTE_ESCAPED})"
_LOOKS = {
    "private key": r"PRIVATE KEY",
    "password in an address": r"://[^/\s:@\"']*:[^/\s@\"']+@",
    "known beginnings": "|".join(
        (
            r"eyJ[A-Za-z0-9_-]{8}",
            rf"(?:{'|'.join(_CLOUD)})[A-Z0-9]{{4}}",
            r"gh[pousr]_|github_pat_|AIza|ya29\.",
            r"xox[a-z]-|xapp-|hooks\.slack\.com|SG\.[A-Za-z0-9_-]{4}",
            rf"{_START}(?:{_STARTS})[A-Za-z0-9_-]{{6}}",
            r"(?i:bearer|basic)\s{1,3}[A-Za-z0-9._~+/=-]{12}",
        )
    ),
    "password": rf"(?i:{_NAMED}){_ASSIGN}\S",
    "e-mail": r"[^ ](?:@|%40)[^ @.]+\.",
    "card": rf"{_DIGITS}[2-6](?:[ -]?\d){{12}}",
    "phone": rf"\+\d[\d ().\-/\xc2\xa0]{{5}}|{_DIGITS}00[1-9][\d ().\-/\xc2\xa0]{{5}}",
    "local phone": r"[2-9]\d\d(?:\) ?|[ .-])\d{3}[ .-]\d{4}",
    "called phone": rf"{_CALLED}[\"'\\ .:=#]{{1,6}}\(?0",
}
"""Of UTF-8 as bytes. No part of it repeats a long class without a fixed beginning: RE2 would run out of states."""
SUSPICIOUS = re2.compile("|".join(_LOOKS.values()).encode())
_SUSPECT = {name: re2.compile(look.encode()) for name, look in _LOOKS.items()}


def mark(name: str) -> str:
    """What stands where something was."""
    return f"[masked: {name}]"


def _mark_of(name: str, _: str) -> str:
    return mark(name)


def masked(text: str, kinds: Collection[str] = KINDS, stand: Stand = _mark_of) -> str:
    """`text` with every secret and personal number that we know the look of, of these kinds, replaced by its kind, or
    by what `stand` makes of the kind and the original."""
    looks = text.encode("utf-8", "surrogatepass")
    if SUSPICIOUS.search(looks) is None:
        return text
    suspected = {name for name, look in _SUSPECT.items() if look.search(looks)}
    for rule in _RULES:
        if rule.name not in kinds or rule.look not in suspected:
            continue
        if not rule.needs or any(one in text for one in rule.needs):
            text = rule.pattern.sub(_replacing(rule, stand), text)
    if "card" in suspected and "card" in kinds:
        text = _CARDS.sub(lambda found: _cards(found, stand), text)
    if "phone" not in kinds:
        return text
    if "phone" in suspected:
        text = _phones(text, stand)
    if "local phone" in suspected:
        text = _LOCAL_PHONES.sub(lambda found: stand("phone", found.group()), text)
    if "called phone" in suspected:
        text = _CALLED_PHONES.sub(lambda found: _cut(found, "phone", stand), text)
    return text


def _replacing(rule: Rule, stand: Stand) -> Callable[[re.Match[str]], str]:
    def replace(found: re.Match[str]) -> str:
        if rule.secret is not None and not rule.secret(found):
            return found.group()
        return _cut(found, rule.name, stand)

    return replace


def _cut(found: re.Match[str], name: str, stand: Stand) -> str:
    """The match with its group, or all of it, replaced."""
    whole, begin, end = found.group(), *found.span(found.re.groups and 1)
    first, last = begin - found.start(), end - found.start()
    return whole[:first] + stand(name, whole[first:last]) + whole[last:]


def _cards(found: re.Match[str], stand: Stand) -> str:
    whole, out, at = found.group(), [], 0
    following = found.string[found.end() : found.end() + 1]
    glued = following.isascii() and following.isalnum()  # its last digits belong to a word
    for begin, end in cards(whole.rstrip("0123456789") if glued else whole):
        out += [whole[at:begin], stand("card", whole[begin:end])]
        at = end
    return "".join([*out, whole[at:]])


def _phones(text: str, stand: Stand) -> str:
    asked = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal asked
        asked += 1
        whole = found.group()
        end = phone_end(whole) if asked <= MANY else len(whole.rstrip(" ().-/\xa0"))
        return whole if end is None else stand("phone", whole[:end]) + whole[end:]

    return _PHONES.sub(replace, text)
