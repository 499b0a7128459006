"""What an application imports: where its telemetry goes, whose call it is, what was looked up, what people thought.

Of the standard library and OpenTelemetry only, nothing of the server; pyarrow is used where it is there. These files
are installed under two names, inside the server as `afterlaunch.sdk` and alone as `afterlaunch_sdk`
(docs/decisions/sdk-names.md); so they import each other relatively, and keep no state but OpenTelemetry's and what
`init` was told.
"""

from __future__ import annotations

from .batches import log_labels, log_predictions
from .evaluations import feedback, reference
from .gateway import Assignment, assignment, headers
from .posting import NotTaken, Taken
from .spans import Retrieval, agent, retrieval, tool
from .stamps import context
from .start import flush, init

__version__ = "0.1.0"
__all__ = [
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
]
