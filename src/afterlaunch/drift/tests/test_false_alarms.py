"""What is told of false alarms in a month: from run lengths, for one and for all, and never 0 where it is not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as any_of

from afterlaunch.drift import sequential
from afterlaunch.drift.false_alarms import MONTH, NOT_KNOWN, FalseAlarms, a_month, of_document, together
from afterlaunch.drift.sequential import Promise, State

RATES = any_of.none() | any_of.floats(0, 1e6)


def test_once_in_a_thousand_hours_is_three_in_four_months() -> None:
    assert a_month(1_000) == pytest.approx(0.73, abs=0.001)
    assert a_month(200, every=24) == pytest.approx(30.44 / 200, abs=0.001)
    assert FalseAlarms(a_month(1_000), a_month(500)).told == "at most 0.73 breaches and at most 1.5 warnings"
    assert FalseAlarms(0.0, a_month(1e9)).told == "no breaches and less than 0.001 warnings"


@settings(max_examples=60, deadline=None)
@given(any_of.lists(any_of.tuples(RATES, RATES), max_size=6))
def test_a_sum_with_what_is_not_known_is_not_known(rates: list[tuple[float | None, float | None]]) -> None:
    whole = together(FalseAlarms(*one) for one in rates)
    for told, values in ((whole.breaches, [one[0] for one in rates]), (whole.warnings, [one[1] for one in rates])):
        known = [value for value in values if value is not None]
        assert told == (sum(known) if values and len(known) == len(values) else None)


@settings(max_examples=60, deadline=None)
@given(RATES, RATES)
def test_what_is_kept_is_what_was_told(breaches: float | None, warnings: float | None) -> None:
    one = FalseAlarms(breaches, warnings)
    again = of_document(one.as_document())
    for had, has in ((one.breaches, again.breaches), (one.warnings, again.warnings)):
        assert (had is None) == (has is None)
        assert had is None or has is None or has == pytest.approx(had, rel=1e-5)
    assert ("not known" in one.told) == (breaches is None or warnings is None)
    assert "0" not in NOT_KNOWN.told and of_document(None) == NOT_KNOWN


def test_charts_of_a_month_warn_and_page_no_more_than_is_told() -> None:
    """200 streams without drift over 730 hours, each with a promise of once in 1,000."""
    random = np.random.default_rng(5)
    streams, shares, hours = 200, np.full(40, 1 / 40), round(MONTH)
    known, state = sequential.ranks(random.multinomial(5_000, shares, streams)), State.fresh(streams)
    promise = Promise()
    warned = paged = 0
    for _ in range(hours):
        state, signals = sequential.step(known, state, random.multinomial(300, shares, streams), promise)
        warned, paged = warned + int(signals.warned.sum()), paged + int(signals.paged.sum())
    told = FalseAlarms(a_month(promise.page_arl), a_month(promise.warning_arl))
    assert told.breaches and told.warnings
    assert paged / streams <= told.breaches
    assert warned / streams <= told.warnings + 3 * (told.warnings / streams) ** 0.5
