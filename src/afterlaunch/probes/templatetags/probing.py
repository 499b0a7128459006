"""Bars of days, and shares of uptime as they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from afterlaunch.probes.times import Day
from afterlaunch.probes.uptime import shown

register = template.Library()
WELL, BAD = 0.999, 0.99
STEP = 3


def tone(share: float | None) -> str:
    if share is None:
        return "not_assessed"
    return "ok" if share >= WELL else "warning" if share >= BAD else "breach"


@register.simple_tag
def days(rows: Sequence[Day]) -> SafeString:
    """One bar a day; a day of which nothing is known is outlined, never green."""
    bars = format_html_join(
        "",
        '<rect class="{}" x="{}" y="0" width="2" height="20"><title>{}: {} ({})</title></rect>',
        (
            (tone(one.uptime.share), place * STEP, one.day.isoformat(), shown(one.uptime.share), one.uptime.formula)
            for place, one in enumerate(rows)
        ),
    )
    return format_html(
        '<svg class="bars" viewBox="0 0 {} 20" preserveAspectRatio="none" role="img" aria-label="{} days">{}</svg>',
        len(rows) * STEP,
        len(rows),
        bars,
    )


register.filter("uptime", shown)
