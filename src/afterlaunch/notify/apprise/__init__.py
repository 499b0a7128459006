"""SMS, voice and the long tail of services through the library Apprise (BSD-2-Clause)."""

from afterlaunch.notify.apprise.sender import Apprise

__all__ = ["Apprise"]
