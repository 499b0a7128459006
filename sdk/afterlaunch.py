"""`import afterlaunch` where the SDK is installed alone.

Beside the server in one folder, Python takes the server's package of this name, which offers the same. Where the
server's package lies in another folder of the path (installed for development, say), `__path__` leaves it reachable.
"""

from pkgutil import extend_path

from afterlaunch_sdk import *  # noqa: F403
from afterlaunch_sdk import __all__ as __all__
from afterlaunch_sdk import __version__ as __version__

__path__ = extend_path([], __name__)
