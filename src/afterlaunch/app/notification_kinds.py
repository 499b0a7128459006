"""The kinds of notification, by name."""

from __future__ import annotations

from afterlaunch.notify.apprise import Apprise
from afterlaunch.notify.email import Email
from afterlaunch.notify.kinds import Kind
from afterlaunch.notify.pagerduty import PagerDuty
from afterlaunch.notify.slack import Slack, SlackBot
from afterlaunch.notify.teams import Teams
from afterlaunch.notify.webhook import Webhook

KINDS: tuple[Kind, ...] = (Email(), Slack(), SlackBot(), PagerDuty(), Teams(), Webhook(), Apprise())
