from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.ground import clock, settings
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.retraining import actions, duties
from afterlaunch.retraining.models import Policy, Run
from afterlaunch.verdicts.models import Verdict

AT = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
WHSEC = "whsec_" + "c2VjcmV0" * 5


@dataclass
class House:
    clock: clock.FixedClock
    system: System
    tokens: dict[str, str] = field(default_factory=dict)

    def actor(self, role: str = "operator", client: str | None = "acme", number: int = 1) -> Actor:
        return Actor("person", f"{role} {number}", (Held(Role(role), client),), user_id=number)

    def put(self, pipeline: dict[str, Any], name: str = "scorer", **spec: Any) -> Policy:
        return actions.put_policy(automation("test"), self.system, name, {"pipeline": pipeline, **spec})

    def verdict(self, judge: str, status: str = "breach") -> None:
        place: dict[str, Any] = {"client": "acme", "system": "shop", "environment": "prod", "judge": judge}
        told = {"severity": "P2", "status": status, "reason": "x", "explanation": f"{judge} said so."}
        Verdict.objects.update_or_create(**place, defaults=told | {"since": clock.now(), "assessed_at": clock.now()})

    def pass_time(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))

    def work(self) -> Run:
        duties.decide_all(clock.now())
        duties.work(clock.now())
        return Run.objects.latest("pk")

    def browser(self, who: str = "operator") -> Browser:
        return Browser(headers={"authorization": f"Bearer {self.tokens[who]}"})


@pytest.fixture
def house(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    for name, value in (("GH", "gh-secret"), ("GL", "gl-secret"), ("AF", "af-secret"), ("HOOK", WHSEC)):
        monkeypatch.setenv(name, value)
    settings.reload()
    with clock.frozen(AT) as fixed:
        tokens = {}
        for slug in ("acme", "other"):
            client = Client.objects.create(slug=slug, name=slug, created_at=AT)
            for role in ("viewer", "operator", "admin"):
                name = role if slug == "acme" else f"{role} of other"
                tokens[name] = create_token(automation("test"), name, role, client)[1]
        note_sightings([Sighting("acme", "shop", "prod", frozenset({("model", "scorer", "v1")}))], AT)
        yield House(fixed, System.objects.get(key="shop"), tokens)
    monkeypatch.undo()
    settings.reload()
