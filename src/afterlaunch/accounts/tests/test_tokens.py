import pytest

from afterlaunch.accounts.actions import (
    actor_of_token,
    create_token,
    first_administrator,
    revoke_token,
    sign_in_link,
    use_sign_in_link,
)
from afterlaunch.accounts.models import Client, Token
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import NotAllowed, NotSignedIn

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=clock.now())


def test_a_token_opens_what_its_role_says_for_its_client_only(acme: Client) -> None:
    token, secret = create_token(automation("test"), "ci", "operator", acme)
    actor = actor_of_token(secret)
    assert actor.may(Role.VIEWER, "acme") and not actor.may(Role.ADMIN, "acme") and not actor.may(Role.VIEWER, "other")
    assert actor.sees() == frozenset({"acme"})
    assert secret not in Token.objects.get(pk=token.pk).digest
    assert Entry.objects.filter(deed="token.created").count() == 1


def test_a_revoked_token_opens_nothing(acme: Client) -> None:
    token, secret = create_token(automation("test"), "ci", "viewer", acme)
    revoke_token(automation("test"), token)
    with pytest.raises(NotSignedIn):
        actor_of_token(secret)


def test_only_an_administrator_makes_tokens(acme: Client) -> None:
    mate = Actor("person", "mate", (Held(Role.OPERATOR, "acme"),))
    with pytest.raises(NotAllowed):
        create_token(mate, "x", "viewer", acme)


def test_an_ingest_token_reads_nothing() -> None:
    _, secret = create_token(automation("test"), "sender", "ingest", None)
    actor = actor_of_token(secret)
    assert actor.may(Role.INGEST, "acme") and not actor.may(Role.VIEWER, "acme") and actor.sees() == frozenset()


def test_a_sign_in_link_works_once() -> None:
    secret = sign_in_link(first_administrator())
    assert use_sign_in_link(secret).email == "admin@localhost"
    with pytest.raises(NotSignedIn):
        use_sign_in_link(secret)
