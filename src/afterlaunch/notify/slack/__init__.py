"""Slack: by incoming webhook, or by a bot whose message is edited, answered to and threaded."""

from afterlaunch.notify.slack.bot import SlackBot
from afterlaunch.notify.slack.sender import Slack

__all__ = ["Slack", "SlackBot"]
