"""Which upstreams are well, as far as this worker has seen.

An upstream rests after a rate limit or an exhausted quota until it said, and after FAILURES failures in a row; then one
call probes it. What it refuses for good (credential, model) rests for the route that asked. Repeats are bounded by a
budget, so that a sick provider is not asked twice as much as a well one.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from afterlaunch.gateway import failures
from afterlaunch.gateway.failures import Failure

log = logging.getLogger(__name__)
FAILURES = 5  # in a row
REST = 15.0  # seconds after so many
LIMITED = 5.0  # after a rate limit that named no time
LONGEST = 600.0  # an exhausted quota, and the most that an upstream may ask for
REFUSED = 60.0  # a credential or model that it does not know
REPEATS = 0.1  # of the calls of the last WINDOW seconds may be repeats
FEW = 5  # repeats that are always allowed in it
WINDOW = 10.0
_SICK = frozenset((failures.NETWORK, failures.OVERLOADED, failures.PROVIDER, failures.TIMEOUT))
_RESTS = {failures.QUOTA: LONGEST, failures.AUTH: REFUSED, failures.NO_MODEL: REFUSED}


@dataclass
class _One:
    until: float = 0.0  # loop time until which it rests
    why: str = ""
    failed: float = 0.0  # when it failed last
    in_a_row: int = 0
    probing: bool = False
    asked: deque[list[int]] = field(default_factory=deque)  # second, calls, repeats


class Health:
    def __init__(self) -> None:
        self._upstreams: dict[str, _One] = {}

    def _of(self, name: str) -> _One:
        found = self._upstreams.get(name)
        if found is None:
            found = self._upstreams[name] = _One()
        return found

    def ready(self, name: str, route: str, now: float) -> bool:
        """False while it rests, and while another call probes whether it is well again."""
        return self._ready(name, now) and self._ready(f"{name} for {route}", now)

    def _ready(self, name: str, now: float) -> bool:
        one = self._upstreams.get(name)
        return one is None or not one.why or (one.until <= now and not one.probing)

    def failed_at(self, name: str) -> float:
        one = self._upstreams.get(name)
        return one.failed if one else 0.0

    def asks(self, name: str, now: float, again: bool) -> None:
        """A request goes out."""
        one = self._upstreams.get(name) or self._of(name)
        if one.why and one.until <= now:
            one.probing = True
        second, asked = int(now), one.asked
        if asked and asked[-1][0] == second:
            asked[-1][1] += 1
            asked[-1][2] += again
        else:
            asked.append([second, 1, int(again)])
            while asked[0][0] < now - WINDOW:
                asked.popleft()

    def spare(self, name: str) -> bool:
        """Whether another repeat is within the budget."""
        asked = self._of(name).asked
        repeats = sum(one[2] for one in asked)
        return repeats < FEW or repeats < REPEATS * sum(one[1] for one in asked)

    def well(self, name: str) -> None:
        """It answered, with whatever only the caller can mend too."""
        one = self._upstreams.get(name)
        if one is not None:
            if one.why:
                log.warning("upstream %s serves again", name)
            one.in_a_row, one.why, one.probing = 0, "", False

    def left(self, name: str) -> None:
        """A call ended without telling anything of it: the next one may probe."""
        one = self._upstreams.get(name)
        if one is not None:
            one.probing = False

    def failed(self, name: str, route: str, failure: Failure, now: float) -> None:
        kind = failure.kind
        one = self._of(f"{name} for {route}" if kind in (failures.AUTH, failures.NO_MODEL) else name)
        self._of(name).failed = one.failed = now
        if kind == failures.RATE_LIMITED:
            self._rest(one, name, kind, now, failure.wait if failure.wait is not None else LIMITED)
        elif kind in _RESTS:
            self._rest(one, name, kind, now, _RESTS[kind])
        elif kind in _SICK:
            one.in_a_row += 1
            if one.in_a_row >= FAILURES or one.probing:
                self._rest(one, name, kind, now, max(failure.wait or 0.0, REST))
        else:
            self.well(name)

    def _rest(self, one: _One, name: str, kind: str, now: float, seconds: float) -> None:
        if not one.why:
            log.warning("upstream %s rests for %.1f s: %s", name, min(seconds, LONGEST), kind)
        one.until, one.why, one.probing = now + min(seconds, LONGEST), kind, False

    def resting(self, now: float) -> dict[str, str]:
        """Names and why, of those that are not asked now."""
        return {name: one.why for name, one in self._upstreams.items() if one.why and one.until > now}
