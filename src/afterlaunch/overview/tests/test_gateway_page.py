"""Upstreams, routes and keys on their page: who may, what it shows once, what stays."""

import re
from collections.abc import Callable

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client
from afterlaunch.accounts.people import put_client, put_person
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Held, Role, automation
from afterlaunch.routes.actions import ArmValues, create_key, put_route, put_upstream, set_handling
from afterlaunch.routes.models import CallerKey, Route, Upstream
from afterlaunch.routes.shadow_use import Counted, take

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
SignIn = Callable[[str, Role, str | None], Browser]


@pytest.fixture
def acme() -> Client:
    for slug in ("acme", "other"):
        put_client(LOCAL, slug, slug, "UTC")
    return Client.objects.get(slug="acme")


@pytest.fixture
def system(acme: Client) -> System:
    return System.objects.create(client=acme, key="support", name="Support", first_seen_at=clock.now())


@pytest.fixture
def route(system: System) -> Route:
    put_upstream(LOCAL, "openai", "https://api.openai.com", "openai", "env:KEY")
    return put_route(LOCAL, "answers", system, ArmValues("openai"))


@pytest.fixture
def sign_in(acme: Client) -> SignIn:
    def signed_in(name: str, role: Role, client: str | None) -> Browser:
        browser = Browser()
        browser.force_login(put_person(LOCAL, f"{name}@acme.example", name, [Held(role, client)]))
        return browser

    return signed_in


def test_an_administrator_makes_an_upstream_a_route_and_a_key(sign_in: SignIn, system: System) -> None:
    browser = sign_in("admin", Role.ADMIN, None)
    upstream = {"name": "openai", "base_url": "https://api.openai.com", "provider": "openai", "credential": "env:KEY"}
    assert browser.post("/settings/gateway/upstreams", upstream).status_code == 302
    route = {"name": "answers", "system": system.pk, "upstream": "openai", "prompt_version": "v1"}
    assert browser.post("/settings/gateway/routes", route).status_code == 302
    answer = browser.post("/settings/gateway/keys", {"name": "desk", "route": "answers"})
    (secret,) = set(re.findall(r"al_[0-9a-f]+_[0-9a-f]+", answer.content.decode()))
    assert answer["Cache-Control"] == "no-store" and secret.startswith(f"al_{CallerKey.objects.get().key_id}_")
    assert secret not in browser.get("/settings/gateway").content.decode()
    deeds = set(Entry.objects.values_list("deed", flat=True))
    assert {"upstream.put", "route.put", "caller_key.created"} <= deeds


def test_a_revoked_key_is_shown_as_such_and_has_no_button(sign_in: SignIn, route: Route) -> None:
    key, _ = create_key(LOCAL, "desk", route)
    browser = sign_in("admin", Role.ADMIN, "acme")
    assert f"{key.key_id}/revoke" in browser.get("/settings/gateway").content.decode()
    assert browser.post(f"/settings/gateway/keys/{key.key_id}/revoke").status_code == 302
    page = browser.get("/settings/gateway").content.decode()
    assert "revoked" in page and f"{key.key_id}/revoke" not in page


def test_an_operator_routes_but_makes_no_key_and_no_upstream(sign_in: SignIn, route: Route, system: System) -> None:
    browser = sign_in("mate", Role.OPERATOR, "acme")
    page = browser.get("/settings/gateway").content.decode()
    assert "Save route" in page and "Make key" not in page and "Save upstream" not in page
    other = {"name": "answers", "system": system.pk, "upstream": "openai", "model": "gpt-4o"}
    assert browser.post("/settings/gateway/routes", other).status_code == 302
    assert browser.post("/settings/gateway/keys", {"name": "x", "route": "answers"}).status_code == 403
    wrong = {"name": "x", "base_url": "https://x.example", "provider": "x"}
    assert browser.post("/settings/gateway/upstreams", wrong).status_code == 403
    assert not CallerKey.objects.exists() and Upstream.objects.count() == 1


def test_a_shadow_shows_what_is_left_of_its_budget_and_is_ended(sign_in: SignIn, route: Route) -> None:
    shadow = {"share": 1_000, "upstream": "openai", "model": "gpt-5-mini", "budget": {"limit": 5.0}}
    set_handling(LOCAL, route, {"shadow": shadow, "cache_seconds": 5})
    viewer, operator = sign_in("viewer", Role.VIEWER, "acme"), sign_in("mate", Role.OPERATOR, "acme")
    page = viewer.get("/settings/gateway").content.decode()
    assert "No gateway has told of it yet" in page and "$5.00 left" in page and "End the shadow" not in page
    midnight = int(clock.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    told = Counted("shadow/answers/usd", midnight, midnight + 1.0, 3_500_000_000, 0, 3)
    take("g1", [told])
    page = operator.get("/settings/gateway").content.decode()
    assert "$3.50 of $5.00 a day used" in page and "$1.50 left" in page and "3 copies were not sent" in page
    (row,) = operator.get("/api/v1/routes").json()["routes"]
    assert (row["shadow"]["left"], row["shadow"]["refused"]) == (1_500_000_000, 3)
    assert viewer.post("/settings/gateway/routes/answers/shadow/end").status_code == 403
    assert operator.post("/settings/gateway/routes/answers/shadow/end").status_code == 302
    assert Route.objects.get().handling == {"cache_seconds": 5}


def test_a_stranger_sees_and_does_nothing_of_it(sign_in: SignIn, route: Route, system: System) -> None:
    key, _ = create_key(LOCAL, "desk", route)
    browser = sign_in("stranger", Role.ADMIN, "other")
    page = browser.get("/settings/gateway").content.decode()
    assert "answers" not in page and key.key_id not in page
    assert browser.post("/settings/gateway/keys", {"name": "x", "route": "answers"}).status_code == 404
    assert browser.post(f"/settings/gateway/keys/{key.key_id}/revoke").status_code == 404
    given = {"name": "mine", "system": system.pk, "upstream": "openai"}
    assert browser.post("/settings/gateway/routes", given).status_code == 404
    assert CallerKey.objects.get().revoked_at is None


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("upstreams", {"name": "x", "base_url": "ftp://x", "provider": "x"}),
        ("upstreams", {"name": "x", "base_url": "https://x.example", "provider": "x", "credential": "sk-secret"}),
        ("upstreams", {"name": "x", "base_url": "https://x.example", "provider": "x", "timeout_seconds": "soon"}),
        ("routes", {"name": "bad name", "upstream": "openai"}),
        ("keys", {"name": " ", "route": "answers"}),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(
    sign_in: SignIn, route: Route, system: System, path: str, given: dict[str, str]
) -> None:
    answer = sign_in("admin", Role.ADMIN, None).post(f"/settings/gateway/{path}", {"system": system.pk, **given})
    assert answer.status_code == 400
    assert Upstream.objects.count() == 1 and Route.objects.count() == 1 and not CallerKey.objects.exists()
