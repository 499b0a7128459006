"""E-mail over SMTP. The Message-ID is made from the page's key, so a retry is the same mail."""

from afterlaunch.notify.email.sender import Email

__all__ = ["Email"]
