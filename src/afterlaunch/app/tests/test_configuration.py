import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.contracts.snapshot import BadSnapshot, Snapshot
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.routes.models import Published, Route

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
TEXT = """
apiVersion: afterlaunch/v1
kind: Route
metadata: {name: answers}
spec: {client: acme, system: support, baseline: {upstream: openai, model: gpt-4o, promptVersion: v1}}
---
apiVersion: afterlaunch/v1
kind: Client
metadata: {name: acme}
spec: {displayName: Acme, timeZone: Europe/Berlin}
---
apiVersion: afterlaunch/v1
kind: Person
metadata: {name: ada@acme.example}
spec: {displayName: Ada, roles: [{role: operator, client: acme}]}
---
apiVersion: afterlaunch/v1
kind: System
metadata: {name: support, client: acme}
spec: {displayName: Support, owner: ada@acme.example, tier: enterprise, automaticRollback: true}
---
apiVersion: afterlaunch/v1
kind: Upstream
metadata: {name: openai}
spec: {baseUrl: "https://api.openai.com", provider: openai, credential: "env:OPENAI_API_KEY"}
"""


def test_documents_in_any_order_make_it_so_and_a_second_time_changes_nothing() -> None:
    documents = parse(TEXT, "site.yaml")
    assert {d.kind for d in apply(LOCAL, documents)} == {"Client", "Person", "System", "Upstream", "Route"}
    entries, epochs = Entry.objects.count(), Published.objects.count()
    assert apply(LOCAL, documents) == []
    assert (Entry.objects.count(), Published.objects.count()) == (entries, epochs)


def test_an_export_round_trips() -> None:
    apply(LOCAL, parse(TEXT, "site.yaml"))
    text = to_yaml(export())
    assert apply(LOCAL, parse(text, "export")) == []
    assert to_yaml(export()) == text


def test_a_shadow_round_trips_and_one_without_a_budget_is_refused() -> None:
    shadow = "shadow: {share: 500, inFlight: 2, redact: [], withoutTenants: [t1], budget: {limit: 5}}"
    text = TEXT.replace("promptVersion: v1}}", f"promptVersion: v1}}, handling: {{{shadow}}}}}")
    apply(LOCAL, parse(text, "site.yaml"))
    kept = Route.objects.get(name="answers").handling["shadow"]
    given = {"share": 500, "in_flight": 2, "redact": [], "without_tenants": ["t1"], "budget": {"limit": 5.0}}
    assert kept == given
    exported = to_yaml(export())
    assert "inFlight: 2" in exported and apply(LOCAL, parse(exported, "export")) == []
    assert apply(LOCAL, parse(text, "site.yaml")) == []
    with pytest.raises(Invalid, match=r"shadow.budget"):
        apply(LOCAL, parse(text.replace(", budget: {limit: 5}", ""), "site.yaml"))


ROUTE = """---
apiVersion: afterlaunch/v1
kind: Route
metadata: {name: "%s"}
spec: {client: acme, system: support, baseline: {upstream: openai, model: "%s"}}
"""


def _no_odd_models(snapshot: Snapshot) -> None:
    """A rule that no deed checks by itself."""
    for route in snapshot.routes:
        if route.arms[0].model == "odd":
            raise BadSnapshot(f"route {route.name}: an odd model")


@pytest.mark.parametrize("bad", [[0], [6], [9], [3, 7]])
def test_one_publication_that_is_refused_names_the_document_at_fault(
    bad: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Snapshot, "check", _no_odd_models)
    routes = "".join(ROUTE % (f"r{number}", "odd" if number in bad else "even") for number in range(10))
    with pytest.raises(Invalid) as refused:
        apply(LOCAL, parse(TEXT + routes, "site.yaml"))
    (named,) = [number for number in bad if f", Route r{number}: " in refused.value.message]
    assert refused.value.message.startswith("site.yaml, line ") and f"route r{named}: an odd" in refused.value.message
    assert not Published.objects.exists() and not Client.objects.filter(slug="acme").exists()
    apply(LOCAL, parse(TEXT + routes.replace("odd", "even"), "site.yaml"))
    assert Published.objects.count() == 1


def test_a_publication_that_is_refused_for_what_stood_before_names_no_document(monkeypatch: pytest.MonkeyPatch) -> None:
    apply(LOCAL, parse(TEXT + ROUTE % ("r1", "odd"), "site.yaml"))
    monkeypatch.setattr(Snapshot, "check", _no_odd_models)
    with pytest.raises(Invalid, match=r"^The gateway's configuration would not hold together: route r1"):
        apply(LOCAL, parse(ROUTE % ("r2", "even"), "site.yaml"))


def test_one_bad_document_leaves_everything_as_it_was() -> None:
    bad = TEXT.replace("upstream: openai,", "upstream: nowhere,")
    with pytest.raises(Invalid, match="nowhere"):
        apply(LOCAL, parse(bad, "site.yaml"))
    assert not Client.objects.filter(slug="acme").exists() and not Route.objects.exists()


def test_a_dry_run_shows_the_difference_and_changes_nothing() -> None:
    assert len(apply(LOCAL, parse(TEXT, "site.yaml"), dry_run=True)) == 5
    assert not Client.objects.filter(slug="acme").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Client", "apiVersion"),
        ("apiVersion: afterlaunch/v1\nkind: Cat", "no kind 'Cat'"),
        ("apiVersion: afterlaunch/v1\nkind: Client\nmetadata: {}", "metadata.name"),
        ("apiVersion: afterlaunch/v1\nkind: Client\nmetadata: {name: a}\nspec: {colour: red}", "no field 'colour'"),
        ("{", "no YAML"),
        ("- 1", "apiVersion"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        parse(text, "site.yaml")


def test_who_may_not_do_a_part_of_it_does_nothing_of_it() -> None:
    mate = Actor("person", "mate", (Held(Role.OPERATOR, "acme"),))
    with pytest.raises(NotAllowed):
        apply(mate, parse(TEXT, "site.yaml"))
    assert not Client.objects.filter(slug="acme").exists()
