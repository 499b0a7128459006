"""Infrastructure as a page and over the API: worst first, one host in full, nothing of other clients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
from django.test import Client as Browser
from pyarrow.parquet import read_table

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.app.judges import JUDGES
from afterlaunch.ground import clock
from afterlaunch.infrastructure.figures import HOSTS, SYSTEMS, course, newest
from afterlaunch.infrastructure.tests.test_watch import rising, series, tell
from afterlaunch.look import charts
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.duties import notice_systems
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.signals.readings import Reading
from afterlaunch.verdicts import watch

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(place: Path | str) -> Iterator[stores.Store]:
    made = stores.open_store(place)
    tables.prepare(made)
    with clock.frozen(NOW):
        yield made
    stores.close_store()


def browser_of(slug: str) -> Browser:
    client, _ = Client.objects.get_or_create(slug=slug, defaults={"name": slug, "created_at": NOW})
    user = User.objects.create_user(f"mate@{slug}.example", "Mate")
    Grant.objects.create(user=user, role="viewer", client=client)
    made = Browser()
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made


def fill(store: stores.Store) -> None:
    tell(
        store,
        series("node_cpu_seconds_total", rising(*[0.6] * 40), "counter", "calm:9100", cpu="0", mode="idle"),
        series("node_cpu_seconds_total", rising(*[0.1] * 40), "counter", "busy:9100", cpu="0", mode="idle"),
        series("DCGM_FI_DEV_GPU_UTIL", [50.0] * 40, host="busy:9400", gpu="0"),
        series("DCGM_FI_DEV_GPU_UTIL", [70.0] * 40, host="busy:9400", gpu="1"),
        series("vllm:generation_tokens_total", rising(*[900.0] * 40), "counter", "busy:8000"),
        series("up", [1.0] * 39 + [0.0], host="busy:8000", job="vllm"),
    )
    notice_systems(NOW)
    watch.run(JUDGES, NOW)


def test_without_data_the_page_says_where_it_comes_from(store: stores.Store) -> None:
    text = browser_of("acme").get("/infrastructure").content.decode()
    assert "No infrastructure known yet" in text and "/targets" in text


def test_hosts_stand_worst_first_with_figures_limits_and_verdicts(store: stores.Store) -> None:
    fill(store)
    browser = browser_of("acme")
    text = browser.get("/infrastructure").content.decode()
    assert text.index(">busy<") < text.index(">calm<")
    for part in ("90 %", "40 %", "70 %", "of 2", "Breach", "CPU is at 90 %, above 80 %", "900", "svg"):
        assert part in text, part
    assert text.count("<line ") >= 4, "limits are drawn"
    assert "busy" not in browser_of("globex").get("/infrastructure").content.decode()
    assert "No infrastructure" not in browser.get("/infrastructure?range=24h").content.decode()
    assert "Nothing told of this" in browser.get("/infrastructure?system=other").content.decode()
    assert browser.get("/infrastructure?range=9h").status_code == 400


def test_of_many_hosts_the_worst_are_shown_and_the_rest_is_counted(store: stores.Store) -> None:
    hosts = [series("system.memory.utilization", [0.5] * 4, host=f"h{n:03}", state="used") for n in range(60)]
    tell(store, *hosts, series("DCGM_FI_DEV_GPU_UTIL", [99.0] * 40, host="worst", gpu="0"))
    watch.run(JUDGES, NOW)
    browser = browser_of("acme")
    text = browser.get("/infrastructure").content.decode()
    assert ">worst<" in text and "21 more hosts" in text and text.count("host=h0") == 39
    assert "more hosts" not in browser.get("/infrastructure?system=support").content.decode()


def test_one_host_in_full(store: stores.Store) -> None:
    fill(store)
    browser = browser_of("acme")
    address = "/infrastructure?client=acme&system=support&environment=prod&host=busy"
    text = browser.get(address).content.decode()
    for part in ("CPU is at 90 %", "DCGM_FI_DEV_GPU_UTIL", "/explorer?name=node_cpu_seconds_total", "Answers"):
        assert part in text, part
    assert browser.get("/infrastructure?host=nobody").status_code == 404
    assert browser_of("globex").get(address).status_code == 404


def test_the_api_tells_what_the_judges_read(store: stores.Store) -> None:
    fill(store)
    browser = browser_of("acme")
    answer = browser.get("/api/v1/infrastructure?host=busy&step_minutes=5").json()
    told = {(row["reading"], row["part"]): row for row in answer["rows"]}
    assert set(told) == {("cpu", None), ("gpu", "0"), ("gpu", "1"), ("up", "vllm")}
    assert told["gpu", "1"]["unit"] == "share" and told["gpu", "1"]["points"][-1][1] == pytest.approx(0.7)
    whole = browser.get("/api/v1/infrastructure?host=").json()["rows"]
    assert [(row["host"], row["reading"]) for row in whole] == [(None, "tokens")]
    assert browser.get("/api/v1/infrastructure?step_minutes=0").status_code == 400
    assert browser_of("globex").get("/api/v1/infrastructure").json()["rows"] == []
    verdicts = browser.get("/api/v1/verdicts?system=support").json()["verdicts"]
    assert {row["host"] for row in verdicts if row["judge"] == "infrastructure.cpu"} == {"busy", "calm"}


def test_a_link_shows_the_same_tomorrow_and_files_hold_the_figures(store: stores.Store) -> None:
    fill(store)
    browser = browser_of("acme")
    for host in ("", "&host=busy"):
        text = browser.get(f"/infrastructure?system=support{host}").content.decode()
        lasting, *files = [unescape(one) for one in re.findall(r'(?:data-copy|href)="(\S+from=\S+)"', text)]
        with clock.frozen(NOW + timedelta(days=1)):
            tomorrow = browser.get(lasting).content.decode()
            assert "90 %" in tomorrow if not host else "node_cpu_seconds_total" in tomorrow
            assert browser.get(f"{lasting}&range=1h").status_code == (404 if host else 200)
            assert "Breach" not in tomorrow and "Verdicts are of the present" in tomorrow
            csv, parquet = (b"".join(browser.get(one).streaming_content) for one in files)  # type: ignore[attr-defined]
        rows = read_table(BytesIO(parquet)).to_pylist()
        assert len(csv.decode().splitlines()) == len(rows) + 1
        last = {(row["host"], row["reading"], row["part"]): row["value"] for row in rows}
        assert last["busy", "cpu", None] == pytest.approx(0.9) and last["busy", "gpu", "1"] == pytest.approx(0.7)
        assert {row["host"] for row in rows} == ({"busy"} if host else {"busy", "calm", None})
    assert browser_of("globex").get(lasting).status_code == 404
    for wrong in ("from=2026-02-01T00:00:00Z", "from=yesterday", "from=2026-03-02T00:00:00Z"):
        assert browser.get(f"/infrastructure?{wrong}").status_code == 400
    assert browser.get("/api/v1/infrastructure?format=xls").status_code == 400


def test_figures_of_parts_are_the_worst_of_them_and_old_ones_are_unknown() -> None:
    reading = Reading("m", {"a": ((10, 0.2), (11, 0.3)), "b": ((10, 0.4),)})
    assert course(reading, [9, 10, 11, 12]) == [None, 0.4, 0.3, None]
    assert course(reading, [10, 11], lowest=True) == [0.2, 0.3]
    assert newest([0.1, None, None], 2) == 0.1 and newest([0.1, None, None], 1) is None and newest([], 3) is None
    assert [one.written(0.5) for one in (*HOSTS, *SYSTEMS)] == ["50 %"] * 4 + [
        "0.5",
        "0.5",
        "no",
        "0.5 ms",
        "0.5",
        "0.5",
    ]


def test_a_small_chart_shows_gaps_and_limits_and_says_what_it_is() -> None:
    drawn = charts.small([0.1, 0.2, None, 0.3], [0.8], 1.0, 'CPU of "a"')
    assert drawn.count("<polyline") == 2 and drawn.count("<line ") == 1 and "CPU of &quot;a&quot;" in drawn
    assert "polyline" not in charts.small([None, None])
    assert "NaN" not in charts.small([0.0])
