from datetime import timedelta

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.contracts.snapshot import BadSnapshot, unseal
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.routes.actions import (
    ArmValues,
    create_key,
    key_by_id,
    promote,
    put_route,
    put_upstream,
    revoke_key,
    route_by_name,
    set_candidate,
    set_handling,
    set_limits,
    set_share,
)
from afterlaunch.routes.models import Route
from afterlaunch.routes.snapshot import current, shared_key

pytestmark = pytest.mark.django_db
ENGINE = automation("test")


@pytest.fixture
def route() -> Route:
    client = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    system = System.objects.create(client=client, key="support", name="Support")
    put_upstream(ENGINE, "openai", "https://api.openai.com", "openai", "env:OPENAI_API_KEY")
    return put_route(ENGINE, "answers", system, ArmValues("openai", "gpt-4o", "v1"))


def test_every_deed_reaches_the_gateway_as_a_new_epoch_that_verifies(route: Route) -> None:
    newest = current()
    assert newest is not None
    set_candidate(ENGINE, route, ArmValues("openai", "gpt-4o", "v2"), change=7)
    set_share(ENGINE, route, 1000, "first stage")
    after = current()
    assert after is not None and after[0] == newest[0] + 2
    snapshot = unseal(after[1], shared_key())
    assert snapshot.routes[0].share == 1000
    candidate = snapshot.routes[0].arm("candidate")
    assert candidate is not None and candidate.prompt_version == "v2" and candidate.change == 7
    with pytest.raises(BadSnapshot):
        unseal(after[1].replace(b'"payload":"e', b'"payload":"f'), shared_key())


def test_a_promoted_candidate_is_the_baseline_for_everybody(route: Route) -> None:
    set_candidate(ENGINE, route, ArmValues("openai", "gpt-5", "v2"), None)
    set_share(ENGINE, route, 10_000, "last stage")
    promoted = promote(ENGINE, route, "complete")
    baseline = promoted.arm("baseline")
    assert (
        baseline is not None and baseline.model == "gpt-5" and promoted.share == 0 and promoted.arm("candidate") is None
    )


def test_two_candidates_never_roll_out_at_once(route: Route) -> None:
    set_candidate(ENGINE, route, ArmValues("openai"), None)
    set_share(ENGINE, route, 1000, "go")
    with pytest.raises(Conflict):
        set_candidate(ENGINE, route, ArmValues("openai"), None)


def test_operator_moves_shares_team_mate_does_not_stranger_sees_nothing(route: Route) -> None:
    set_candidate(ENGINE, route, ArmValues("openai"), None)
    operator = Actor("person", "o", (Held(Role.OPERATOR, "acme"),))
    mate = Actor("person", "m", (Held(Role.VIEWER, "acme"),))
    stranger = Actor("person", "s", (Held(Role.ADMIN, "other"),))
    assert set_share(operator, route_by_name(operator, "answers"), 1000, "go").share == 1000
    with pytest.raises(NotAllowed):
        set_share(mate, route_by_name(mate, "answers"), 0, "no")
    with pytest.raises(NotFound):
        route_by_name(stranger, "answers")
    with pytest.raises(NotAllowed):
        set_share(stranger, route, 0, "no")


def test_a_revoked_key_is_out_of_the_next_snapshot(route: Route) -> None:
    key, secret = create_key(ENGINE, "shop", route, tenant="t1")
    assert secret.startswith(f"al_{key.key_id}_") and key.digest not in secret
    revoke_key(ENGINE, key)
    newest = current()
    assert newest is not None and unseal(newest[1], shared_key()).keys[0].revoked


def test_a_secret_is_not_taken_for_a_credential() -> None:
    with pytest.raises(Invalid):
        put_upstream(ENGINE, "openai", "https://api.openai.com", "openai", "sk-secret")


def test_only_a_gateway_token_gets_the_snapshot(route: Route) -> None:
    _, gateway = create_token(ENGINE, "gateway", "ingest", None)
    _, reader = create_token(ENGINE, "reader", "viewer", None)
    browser = Browser()
    got = browser.get("/api/v1/gateway/snapshot", headers={"Authorization": f"Bearer {gateway}"})
    assert got.status_code == 200
    epoch = int(got["Afterlaunch-Epoch"])
    again = browser.get(f"/api/v1/gateway/snapshot?after={epoch}", headers={"Authorization": f"Bearer {gateway}"})
    assert again.status_code == 204
    refused = browser.get("/api/v1/gateway/snapshot", headers={"Authorization": f"Bearer {reader}"})
    assert refused.status_code == 403 and refused["Content-Type"] == "application/problem+json"


def test_a_key_with_an_end_tells_gateways_when_and_one_that_has_ended_is_not_made(route: Route) -> None:
    end = clock.now() + timedelta(days=1)
    key, _ = create_key(ENGINE, "desk", route, expires_at=end)
    newest = current()
    assert newest is not None
    assert unseal(newest[1], shared_key()).keys[0].expires_at == end.timestamp() and key.state == ""
    with clock.frozen(end):
        assert key.state == "expired"
        with pytest.raises(Invalid):
            create_key(ENGINE, "late", route, expires_at=end)


