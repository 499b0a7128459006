"""Afterlaunch keeps AI systems healthy after launch.

`afterlaunch.init` and its companions are the SDK's, here and where the SDK is installed alone
(docs/decisions/sdk-names.md); the server does not load them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afterlaunch.sdk import Assignment as Assignment
    from afterlaunch.sdk import NotTaken as NotTaken
    from afterlaunch.sdk import Retrieval as Retrieval
    from afterlaunch.sdk import Taken as Taken
    from afterlaunch.sdk import agent as agent
    from afterlaunch.sdk import assignment as assignment
    from afterlaunch.sdk import context as context
    from afterlaunch.sdk import feedback as feedback
    from afterlaunch.sdk import flush as flush
    from afterlaunch.sdk import headers as headers
    from afterlaunch.sdk import init as init
    from afterlaunch.sdk import log_labels as log_labels
    from afterlaunch.sdk import log_predictions as log_predictions
    from afterlaunch.sdk import reference as reference
    from afterlaunch.sdk import retrieval as retrieval
    from afterlaunch.sdk import tool as tool

__version__ = "0.1.0"


# Named here, so that nothing but these words loads the SDK; no room of the server may be called like one.
_OF_THE_SDK = frozenset(
    (
        "Assignment",
        "NotTaken",
        "Retrieval",
        "Taken",
        "agent",
        "assignment",
        "context",
        "feedback",
        "flush",
        "headers",
        "init",
        "log_labels",
        "log_predictions",
        "reference",
        "retrieval",
        "tool",
    )
)


def __getattr__(name: str) -> Any:
    if name in _OF_THE_SDK:
        return getattr(import_module("afterlaunch.sdk"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
