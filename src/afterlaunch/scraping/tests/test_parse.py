"""The text of exporters, against the client library's own reader of it."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from afterlaunch.scraping.parse import Unreadable, kind_of, parse, series

Told = dict[tuple[str, tuple[tuple[str, str], ...]], float | None]


def ours(text: str, open_metrics: bool = False) -> Told:
    found: Told = {}
    for one in parse(text, open_metrics).samples:
        name, labels = series(one.head)
        found[name, tuple(sorted(labels.items()))] = one.value
    return found


def theirs(text: str, open_metrics: bool = False) -> Told:
    read = read_open_metrics if open_metrics else read_text
    found: Told = {}
    for family in read(text):
        for one in family.samples:
            labels = tuple(sorted((key, value) for key, value in one.labels.items() if value))
            found[one.name, labels] = one.value if math.isfinite(one.value) else None
    return found


def registry(label: str = "a", value: float = 1.5) -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("calls", "Calls.", ["model"], registry=made).labels(label).inc(abs(value))
    Gauge("depth", 'With "quotes"\nand lines.', ["queue", "x"], registry=made).labels(label, "").set(value)
    Histogram("seconds", "Time.", ["m"], registry=made, buckets=(0.1, 1)).labels(label).observe(0.5, {"trace_id": "ab"})
    Summary("size", "Size.", registry=made).observe(3)
    Info("build", "Build.", registry=made).info({"version": label})
    Enum("state", "State.", states=["up", "down"], registry=made).state("up")
    return made


@settings(max_examples=100, deadline=None)
@given(some.text(max_size=20), some.floats(allow_nan=True, allow_infinity=True))
def test_what_the_client_library_writes_is_read_as_it_reads_it(label: str, value: float) -> None:
    # The library itself loses a carriage return, and other ends of lines that Python knows.
    label = "".join(one for one in label if one not in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
    value = value if value >= 0 or value < 0 else 1.0
    text = generate_latest(registry(label, value)).decode()
    assert ours(text) == theirs(text)
    open_metrics = generate_open_metrics(registry(label, value)).decode()  # type: ignore[no-untyped-call]
    assert ours(open_metrics, True) == theirs(open_metrics, True)


def test_timestamps_are_milliseconds_in_one_format_and_seconds_in_the_other() -> None:
    (one,) = parse("a 1 1700000000123\n").samples
    assert one.at_ns == 1_700_000_000_123_000_000
    (one,) = parse("a 1 1700000000.5\n# EOF\n", True).samples
    assert one.at_ns == 1_700_000_000_500_000_000


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ('a{x="}",y="# {"} 1', "a", {"x": "}", "y": "# {"}, 1.0),
        ('a{x="\\"\\\\\\n"} 2 # {trace_id="x"} 1 2', "a", {"x": '"\\\n'}, 2.0),
        ("a{} 1e3", "a", {}, 1000.0),
        ('a { x = "1" , } +Inf', "a", {"x": "1"}, None),
        ('a{empty=""} NaN', "a", {}, None),
        ('{"my.metric","label.x"="1"} 5', "my.metric", {"label.x": "1"}, 5.0),
        ("vllm:num_requests_waiting 7", "vllm:num_requests_waiting", {}, 7.0),
        ("a\t-0.5\t", "a", {}, -0.5),
        ("a 1\r", "a", {}, 1.0),
    ],
)
def test_odd_lines_are_read(line: str, name: str, labels: dict[str, str], value: float | None) -> None:
    (one,) = parse(line).samples
    assert (series(one.head), one.value) == ((name, labels), value)


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "a",
        "a one",
        'a{x="1} 2',
        "a{x=1} 2",
        "a 1 2 3",
        "1a 2",
        'a{"x"} 1',
        "{} 1",
        "a 1 inf",
    ],
)
def test_what_is_no_sample_is_named_by_its_line(text: str) -> None:
    with pytest.raises(Unreadable):
        for one in parse(f"# HELP a b\nfine 1\n{text}\n").samples:
            series(one.head)


def test_a_text_that_was_cut_short_is_not_believed() -> None:
    with pytest.raises(Unreadable, match="EOF"):
        parse("a 1\n", True)


def test_a_long_bad_line_fails_at_once() -> None:
    began = time.perf_counter()
    for bad in ('a{x="' + "y" * 200_000, 'a{x="1"' * 20_000, 'a{x="' + '\\"' * 100_000 + "} 1"):
        with pytest.raises(Unreadable):
            parse(bad)
    assert time.perf_counter() - began < 10


def test_counters_are_told_from_gauges() -> None:
    kinds = parse(
        "# TYPE requests_total counter\n# TYPE seconds histogram\n# TYPE depth gauge\n# TYPE queue_count gauge\n"
        "# TYPE size summary\n# TYPE calls counter\n# TYPE old untyped\n"
    ).kinds
    told = {
        "requests_total": "counter", "seconds_bucket": "counter", "seconds_sum": "counter", "seconds_created": "gauge",
        "depth": "gauge", "queue_count": "gauge", "size": "gauge", "size_count": "counter", "calls_total": "counter",
        "calls_created": "gauge", "old": "gauge", "unheard_of_total": "counter", "unheard_of": "gauge",
    }  # fmt: skip
    assert {name: kind_of(name, kinds) for name in told} == told


@settings(max_examples=300, deadline=None)
@given(some.text(alphabet='abc{}",=\\# \n\t0123.eE+-NaIf_:', max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        for one in parse(text).samples:
            series(one.head)
    except Unreadable:
        pass
