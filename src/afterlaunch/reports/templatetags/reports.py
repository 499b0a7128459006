"""Lines of a report as HTML. `{% load reports %}`."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from afterlaunch.reports.blocks import Chart, Figure, Jump, Line, Mark, Name, Part, Table
from afterlaunch.reports.names import plain

register = template.Library()


@register.simple_tag
def part(one: Part, base: str) -> SafeString:
    """One part of a line; `base` is put before a link's path."""
    if isinstance(one, Figure):
        return format_html('<a href="{}{}">{}</a>', base, one.path, plain(one.text))
    if isinstance(one, Jump):
        return format_html('<a href="#{}">{}</a>', one.anchor, one.text)
    if isinstance(one, Name):
        return format_html('<code dir="auto">{}</code>', plain(one.text))
    if isinstance(one, Mark):
        return format_html('<span class="mark {}">{}</span>', one.tone, plain(one.text))
    return format_html("{}", plain(one))


@register.simple_tag
def line(parts: Line, base: str) -> SafeString:
    return format_html_join("", "{}", ((part(one, base),) for one in parts))


@register.simple_tag
def drawn(chart: Chart, base: str) -> SafeString:
    """A chart with its links made whole. Everything in it was escaped when it was drawn, so that no text of others
    can hold the attribute that is looked for."""
    return mark_safe(chart.svg.replace('<a href="/', format_html('<a href="{}/', base)))  # noqa: S308


@register.filter
def kind(block: object) -> str:
    return type(block).__name__.lower()


@register.filter
def with_columns(table: Table) -> list[list[tuple[bool, Line]]]:
    """The rows as (is a number, cell) pairs."""
    return [[(column.number, cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]
