"""What people answer from Slack and PagerDuty, and which of our people they are."""
