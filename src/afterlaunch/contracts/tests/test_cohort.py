"""Cohorts against published vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.real_input import real

from afterlaunch.contracts.cohort import bucket, cbor_text, in_candidate, murmur3_32


@pytest.fixture(scope="module")
def vectors() -> Any:
    return json.loads(real("vectors/delivery/bucketing.json").read_text())


def test_the_hash_is_murmur3(vectors: Any) -> None:
    for text, expected in vectors["murmur3_32_seed0"]:
        assert murmur3_32(text.encode()) == expected


def test_a_flag_and_a_key_land_in_the_published_bucket(vectors: Any) -> None:
    for case in vectors["shorthand"]:
        encoded = b"\x82" + cbor_text(case["flag"]) + cbor_text(case["key"])
        assert encoded.hex() == case["cbor_hex"]
        assert [murmur3_32(encoded), bucket(case["flag"], case["key"])] == case["flagd_cbor_v2"][:2]


def test_shares_hold_what_they_say_and_whoever_is_in_stays_in(vectors: Any) -> None:
    ramp = vectors["ramp_20000_keys"]
    buckets = [bucket(ramp["flag"], f"u{number}") for number in range(20_000)]
    counts = [sum(b < share for b in buckets) for share in ramp["candidate_weight_of_10000"]]
    assert counts == ramp["in_candidate"]


def test_a_share_of_nothing_is_nobody_and_of_all_is_everybody() -> None:
    assert not any(in_candidate("route", "salt", f"u{number}", 0) for number in range(100))
    assert all(in_candidate("route", "salt", f"u{number}", 10_000) for number in range(100))


def test_another_salt_draws_other_people() -> None:
    first, second = (
        {number for number in range(2_000) if in_candidate("route", salt, f"u{number}", 1_000)} for salt in "ab"
    )
    assert first != second and abs(len(first) - 200) < 60
