"""Slack by incoming webhook: text as the fallback, blocks for the eye."""

from afterlaunch.notify.slack.sender import Slack

__all__ = ["Slack"]
