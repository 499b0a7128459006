"""Runs a command and writes down with what it ended. Standard library only: it is started by its path."""

import os
import subprocess
import sys


def main() -> None:
    folder, *words = sys.argv[1:]
    try:
        code = subprocess.call(words)  # noqa: S603 - what it is there for
    except OSError as problem:
        sys.stderr.write(f"{problem}\n")
        code = 127
    path = os.path.join(folder, "ended")
    with open(path + ".new", "w") as file:
        file.write(str(code))
    os.replace(path + ".new", path)


main()
