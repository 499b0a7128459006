"""What people read: figures, badges, charts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.look import charts, formats
from afterlaunch.look.templatetags import look


@pytest.mark.parametrize(
    ("nano", "said"),
    [(None, "—"), (0, "$0.00"), (12_345_678_900_000, "$12,345.68"), (3_000_000, "$0.0030"), (50, "$0.00000005")],
)
def test_money_is_exact_where_it_is_small_and_a_dash_where_it_is_unknown(nano: int | None, said: str) -> None:
    assert formats.money(nano) == said


def test_a_verdict_that_nobody_knows_is_not_assessed_never_ok() -> None:
    for value in (None, "", "strange"):
        assert "Not assessed" in look.status(value)
    assert "OK" in look.status("ok")


def test_what_telemetry_says_is_never_markup() -> None:
    assert "<b>" not in look.copy("<b>x</b>") and "<b>" not in look.state("x", "<b>")


def test_a_chart_is_drawn_in_the_colours_of_the_page() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    drawn = charts.lines([(at + timedelta(minutes=n), {"a": float(n), "b<i>": None}) for n in range(5)], "ms")
    assert "<svg" in drawn and "var(--series-1)" in drawn and "<i>" not in drawn
    (edge,) = re.findall(r'<use href="#(.+?)"', drawn)  # the axis, which stays where the rest scrolls
    assert drawn.count(f'id="{edge}"') == 1
    assert '<i class="s1"></i>a</li>' in drawn and '<i class="s2"></i>b&lt;i&gt;</li>' in drawn
    assert "legend" not in charts.lines([(at, {"a": 1.0})], "ms")
    assert "Nothing measured" in charts.lines([(at, {"a": None})], "ms")


def test_a_chart_shows_names_of_any_characters_and_length() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for name in ("m" + "😀" * 40, "m" * 31 + "😀" * 40, "ok 😀"):
        drawn = charts.lines([(at + timedelta(days=n), {name: 1.0, "b": 2.0}) for n in range(2)], "USD", "bar")
        assert "<svg" in drawn and name[:2].rstrip("😀") in drawn
    assert "😀" in drawn
