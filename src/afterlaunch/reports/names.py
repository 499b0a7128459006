"""Text that telemetry or people gave, made fit to be shown. Pure."""

from __future__ import annotations

import re
import unicodedata

# Signs that turn the direction of what follows: a name must not rewrite the words beside it.
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_WRITTEN = re.compile(r"[\\`*_\[\]<>&|~#$]")
_ADDRESSES = re.compile(r"(?i)(://|www\.|@)")


def plain(text: str) -> str:
    """One line, without control and direction signs; each becomes U+FFFD."""
    return "".join(
        "\ufffd" if sign in TURNING or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in text
    )


def markdown(text: str) -> str:
    """Text as Markdown (CommonMark with GFM) that shows exactly it: no link, no HTML, no table cell, no emphasis."""
    safe = _WRITTEN.sub(lambda found: "\\" + found.group(), plain(text))
    return _ADDRESSES.sub(
        lambda found: found.group()[:-1] + "\\" + found.group()[-1] if found.group() != "@" else "\\@", safe
    )


def code(text: str, cell: bool) -> str:
    """A name as a code span, fenced with more backticks than it holds; in a `cell` of a table GFM wants the bar escaped
    even there."""
    safe = plain(text).replace("|", "\\|") if cell else plain(text)
    if not safe.strip():
        return "(blank)"
    runs = [len(run) for run in re.findall("`+", safe)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if runs or safe != safe.strip() else ""
    return f"{fence}{pad}{safe}{pad}{fence}"
