"""Parts of a difference are named for what they are, and add up to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.spend.drivers import CACHE, FACTORS, MIX, OUTPUT, PRICE, TOKENS, VOLUME, Group, explain
from afterlaunch.telemetry.columns import BUCKETS

PRICES = dict.fromkeys(BUCKETS, 3.0) | {"in_cache_read": 0.3, "out_visible": 15.0, "out_reasoning": 15.0}


def priced(name: str, calls: int, paid: float = 1.0, **buckets: int) -> Group:
    each = {bucket: buckets.get(bucket, 0) * calls for bucket in BUCKETS}
    return Group((name,), calls, round(paid * sum(PRICES[one] * count for one, count in each.items())), each)


def told(before: list[Group], now: list[Group]) -> dict[str, int]:
    return {name: part for name, part in explain(before, now, lambda _: PRICES).parts.items() if abs(part) > 2}


def test_each_cause_is_found_by_its_name() -> None:
    base = priced("a", 100, in_uncached=900, out_visible=100)
    assert told([base], [priced("a", 200, in_uncached=900, out_visible=100)]) == {VOLUME: base.cost_nano}
    assert set(told([base], [priced("a", 100, in_uncached=1_800, out_visible=200)])) == {TOKENS}
    assert set(told([base], [priced("a", 100, 0.8, in_uncached=900, out_visible=100)])) == {PRICE}
    cached = priced("a", 100, in_uncached=100, in_cache_read=800, out_visible=100)
    assert set(told([cached], [base])) == {CACHE}
    assert set(told([base], [priced("a", 100, in_uncached=500, out_visible=500)])) == {OUTPUT}


def test_another_mix_of_models_is_mix_and_not_volume() -> None:
    cheap, dear = priced("cheap", 90, in_uncached=100), priced("dear", 10, 20.0, in_uncached=100)
    more = [priced("cheap", 10, in_uncached=100), priced("dear", 90, 20.0, in_uncached=100)]
    found = explain([cheap, dear], more, lambda _: PRICES)
    assert found.groups[0].key == ("dear",) and found.groups[0].main == MIX
    assert abs(found.parts[MIX] - found.difference) <= 2


def test_what_is_new_or_gone_is_mix() -> None:
    old, new = priced("old", 50, in_uncached=10), priced("new", 70, in_uncached=10)
    found = explain([old], [new], lambda _: None)
    assert found.parts[MIX] == new.cost_nano - old.cost_nano
    assert {share.key: share.difference for share in found.groups} == {
        ("old",): -old.cost_nano, ("new",): new.cost_nano,
    }  # fmt: skip


def test_without_list_prices_the_mix_of_tokens_stays_in_the_price() -> None:
    before = priced("a", 100, in_uncached=100, in_cache_read=800, out_visible=100)
    now = priced("a", 100, in_uncached=900, out_visible=100)
    parts = explain([before], [now], lambda _: None).parts
    assert parts[CACHE] == parts[OUTPUT] == 0 and parts[PRICE] == now.cost_nano - before.cost_nano


counts = st.integers(0, 10**12)
some = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 10**6), counts, st.lists(counts, min_size=8, max_size=8)),
    unique_by=lambda one: one[0],
    max_size=4,
)


def groups(rows: list[tuple[str, int, int, list[int]]]) -> list[Group]:
    return [Group((name,), calls, cost, dict(zip(BUCKETS, of, strict=True))) for name, calls, cost, of in rows]


@settings(deadline=None)
@given(some, some)
def test_the_parts_always_add_up(before: list, now: list) -> None:  # type: ignore[type-arg]
    found = explain(groups(before), groups(now), lambda _: PRICES)
    assert sum(found.parts.values()) == found.difference == sum(one.difference for one in found.groups)
    assert set(found.parts) == set(FACTORS)
    far = [Group(one.key, one.calls, one.cost_nano * 10**9 + 1, one.buckets) for one in groups(now)]
    assert sum(explain(groups(now), far, lambda _: PRICES).parts.values()) == sum(one.cost_nano for one in far) - sum(
        one.cost_nano for one in groups(now)
    )
    turned = explain(groups(now), groups(before), lambda _: PRICES)
    assert turned.difference == -found.difference
