"""Targets are fetched when due, and what they tell stands in the store as what was written there remotely."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.scraping.actions import Values, put_target, remove_target
from afterlaunch.scraping.models import Target
from afterlaunch.scraping.scraper import Scraper
from afterlaunch.scraping.tests.exporter import OPEN_METRICS, exporter
from afterlaunch.telemetry.signals import questions
from afterlaunch.telemetry.store import Store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loopback_allowed")]
LOCAL = automation("test")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def time_stands() -> Iterator[clock.FixedClock]:
    with clock.frozen(NOW) as fixed:
        yield fixed


def target(client: Client, url: str, name: str = "node", **more: Any) -> Target:
    return put_target(LOCAL, client, name, Values("support", url, **more))


def again(scraper: Scraper, fixed: clock.FixedClock, seconds: float = 30) -> None:
    scraper.run(fixed.advance(seconds), wait_seconds=20)


def points(store: Store, name: str) -> list[dict[str, Any]]:
    return store.query(
        "select value, at_ns, labels, kind, host, service from points where name = ? order by at_ns", [name]
    )


def values(store: Store, name: str) -> list[float | None]:
    return [row["value"] for row in points(store, name)]


def test_what_a_target_tells_is_stored_with_its_place(store: Store, acme: Client, time_stands: Any) -> None:
    text = '# TYPE calls_total counter\ncalls_total{job="own",model="m"} 5\nqueue_depth 3\n'
    with exporter(text) as fake:
        row = target(acme, fake.url, labels={"rack": "r1"}, environment="production")
        assert Scraper().run(NOW, 20) == 1
    instance = fake.url.split("/")[2]
    (found,) = points(store, "calls_total")
    assert dict(found["labels"]) == {
        "job": "node", "instance": instance, "rack": "r1", "model": "m", "exported_job": "own"
    }  # fmt: skip
    assert (found["value"], found["kind"], found["host"], found["service"]) == (5.0, "counter", instance, "node")
    (place,) = store.query("select distinct client, system, environment from points")
    assert place == {"client": "acme", "system": "support", "environment": "prod"}
    assert values(store, "up") == [1.0] and values(store, "scrape_samples_scraped") == [2.0]
    assert len(values(store, "scrape_duration_seconds")) == 1
    row.refresh_from_db()
    assert (row.state, row.samples, row.error, row.last_at) == ("up", 2, "", NOW)
    assert fake.asked[0]["accept"].startswith("application/openmetrics-text")
    assert {one["name"] for one in questions.names(NOW, NOW + timedelta(hours=1))} >= {"up", "calls_total"}


def test_a_target_is_asked_once_an_interval(store: Store, acme: Client, time_stands: clock.FixedClock) -> None:
    scraper = Scraper()
    with exporter() as fake:
        target(acme, fake.url, interval=30)
        for _ in range(25):  # 2 minutes
            again(scraper, time_stands, 5)
    assert 4 <= len(fake.asked) <= 6
    assert len(values(store, "queue_depth")) == len(fake.asked)


def test_openmetrics_gzip_and_own_timestamps_are_read(store: Store, acme: Client, time_stands: Any) -> None:
    told = (NOW - timedelta(seconds=10)).timestamp()
    old = (NOW - timedelta(days=2)).timestamp()
    text = f'# TYPE a gauge\na{{x="1"}} 1 {told}\na{{x="2"}} 2 {old}\n# EOF\n'
    with exporter(text, kind=OPEN_METRICS, zipped=True) as fake:
        target(acme, fake.url)
        Scraper().run(NOW, 20)
    at = {row["value"]: row["at_ns"] for row in points(store, "a")}
    assert at == {1.0: clock.to_ns(NOW - timedelta(seconds=10)), 2.0: clock.to_ns(NOW)}


def test_a_series_that_ends_has_a_gap_and_no_last_word(
    store: Store, acme: Client, time_stands: clock.FixedClock
) -> None:
    scraper = Scraper()
    with exporter('gpu{n="0"} 1\ngpu{n="1"} 2\n') as fake:
        row = target(acme, fake.url)
        scraper.run(NOW, 20)
        fake.text = 'gpu{n="0"} 1\n'
        again(scraper, time_stands)
        gone = [one for one in points(store, "gpu") if dict(one["labels"])["n"] == "1"]
        assert [one["value"] for one in gone] == [2.0, None]
        fake.status = 500
        again(scraper, time_stands)
        stays = [one["value"] for one in points(store, "gpu") if dict(one["labels"])["n"] == "0"]
        assert stays == [1.0, 1.0, None] and values(store, "up") == [1.0, 1.0, 0.0]
        again(scraper, time_stands)
        assert values(store, "up") == [1.0, 1.0, 0.0, 0.0] and len(values(store, "gpu")) == 5
        fake.status = 200
        again(scraper, time_stands)
        assert values(store, "up")[-1] == 1.0
        remove_target(LOCAL, row)
        again(scraper, time_stands)
    assert values(store, "up")[-1] is None, "what is no target any more is neither up nor down"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"text": "<html>hello", "kind": "text/html; charset=utf-8"}, "not_metrics"),
        ({"text": "hello\n"}, "not_metrics"),
        ({"text": "a{x=1} 2\n"}, "not_metrics"),
        ({"status": 404}, "not_found"),
        ({"status": 401}, "not_let_in"),
        ({"status": 302, "location": "/other"}, "moved"),
        ({"status": 500}, "status"),
        ({"text": "\n".join(f"a{n} 1" for n in range(11)) + "\n"}, "too_many_samples"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    told: dict[str, Any], reason: str, store: Store, acme: Client, time_stands: clock.FixedClock
) -> None:
    with exporter(**told) as fake:
        row = target(acme, fake.url, sample_limit=10)
        scraper = Scraper()
        scraper.run(NOW, 20)
        again(scraper, time_stands)
    row.refresh_from_db()
    assert (row.state, row.reason, row.failing_since) == ("down", reason, NOW)
    assert row.error and row.advice
    assert values(store, "up") == [0.0, 0.0]


def test_who_does_not_answer_holds_up_nobody(store: Store, acme: Client, time_stands: clock.FixedClock) -> None:
    with ExitStack() as stack:
        slow = stack.enter_context(exporter(slow=3))
        fast = [stack.enter_context(exporter()) for _ in range(3)]
        target(acme, slow.url, "slow", interval=5)
        for number, one in enumerate(fast):
            target(acme, one.url, f"fast-{number}")
        target(acme, "http://127.0.0.1:9/metrics", "nobody")
        began = time.perf_counter()
        scraper = Scraper(workers=8)
        assert scraper.run(NOW, wait_seconds=1.0) == 4
        assert time.perf_counter() - began < 2.9
        assert {row.name: row.state for row in Target.objects.all()} == {
            "slow": "waiting", "fast-0": "up", "fast-1": "up", "fast-2": "up", "nobody": "down"
        }  # fmt: skip
        assert Target.objects.get(name="nobody").reason == "unreachable"
        time.sleep(2.5)
        again(scraper, time_stands, 1)
    assert Target.objects.get(name="slow").state == "up"


def test_an_answer_to_an_older_declaration_is_thrown_away(store: Store, acme: Client, time_stands: Any) -> None:
    scraper = Scraper()
    with exporter(slow=0.5) as fake, exporter("other 1\n") as better:
        row = target(acme, fake.url)
        scraper.run(NOW, wait_seconds=0)
        target(acme, better.url)
        scraper.run(NOW, wait_seconds=20)
    assert values(store, "queue_depth") == [] and values(store, "other") == [1.0]
    row.refresh_from_db()
    assert row.revision == 2 and row.url == better.url


def test_a_paused_target_is_left_alone(store: Store, acme: Client, time_stands: Any) -> None:
    with exporter() as fake:
        target(acme, fake.url, paused=True)
        assert Scraper().run(NOW, 20) == 0 and not fake.asked


@pytest.mark.parametrize(
    ("values", "header"),
    [
        ({"bearer": "env:SCRAPE_TOKEN"}, "Bearer sesame"),
        ({"username": "prom", "password": "env:SCRAPE_TOKEN"}, "Basic cHJvbTpzZXNhbWU="),
    ],
)
def test_credentials_are_read_when_it_is_scraped(
    values: dict[str, str], header: str, store: Store, acme: Client, time_stands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exporter() as fake:
        row = target(acme, fake.url, **values)
        Scraper().run(NOW, 20)
        row.refresh_from_db()
        assert row.reason == "credential" and not fake.asked and "SCRAPE_TOKEN" in row.error
        monkeypatch.setenv("SCRAPE_TOKEN", "sesame")
        Scraper().run(time_stands.advance(30), 20)
    row.refresh_from_db()
    assert row.state == "up" and fake.asked[0]["authorization"] == header
    assert "sesame" not in str(list(Target.objects.values())) + str(store.query("select * from points"))


def test_heads_that_come_and_go_do_not_fill_the_memory(
    store: Store, acme: Client, time_stands: clock.FixedClock
) -> None:
    scraper = Scraper()
    with exporter() as fake:
        target(acme, fake.url)
        for turn in range(12):
            fake.text = "".join(f'a{{request="{turn}-{number}"}} 1\n' for number in range(100))
            again(scraper, time_stands)
        (known,) = scraper._known.values()
        assert len(known._row) <= 1_000
        fake.text = fake.text.replace(" 1\n", " 2\n")
        again(scraper, time_stands)
    assert values(store, "a").count(2.0) == 100
    assert values(store, "a").count(None) == 1_100


DCGM = """# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100",Hostname="gpu-1"} 97
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-2",device="nvidia1",modelName="NVIDIA H100",Hostname="gpu-1"} 12
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100",Hostname="gpu-1"} 71234
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100",Hostname="gpu-1"} 10325
"""
VLLM = """# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="house-7b"} 4.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="house-7b"} 0.41
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0",model_name="house-7b"} 123456.0
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3",model_name="house-7b"} 2.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="house-7b"} 5.0
vllm:e2e_request_latency_seconds_count{engine="0",model_name="house-7b"} 5.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="house-7b"} 4.5
"""


def test_gpu_and_inference_servers_are_read(store: Store, acme: Client, time_stands: Any) -> None:
    with exporter(DCGM) as gpu, exporter(VLLM) as vllm:
        target(acme, gpu.url, "gpu")
        target(acme, vllm.url, "vllm")
        Scraper().run(NOW, 20)
    assert sorted(values(store, "DCGM_FI_DEV_GPU_UTIL"), key=str) == [12.0, 97.0]
    assert values(store, "vllm:num_requests_waiting") == [4.0]
    assert points(store, "vllm:generation_tokens_total")[0]["kind"] == "counter"
    assert points(store, "vllm:e2e_request_latency_seconds_bucket")[0]["kind"] == "counter"


NODE = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")


@pytest.mark.process
@pytest.mark.skipif(NODE is None, reason="prometheus-node-exporter is not installed")
def test_a_real_node_exporter_is_scraped(store: Store, acme: Client) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen([str(NODE), f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        row = target(acme, f"http://127.0.0.1:{port}/metrics", interval=5)
        scraper = Scraper()
        for _ in range(20):
            time.sleep(0.5)
            Target.objects.update(next_due=clock.now())
            scraper.run(clock.now(), 10)
            row.refresh_from_db()
            if len(set(values(store, "node_load1"))) and len(values(store, "node_load1")) >= 3:
                break
    finally:
        process.terminate()
        process.wait(10)
    assert row.state == "up" and row.samples and row.samples > 200
    (cpu,) = store.query("select count(distinct series) as n, any_value(kind) as kind from points"
                         " where name = 'node_cpu_seconds_total' and labels['mode'] = 'idle'")  # fmt: skip
    assert cpu["n"] >= 1 and cpu["kind"] == "counter"
