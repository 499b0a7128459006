"""What is done about which failure, without a network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.gateway import failures
from afterlaunch.gateway.decisions import ELSEWHERE, GIVE, NEXT, Do, Standing, Step, decide
from afterlaunch.gateway.failures import Failure, of_answer, of_broken, retry_after

AT = Standing(left=2, again=0, others=True, larger=False, spare=True, seconds=60, longest_wait=2)
ALONE = AT._replace(others=False)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, b"", "auth"),
        (402, b"", "quota_exhausted"),
        (404, b"", "model_not_found"),
        (408, b"", "timeout"),
        (400, b'{"error":{"code":"context_length_exceeded"}}', "context_length"),
        (413, b"prompt is too long: 210000 tokens", "context_length"),
        (400, b'{"error":{"code":"content_filter"}}', "content_filter"),
        (400, b'{"error":{"message":"bad"}}', "invalid_request"),
        (422, b"", "invalid_request"),
        (418, b"", "invalid_request"),
        (429, b"", "rate_limited"),
        (429, b'{"error":{"code":"insufficient_quota"}}', "quota_exhausted"),
        (429, b"Your credit balance is too low", "quota_exhausted"),
        (429, b"model is temporarily rate-limited upstream", "overloaded"),
        (500, b"", "provider_error"),
        (502, b"", "provider_error"),
        (503, b"", "overloaded"),
        (529, b"", "overloaded"),
    ],
)
def test_an_answers_kind(status: int, said: bytes, kind: str) -> None:
    found = of_answer(status, [], said)
    assert found is not None and found.kind == kind


def test_what_is_no_failure() -> None:
    assert of_answer(200, [], b"") is None and of_answer(304, [], b"") is None


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        (b"retry-after", b"3", 3.0),
        (b"retry-after", b"0.5", 0.5),
        (b"retry-after-ms", b"250", 0.25),
        (b"retry-after", b"Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        (b"retry-after", b"soon", None),
        (b"retry-after", b"-1", None),
        (b"x-other", b"3", None),
    ],
)
def test_how_long_to_wait(name: bytes, value: bytes, seconds: float | None) -> None:
    assert retry_after([(name, value)]) == seconds


def test_a_connection_that_could_not_be_made_is_tried_again_and_then_elsewhere() -> None:
    refused = of_broken("unreachable")
    assert decide(refused, AT, 0.0).do is Do.AGAIN
    assert decide(refused, AT._replace(again=1), 0.0) == NEXT
    assert decide(refused, ALONE._replace(again=1), 0.0) == GIVE


def test_a_request_that_may_have_arrived_is_not_sent_there_twice() -> None:
    assert decide(of_broken("cut"), ALONE, 0.0) == GIVE
    assert decide(of_broken("cut"), AT, 0.0) == NEXT


def test_patience_is_bounded() -> None:
    assert decide(Failure("rate_limited", wait=1.5), AT, 0.0) == Step(Do.AGAIN, 1.5)
    assert decide(Failure("rate_limited", wait=3.0), AT, 0.0) == NEXT
    assert decide(Failure("rate_limited", wait=3.0), ALONE, 0.0) == GIVE
    assert decide(Failure("rate_limited", wait=1.5), ALONE._replace(seconds=1.0), 0.0) == GIVE
    assert decide(Failure("rate_limited"), AT, 0.5) == NEXT


def test_an_overload_goes_elsewhere_after_a_pause() -> None:
    assert decide(Failure("overloaded"), AT, 0.8) == Step(Do.NEXT, 0.2)
    assert decide(Failure("overloaded"), ALONE, 0.8).do is Do.AGAIN


def test_what_the_caller_must_mend_goes_to_the_caller() -> None:
    for kind in ("invalid_request", "content_filter"):
        assert decide(Failure(kind), AT, 0.0) == GIVE


def test_what_is_too_long_goes_only_where_it_fits() -> None:
    assert decide(Failure("context_length"), AT, 0.0) == GIVE
    assert decide(Failure("context_length"), AT._replace(larger=True), 0.0) == NEXT


def test_repeats_stop_when_their_budget_is_spent() -> None:
    assert decide(Failure("provider_error"), ALONE, 0.0).do is Do.AGAIN
    assert decide(Failure("provider_error"), ALONE._replace(spare=False), 0.0) == GIVE


KINDS = st.sampled_from([failures.CONTEXT, failures.CONTENT, failures.INVALID, *sorted(ELSEWHERE)])
STANDINGS = st.builds(
    Standing,
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.floats(0, 100),
    st.floats(0, 60),
)


@given(KINDS, st.none() | st.floats(0, 1e6), st.booleans(), STANDINGS, st.floats(0, 1, exclude_max=True))
def test_no_step_goes_beyond_what_is_left(
    kind: str, wait: float | None, sent: bool, at: Standing, chance: float
) -> None:
    step = decide(Failure(kind, wait, sent), at, chance)
    if step.do is not Do.GIVE:
        assert at.left > 0 and step.wait < at.seconds and step.wait <= at.longest_wait
        assert at.others or at.larger or step.do is Do.AGAIN
        assert step.do is Do.NEXT or at.spare
