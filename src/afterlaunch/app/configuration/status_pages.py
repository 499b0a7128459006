"""Documents of status pages."""

from __future__ import annotations

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, NEEDED_TEXT, TEXT, Field, list_of, mapping, one_of
from afterlaunch.app.configuration.people import client
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.settings import settings
from afterlaunch.status_pages import actions
from afterlaunch.status_pages.actions import Part
from afterlaunch.status_pages.models import StatusPage

_UPTIME = Field("true or false", lambda value: True if value is None else FLAG.take(value))
_PART = mapping(
    {"name": NEEDED_TEXT, "system": NEEDED_TEXT, "environment": TEXT, "about": TEXT, "uptime": _UPTIME}
)  # fmt: skip
FIELDS = {
    "title": NEEDED_TEXT,
    "about": TEXT,
    "public": FLAG,
    "policy": one_of(("draft", "publish", "nothing")),
    "components": list_of(_PART),
}


def read() -> list[tuple[Metadata, Spec]]:
    rows = StatusPage.objects.select_related("client").order_by("client__slug", "slug")
    return [({"client": row.client.slug, "name": row.slug}, _spec(row)) for row in rows]


def _spec(row: StatusPage) -> Spec:
    return {
        "title": row.title,
        "about": row.about,
        "public": row.public,
        "policy": row.policy,
        "components": [
            {
                "name": one.name,
                "system": one.system.key,
                "environment": one.environment,
                "about": one.about,
                "uptime": one.uptime,
            }
            for one in row.components.select_related("system")
        ],
    }


def put(actor: Actor, metadata: Metadata, spec: Spec) -> str | None:
    """What a document leaves out stays as it is. Returns the secret address of one that is new and not public."""
    of, slug = client(metadata["client"]), metadata["name"]
    known = StatusPage.objects.filter(client=of, slug=slug).first()
    told = {
        "about": "",
        "public": False,
        "policy": "draft",
        "components": [],
        **(_spec(known) if known else {}),
        **spec,
    }
    parts = [Part(**one) for one in told.pop("components")]
    row = actions.put_page(actor, of, slug, told.pop("title"), parts, **told)
    return None if known or row.public else f"{settings().public_url}{row.get_absolute_url()}"
