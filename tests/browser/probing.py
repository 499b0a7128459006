"""Probes with a history, heartbeats and a status page, for the pages that show them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any


def probes(address: str) -> None:
    """One that is well, one that answers wrongly, a golden prompt, one that nobody can try, a paused one."""
    from afterlaunch.estate.models import System
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.probes.actions import Values, pause_probe, put_probe

    someone, now = automation("Ada Nguyen"), clock.now()
    system = System.objects.get(key="support-assistant")
    prompt = {
        "url": "https://api.example.com", "model": "gpt-4o", "credential": "env:NOT_SET",
        "prompt": "How long is a refund?",
        "assertions": [{"kind": "contains", "text": "5 working days"}, {"kind": "latency", "max_ms": 8000}],
    }  # fmt: skip
    wrong = [{"kind": "json_path", "path": "$.status", "equals": "ok"}]
    declared: dict[str, Values] = {
        "front": Values("http", {"url": f"{address}/healthz"}, interval=10),
        "search": Values("http", {"url": f"{address}/healthz", "assertions": wrong}, interval=10, retries=0),
        "behind-search": Values("tcp", {"host": "127.0.0.1", "port": 9}, interval=10, retries=0, parents=["search"]),
        "certificate": Values("tls", {"host": "support.example.com"}, interval=3_600),
        "refund-answer": Values("golden", prompt, interval=900),
        "old-endpoint": Values("http", {"url": "https://old.example.com/"}),
    }
    for name, values in declared.items():
        made = put_probe(someone, system, name, values)
        _history(made, now, name == "search")
        if name == "old-endpoint":
            pause_probe(someone, made)


def _history(probe: Any, now: datetime, shaky: bool) -> None:
    from afterlaunch.probes.models import ProbeDay, ProbeHour

    chance = random.Random(probe.name)
    marks = "".join(
        "d" if shaky and chance.random() < 0.12 else "u" if chance.random() < 0.97 else "r" for _ in range(80)
    )
    probe.places.update(recent=marks, milliseconds=chance.uniform(40, 900), tried_at=now)
    for back in range(90, 0, -1):
        failed = chance.choice((0, 0, 0, 0, 2, 30)) if shaky else 0
        counted = {"ok": 1_440 - failed, "failed": failed, "timed": 1_440, "milliseconds": 90_000.0}
        if back % 37:
            ProbeDay.objects.create(probe=probe, location="home", begins=now.date() - timedelta(days=back), **counted)
    for back in range(72, 0, -1):
        mean = chance.uniform(80, 140) * (2 if shaky and back < 12 else 1)
        begins = (now - timedelta(hours=back)).replace(minute=0, second=0, microsecond=0)
        ProbeHour.objects.create(
            probe=probe, location="home", begins=begins, ok=60, timed=60, milliseconds=mean * 60, slowest=mean * 3
        )


def heartbeats() -> None:
    """One in each state."""
    from afterlaunch.estate.models import System
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.probes import heartbeats as deeds
    from afterlaunch.probes.heartbeats import TEMPLATES, Told, put_heartbeat
    from afterlaunch.probes.models import Heartbeat

    someone, system = automation("Ada Nguyen"), System.objects.get(key="support-assistant")
    made = [put_heartbeat(someone, system, one.name.replace("_", "-"), one.values) for one in TEMPLATES]
    deeds.ping(made[0].secret, Told("start", "run-1"))
    deeds.ping(made[0].secret, Told("success", "run-1", 0, b"1,204,331 passages in 12 shards\n", 32))
    deeds.ping(made[2].secret, Told("fail", "", 3, b"restic: repository is locked\n", 29))
    deeds.ping(made[3].secret, Told())
    late = clock.now() - timedelta(minutes=20)
    Heartbeat.objects.filter(pk=made[3].pk).update(due_at=late, look_at=late)


def status_page() -> None:
    from afterlaunch.accounts.models import Client
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.status_pages import actions
    from afterlaunch.status_pages.actions import Part, put_page
    from afterlaunch.status_pages.following import follow
    from afterlaunch.status_pages.models import StatusPage

    someone, now = automation("Ada Nguyen"), clock.now()
    parts = [Part("support-assistant", "Answers", about="Chat on the web site"), Part("contract-reader", "Contracts")]
    page = put_page(someone, Client.objects.get(slug="house"), "house", "House status", parts, public=True)
    StatusPage.objects.filter(pk=page.pk).update(created_at=now - timedelta(days=1))
    page.refresh_from_db()
    follow(now)
    first = page.components.first()
    assert first is not None
    told = actions.write(someone, page, "Refund answers were refused", "Some refunds were refused.", [first.pk])
    actions.post(someone, told, "The new greeting is taken back.", "monitoring")
    old = actions.write(someone, page, "Slow answers", "A provider answers slowly.", [first.pk])
    actions.post(someone, old, "The provider is well again.", "resolved")
    begins = now + timedelta(days=2)
    actions.plan_work(someone, page, "Index rebuild", "", begins, begins + timedelta(hours=1), [first.pk])
