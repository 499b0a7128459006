"""Sends the receivers bodies that nobody should send, for some time.

    python -m tests.fuzz [--seconds 600] [--seed N] [--kinds "made traces,noise"] [--keep FOLDER]

The server's own doors are opened in this process on an empty store; eight bodies at a time wait for one commit.
After each eight: every answer is 2xx or says whose fault it is (400, 413, 415), never 500 or "send again"; the good
items are stored once, whatever stands beside them; they took no more than five seconds of processor time. Every two
minutes and at the end: the pages and the API still answer, nothing went to the dead letters, no span was left unmapped.
Memory stays below --megabytes. Exit 1 otherwise; bodies that break something are written to --keep, and `--body FILE`
sends them again.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path
from random import Random

AT_ONCE, READ_SECONDS, MOST_FINDINGS = 8, 120, 20
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--body", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="al-fuzz-") as data:
        os.environ["AFTERLAUNCH_DATA"] = data
        from afterlaunch.app.server import prepare

        prepare(lambda _: None)
        return run(given)


def run(given: argparse.Namespace) -> int:
    from tests.fuzz.bodies import KINDS
    from tests.fuzz.door import Broken, Open
    from tests.fuzz.reading import Reader

    door, reader, draw = Open(), Reader(), Random(given.seed)
    kinds = [one for one in KINDS if not given.kinds or one.name in given.kinds.split(",")]
    began = read = said = time.monotonic()
    count = findings = 0
    try:
        while given.body or time.monotonic() - began < given.seconds:
            chosen = draw.choices(kinds, [one.weight for one in kinds], k=AT_ONCE)
            bodies = pickle.loads(given.body.read_bytes()) if given.body else [kind.make(draw) for kind in chosen]
            count += len(bodies)
            try:
                door.check(bodies)
                if given.body or time.monotonic() - read > READ_SECONDS:
                    reader.read()
                    door.nothing_buried()
                    read = time.monotonic()
            except Broken as problem:
                findings += 1
                file = given.keep / f"fuzz-{given.seed}-{count}.pickle"
                file.write_bytes(pickle.dumps(bodies))
                print(f"body {count}: {problem}\n  kept in {file}", flush=True)
            if given.body or findings >= MOST_FINDINGS:
                break
            if time.monotonic() - said > 30:
                said = time.monotonic()
                print(f"{said - began:.0f} s: {count:,} bodies, {door.told}", flush=True)
        try:
            reader.read()
            door.nothing_buried()
        except Broken as problem:
            findings += 1
            print(f"at the end: {problem}")
    finally:
        door.close()
    told = door.told
    print(
        f"{count:,} bodies in {time.monotonic() - began:.0f} s: answers {dict(sorted(told.answers.items()))},"
        f" {told.spans:,} spans, slowest {told.slowest:.2f} s for {AT_ONCE} bodies,"
        f" at most {told.largest / 1e6:,.0f} MB resident; {findings} findings"
    )
    return 1 if findings or told.largest > given.megabytes * 1e6 else 0


if __name__ == "__main__":
    sys.exit(main())
