"""The kinds of notification, by name."""

from __future__ import annotations

from afterlaunch.notify.email import Email
from afterlaunch.notify.kinds import Kind
from afterlaunch.notify.slack import Slack
from afterlaunch.notify.webhook import Webhook

KINDS: tuple[Kind, ...] = (Email(), Slack(), Webhook())
