"""Microsoft Teams by a workflow's webhook: an adaptive card."""

from afterlaunch.notify.teams.sender import Teams

__all__ = ["Teams"]
