"""Shadows: what is mirrored, when, and how much of it at the same time.

A call that has ended offers a copy of its request; that never waits. Each route has a lane with so many requests under
way and a queue behind them; what does not fit is dropped and counted. What a lane does never reaches a caller.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from afterlaunch.contracts.shadow import Shadow
from afterlaunch.contracts.snapshot import Arm
from afterlaunch.gateway.configuration import Configuration, Target
from afterlaunch.gateway.shadowing.alterations import Unfit
from afterlaunch.gateway.shadowing.copies import Copy, chosen, mirrored
from afterlaunch.gateway.shadowing.sending import Means, Sending
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
HELD = 64 << 20  # bytes of requests, of all routes together
SWITCH = 0.0005  # seconds after which the thread that masks gives way to callers; as Python has it 0.005


@dataclass
class _Lane:
    waiting: deque[Copy] = field(default_factory=deque)
    bytes: int = 0  # that wait
    running: int = 0


class Shadows:
    """One per worker. `current`: the configuration in force. Copies are made ready in a thread of their own, since to
    mask a long text takes longer than a caller should wait for his turn."""

    def __init__(self, means: Means, current: Callable[[], Configuration | None]) -> None:
        self._means, self._current = means, current
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, "shadow", initializer=sys.setswitchinterval, initargs=(SWITCH,))
        self._held = 0
        self._stopped = False

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        return sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def held_bytes(self) -> int:
        return self._held

    def offer(self, copy: Copy) -> None:
        shadow = copy.route.handling.shadow
        try:
            if not chosen(shadow, copy):
                return
        except Unfit as unfit:
            self._drop(copy, str(unfit))
            return
        lane, size = self._lanes.setdefault(copy.route.name, _Lane()), len(copy.body)
        if self._stopped:
            self._drop(copy, "stopped")
        elif self._held + size > HELD:
            self._drop(copy, "queue-full")
        elif lane.running < shadow.in_flight:
            self._held += size
            self._start(lane, copy)
        elif len(lane.waiting) < shadow.queue and lane.bytes + size <= shadow.queue_bytes:
            self._held += size
            lane.bytes += size
            lane.waiting.append(copy)
        else:
            self._drop(copy, "queue-full")

    def tend(self, now: float) -> None:
        """About once a second. `now`: of the loop."""
        self._means.client.sweep(now)
        if self._tasks:
            self._means.budgets.tend(clock.real())

    async def stop(self) -> None:
        """What waits is dropped, what runs is cut."""
        self._stopped = True
        for lane in self._lanes.values():
            while lane.waiting:
                self._held -= len(lane.waiting[0].body)
                self._drop(self._next(lane), "stopped")
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=5)
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._means.client.close()
        self._means.budgets.flush()

    def _drop(self, copy: Copy, reason: str) -> None:
        self._means.metrics.add("shadow_dropped_total", route=copy.route.name, reason=reason)

    @staticmethod
    def _next(lane: _Lane) -> Copy:
        copy = lane.waiting.popleft()
        lane.bytes -= len(copy.body)
        return copy

    def _start(self, lane: _Lane, copy: Copy) -> None:
        lane.running += 1
        task = asyncio.get_running_loop().create_task(self._mirror(copy))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, lane, copy))

    def _ended(self, task: asyncio.Task[None], lane: _Lane, copy: Copy) -> None:
        self._tasks.discard(task)
        self._held -= len(copy.body)
        lane.running -= 1
        problem = None if task.cancelled() else task.exception()
        if task.cancelled():
            self._drop(copy, "stopped")
        elif isinstance(problem, Unfit):
            self._drop(copy, str(problem))
        elif problem is not None:
            log.error("a shadow of route %s failed", copy.route.name, exc_info=problem)
            self._drop(copy, "gateway-error")
        while lane.waiting and not self._stopped and lane.running < lane.waiting[0].route.handling.shadow.in_flight:
            self._start(lane, self._next(lane))

    async def _mirror(self, copy: Copy) -> None:
        """Raises Unfit where it is not sent."""
        shadow = copy.route.handling.shadow
        arm, target = self._place(copy, shadow)
        loop = asyncio.get_running_loop()
        if not self._means.health.ready(target.upstream.name, copy.route.name, loop.time()):
            raise Unfit("upstream-resting")
        sent = await loop.run_in_executor(self._thread, mirrored, copy, shadow, arm.model, target.upstream.provider)
        await Sending(self._means, copy, shadow, arm, target, sent).run()

    def _place(self, copy: Copy, shadow: Shadow) -> tuple[Arm, Target]:
        """By the configuration that is in force now, which must still want it so. The prompt is the caller's own.
        Raises Unfit."""
        now = self._current()
        route = now.routes.get(copy.route.name) if now is not None else None
        if now is None or route is None or route.handling.shadow != shadow:
            raise Unfit("no-longer-wanted")
        prompt = copy.assignment.arm.prompt_version
        if shadow.upstream is not None:
            arm = Arm("shadow", shadow.upstream, shadow.model, prompt)
        elif (candidate := route.arm("candidate")) is not None:
            arm = replace(candidate, name="shadow", prompt_version=prompt)
        else:
            raise Unfit("no-candidate")
        target = now.target(arm.upstream)
        if target.secret is None:  # missing, or passthrough: what a caller trusted to one upstream goes to no other
            raise Unfit("no-credential")
        return arm, target
