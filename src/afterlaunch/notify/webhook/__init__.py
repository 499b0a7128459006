"""A signed webhook after Standard Webhooks 1.0.0."""

from afterlaunch.notify.webhook.sender import Webhook

__all__ = ["Webhook"]
