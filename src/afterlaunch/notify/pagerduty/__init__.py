"""PagerDuty by its Events API v2: an incident there follows the incident here. What is done there comes back through
`replies`."""

from afterlaunch.notify.pagerduty.sender import PagerDuty

__all__ = ["PagerDuty"]
