"""A model's price is found by the names that libraries write."""

from datetime import UTC, datetime

import pytest

from afterlaunch.prices.table import rates

AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("provider", "written", "plain"),
    [
        ("openai", "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("anthropic", "anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("gcp.gemini", "gemini/gemini-2.5-flash", "gemini-2.5-flash"),
    ],
)
def test_litellm_writes_the_provider_in_front(provider: str, written: str, plain: str) -> None:
    assert rates(provider, written, AT) == rates(provider, plain, AT) is not None


def test_somebody_elses_model_of_a_known_name_has_no_price() -> None:
    assert rates("openai", "acme/gpt-4o-mini", AT) is None and rates("openai", "openai/", AT) is None