def test_keys_of_other_clients_are_not_seen(route: Route) -> None:
    key, _ = create_key(ENGINE, "desk", route)
    stranger = Actor("person", "s", (Held(Role.ADMIN, "umbrella"),))
    mate = Actor("person", "m", (Held(Role.VIEWER, "acme"),))
    assert key_by_id(mate, key.key_id) == key
    with pytest.raises(NotFound):
        key_by_id(stranger, key.key_id)
    with pytest.raises(NotAllowed):
        revoke_key(mate, key)


def test_how_calls_are_handled_reaches_the_gateway_and_what_cannot_be_is_refused(route: Route) -> None:
    handling = {
        "resilience": {"attempts": 2, "fallbacks": [{"upstream": "openai", "model": "gpt-5"}]},
        "own_headers": True,
    }
    assert set_handling(ENGINE, route, handling).handling == {
        "resilience": {"attempts": 2, "fallbacks": [{"upstream": "openai", "model": "gpt-5"}]}
    }
    newest = current()
    assert newest is not None
    care = unseal(newest[1], shared_key()).routes[0].handling.resilience
    assert (care.attempts, care.fallbacks[0].model, care.longest_wait) == (2, "gpt-5", 2.0)
    wrong: list[dict[str, object]] = [
        {"resilience": {"attempts": 0}},
        {"resilience": {"fallbacks": [{"upstream": "nowhere"}]}},
        {"resilience": {"fallbacks": [{"model": "x"}]}},
        {"limits": {"requests": -1}},
        {"limits": {"requests": "many"}},
        {"leaving": {"policy": "stay"}},
        {"cache": 5},
        {"largest_request": True},
    ]
    for one in wrong:
        with pytest.raises(Invalid):
            set_handling(ENGINE, route, one)
    assert current() == newest


def test_a_shadow_is_part_of_how_calls_are_handled(route: Route) -> None:
    budget = {"limit": 5.0}
    given = {"shadow": {"share": 1_000, "upstream": "openai", "model": "gpt-5", "budget": budget, "redact": []}}
    assert set_handling(ENGINE, route, given).handling == given
    newest = current()
    assert newest is not None
    shadow = unseal(newest[1], shared_key()).routes[0].handling.shadow
    assert (shadow.share, shadow.model, shadow.redact, shadow.in_flight) == (1_000, "gpt-5", (), 4)
    assert shadow.budget is not None and shadow.budget.of("r").limit == 5 * 10**9
    for wrong in (
        {"share": 1},
        {"share": 10_001, "budget": budget},
        {"upstream": "nowhere"},
        {"model": "gpt-5"},
        {"redact": ["name"]},
        {"in_flight": 0},
        {"deadline": 0},
        {"budget": {}},
        *(
            {"budget": {"limit": 1, **more}}
            for more in ({"unit": "eur"}, {"limit": 0}, {"zone": "Mars/X"}, {"window": "y"})
        ),
    ):
        with pytest.raises(Invalid):
            set_handling(ENGINE, route, {"shadow": wrong})
    assert set_handling(ENGINE, route, {"shadow": {}}).handling == {}


def test_a_key_is_limited_by_its_own_administrators_only(route: Route) -> None:
    key, _ = create_key(ENGINE, "desk", route)
    set_limits(ENGINE, key, {"requests": 5})
    newest = current()
    assert newest is not None and unseal(newest[1], shared_key()).keys[0].limits.requests == 5
    with pytest.raises(NotAllowed):
        set_limits(Actor("person", "o", (Held(Role.OPERATOR, "acme"),)), key, {})
    with pytest.raises(Invalid):
        set_limits(ENGINE, key, {"requests": -1})


def test_the_api_takes_handling_and_limits_as_its_body(route: Route) -> None:
    _, secret = create_token(ENGINE, "ops", "admin", None)
    key, _ = create_key(ENGINE, "desk", route)
    api = Browser(headers={"Authorization": f"Bearer {secret}"})
    handled = api.post(f"/api/v1/routes/{route.name}/handling", {"cache_seconds": 5}, "application/json")
    assert handled.json()["handling"] == {"cache_seconds": 5}
    limited = api.post(f"/api/v1/keys/{key.key_id}/limits", {"requests": 100}, "application/json")
    assert limited.json()["limits"] == {"requests": 100}


def test_two_people_who_set_handling_do_not_undo_each_other(route: Route) -> None:
    _, secret = create_token(ENGINE, "ops", "admin", None)
    api = Browser(headers={"Authorization": f"Bearer {secret}"})
    address = f"/api/v1/routes/{route.name}/handling"
    read = api.get("/api/v1/routes").json()["routes"][0]["handling_version"]
    mine = api.post(address, {"cache_seconds": 5}, "application/json", headers={"If-Match": f'"{read}"'})
    assert mine.status_code == 200 and mine.json()["handling_version"] != read
    theirs = api.post(address, {"own_headers": False}, "application/json", headers={"If-Match": f'"{read}"'})
    assert theirs.status_code == 409 and "somebody has set it meanwhile" in theirs.json()["detail"]
    beside = api.post(f"{address}/members", {"own_headers": False}, "application/json")
    assert beside.json()["handling"] == {"cache_seconds": 5, "own_headers": False}
    back = api.post(f"{address}/members", {"cache_seconds": None}, "application/json", headers={"If-Match": "*"})
    assert back.json()["handling"] == {"own_headers": False}
    assert api.post(f"{address}/members", {"cache_seconds": -1}, "application/json").status_code == 400
