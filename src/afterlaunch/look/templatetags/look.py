"""The small parts as tags. `{% load look %}`; docs/pages.md shows each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from afterlaunch.ground import clock
from afterlaunch.look import formats
from afterlaunch.look.icons import ICONS

register = template.Library()
STATUS = {"ok": "OK", "warning": "Warning", "breach": "Breach", "not_assessed": "Not assessed"}
SEVERITY = {"P1": "breach", "P2": "breach", "P3": "warning", "P4": "not_assessed"}
TONES = {
    "open": "breach",
    "rolled_back": "warning",
    "rolling_out": "warning",
    "resolved": "ok",
    "complete": "ok",
    "approved": "ok",
    "failed": "breach",
    "recovered": "ok",
    "succeeded": "ok",
    "up": "ok",
    "down": "breach",
    "accepted": "ok",
    "delivered": "ok",
    "read": "ok",
    "verified": "ok",
    "realised": "ok",
    "refuted": "warning",
    "late": "warning",
    "overdue": "breach",
    "expired": "warning",
    "failing": "warning",
    "no_data": "not_assessed",
    "rollup_mismatch": "warning",
    "spans_incomplete": "warning",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    drawn = ICONS.get(name) or ICONS["not_assessed"]
    return format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>', mark_safe(drawn))  # noqa: S308


def _badge(tone: str, mark: str, word: str) -> SafeString:
    return format_html('<span class="badge {}">{}{}</span>', tone, icon(mark) if mark else "", word)


@register.simple_tag
def status(value: object) -> SafeString:
    """A verdict: icon and word. Anything unknown is shown as not assessed, never as ok."""
    name = str(getattr(value, "value", value) or "not_assessed")
    name = name if name in STATUS else "not_assessed"
    return _badge(name, name, STATUS[name])


@register.simple_tag
def severity(value: object) -> SafeString:
    name = str(getattr(value, "value", value))
    tone = SEVERITY.get(name, "not_assessed")
    return _badge(tone, "incident" if tone != "not_assessed" else tone, name)


@register.simple_tag
def state(value: object, word: str = "") -> SafeString:
    """A badge for any other state word; its tone comes from TONES."""
    name = str(getattr(value, "value", value))
    tone = TONES.get(name, "plain")
    return _badge(tone, tone if tone in STATUS else "", word or name.replace("_", " ").capitalize())


@register.simple_tag(name="time")
def time_tag(at: datetime | None) -> SafeString | str:
    """An instant in the reader's zone, how long ago in words beside it."""
    if at is None:
        return formats.UNKNOWN
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{} <span class="muted">{}</span></time>',
        at.isoformat(),
        local.strftime("%A %Y-%m-%d %H:%M:%S %Z"),
        local.strftime("%d %b %H:%M"),
        formats.relative(at, clock.now()),
    )


@register.simple_tag
def copy(text: str, label: str = "") -> SafeString:
    """Text to be copied, with a button for it."""
    return format_html(
        '<span class="copy"><code>{}</code><button type="button" class="quiet" data-copy="{}" '
        'aria-label="Copy {}">{}</button></span>',
        text,
        text,
        label or text,
        icon("copy"),
    )


@register.simple_tag
def share(part: float | None, of: float | None = 1) -> SafeString:
    """A bar with its percentage beside it."""
    width = 0 if not part or not of else max(0.0, min(100.0, part / of * 100))
    return format_html(
        '<span class="share"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="100" height="8" class="track"/><rect width="{}" height="8" class="bar"/></svg>'
        "<span>{}</span></span>",
        f"{width:.2f}",
        formats.percent(part, of),
    )


@register.simple_tag
def sparkline(values: list[float | None], label: str = "") -> SafeString:
    return format_html(
        '<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>',
        label or "trend",
        formats.points(values),
    )


@register.inclusion_tag("look/parts/tile.html")
def tile(label: str, value: object, note: object = "", tone: str = "", address: str = "") -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "tone": tone, "address": address}


# Under both names: `empty` reads well, but inside a `for` that word is Django's own.
@register.inclusion_tag("look/parts/empty.html", name="empty")
@register.inclusion_tag("look/parts/empty.html", name="nothing")
def nothing(title: str, advice: str = "", address: str = "", action: str = "") -> dict[str, Any]:
    """Nothing here yet, and what to do next."""
    return {"title": title, "advice": advice, "address": address, "action": action}


@register.inclusion_tag("look/parts/tabs.html")
def tabs(rows: list[tuple[str, str]], current: str) -> dict[str, Any]:
    """Rows of (label, address)."""
    return {"rows": rows, "current": current}


register.filter("plain", formats.plain)
register.filter("money", formats.money)
register.filter("milliseconds", formats.duration_ms)
register.filter("seconds", formats.duration_seconds)
register.filter("count", formats.count)
register.filter("compact", formats.compact)
register.filter("figure", formats.figure)
register.filter("percent_of", formats.percent)
