"""A second table as a witness: what is equal, what differs, and why; nothing is priced by it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.ground.errors import Invalid
from afterlaunch.prices import witness
from afterlaunch.prices.book import Book, Own
from afterlaunch.prices.rows import Amount, Row, Source

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def entry(provider: str = "openai", **prices: float) -> dict[str, Any]:
    return {"litellm_provider": provider, "mode": "chat", **prices}


GPT_4O = entry(input_cost_per_token=2.5e-06, output_cost_per_token=1e-05, cache_read_input_token_cost=1.25e-06)


def test_equal_differing_unknown_and_what_is_no_price_by_token_are_told_apart() -> None:
    table = {
        "gpt-4o": GPT_4O,
        "openai/gpt-4o": GPT_4O,  # the same model again
        "claude-sonnet-4-5": entry("anthropic", input_cost_per_token=3e-06, output_cost_per_token=1.6e-05),
        "gpt-of-nobody": entry(input_cost_per_token=1e-06),
        "dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
        "sample_spec": {"litellm_provider": "one of …", "mode": "one of: …", "input_cost_per_token": 0.0},
    }
    found = witness.compare(table, NOW)
    assert (found.equal, found.differing, found.unread) == (1, 1, 2)
    assert found.unknown == ["openai/gpt-of-nobody"]
    assert [one.words for one in found.disagreements] == ["anthropic/claude-sonnet-4-5: output is $15 here, $16 there"]


def test_a_difference_that_is_a_date_or_an_own_price_says_so() -> None:
    o3 = {"o3": entry(input_cost_per_token=1e-05, output_cost_per_token=4e-05)}
    found = witness.compare(o3, NOW).disagreements
    assert [(int(one.ours), int(one.theirs)) for one in found] == [(2, 10), (8, 40)]
    assert all("the price that held here until 2025-06-10" in one.why for one in found)
    row = Row("contract", {"input": Amount(Decimal(2)), "output": Amount(Decimal(10))}, Source("override", "1"))
    own = witness.compare({"gpt-4o": GPT_4O}, NOW, Book((Own("openai", "gpt-4o", row),), version="1"))
    assert [(one.what, one.why) for one in own.disagreements] == [("input", "here an own price is in force")]


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"gpt-4o": {"mode": "chat"}}'])
def test_another_file_is_refused_with_a_hint(body: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        witness.read(body)
    assert "LiteLLM" in refused.value.hint


@pytest.mark.parametrize("value", [float("nan"), -1.0, True, None, "x", [], 1e400])
def test_a_price_that_is_none_is_not_compared(value: Any) -> None:
    assert witness.compare({"gpt-4o": {**entry(), "input_cost_per_token": value}}, NOW).unread == 1


def test_the_command_tells_the_differences_and_ends_with_one(tmp_path: Any) -> None:
    file = tmp_path / "prices.json"
    file.write_bytes(orjson.dumps({"gpt-4o": {**GPT_4O, "output_cost_per_token": 2e-05}}))
    told = CliRunner().invoke(app, ["price", "compare", str(file), "--at", "2026-11-22"])
    assert told.exit_code == 1 and "openai/gpt-4o: output is $10 here, $20 there" in told.output
    document = CliRunner().invoke(app, ["price", "compare", str(file), "--json", "--provider", "anthropic"])
    assert document.exit_code == 0 and orjson.loads(document.stdout)["differences"] == []
