from __future__ import annotations

from django.http import HttpRequest

from afterlaunch.ground.actors import Actor


class Request(HttpRequest):
    """A request as every page and API view gets it: `app.middleware` put the actor on it."""

    actor: Actor
