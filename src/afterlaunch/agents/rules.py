"""When a run of an agent is out of hand. Pure.

A run is a transaction, where calls tell one, else a trace. It is measured by what runs of its agent were the day
before: the number of model calls, and the money, that one run in a hundred exceeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afterlaunch.verdicts.words import Finding, Status

NANO = 1_000_000_000
TIMES = 3.0
LEAST_CALLS, LEAST_NANO = 20, NANO // 2
"""Below them nobody needs to hear of a run, however unusual."""
KNOWN_RUNS = 100  # of one agent, from which a run in a hundred can be told
UNHEARD_OF = 200  # calls of a run of an agent that little is known of
REPEATS = 10  # of one tool with the same arguments in one run
USUAL_SHARE = 0.05  # of a tool's runs that repeat so often: then it is what the tool is for, polling say
NAMED = 3


Kind = tuple[str, str, str, str | None]
"""Client, system, environment, agent."""


@dataclass(frozen=True)
class Run:
    """`name`: the transaction, or the trace (`is_trace`); what it did within the time that was looked at."""

    client: str
    system: str
    environment: str
    agent: str | None
    name: str
    is_trace: bool
    calls: int
    cost_nano: int
    first_ns: int
    last_ns: int

    @property
    def kind(self) -> Kind:
        return self.client, self.system, self.environment, self.agent

    @property
    def place(self) -> tuple[str, str, str]:
        return self.client, self.system, self.environment


@dataclass(frozen=True)
class Usual:
    """Of the runs of one agent: how many are known, and what one in a hundred exceeds."""

    runs: int
    calls: int
    cost_nano: int

    @property
    def known(self) -> bool:
        return self.runs >= KNOWN_RUNS


Usuals = Mapping[Kind, Usual]


@dataclass(frozen=True)
class Loop:
    """One tool with the same arguments in one run, `times`; `share`: of all runs that call this tool, how many repeat
    it so often."""

    run: str
    agent: str | None
    tool: str
    times: int
    runs: int
    share: float
    last_ns: int

    @property
    def sure(self) -> bool:
        """Enough runs call the tool to tell what is usual for it."""
        return self.runs * USUAL_SHARE >= 1


@dataclass(frozen=True)
class Detail:
    """Of one run: input tokens of its first and its latest call that tell them."""

    first_input: int | None = None
    last_input: int | None = None


@dataclass(frozen=True)
class Runaway:
    name: str = "agents.runaway"
    title: str = "Runaway agents"
    explanation: str = "A run makes, or costs, over three times what only one run in a hundred of its agent does."
    severity: str = "P2"

    def over(self, run: Run, usual: Usual | None) -> float:
        """By how much it is above the higher line, as a ratio; 0 where it is below, or nothing is known to compare."""
        if usual is None or not usual.known:
            return 0.0
        calls = run.calls / max(TIMES * usual.calls, LEAST_CALLS)
        cost = run.cost_nano / max(TIMES * usual.cost_nano, LEAST_NANO)
        worst = max(calls, cost)
        return worst if worst > 1 else 0.0

    def out_of_hand(self, runs: Sequence[Run], usual: Usuals, going_since_ns: int) -> list[Run]:
        """Those that go on first, then the worst."""
        over = {one.name: self.over(one, usual.get(one.kind)) for one in runs}
        found = [one for one in runs if over[one.name]]
        return sorted(found, key=lambda one: (one.last_ns < going_since_ns, -over[one.name], one.name))

    def find(self, runs: Sequence[Run], usual: Usuals, going_since_ns: int, detail: Detail) -> Finding:
        """Of one system in one environment. A run goes on that was heard of since `going_since_ns`; `detail` is of the
        first that is out of hand."""
        out = self.out_of_hand(runs, usual, going_since_ns)
        if out:
            return self._breach(out, len(runs), usual[out[0].kind], out[0].last_ns >= going_since_ns, detail)
        unheard = [one for one in runs if one.agent and one.calls > UNHEARD_OF and not _known(one, usual)]
        if unheard:
            most = max(unheard, key=lambda one: one.calls)
            said = f"A run of {_whose(most)} made {most.calls} model calls, and too few of its runs are known to say"
            said += f" whether that is usual ({_runs(most, usual)} of {KNOWN_RUNS}): {most.name}."
            count = len(runs)
            return Finding(self.name, Status.WARNING, "long_run", said, most.calls, UNHEARD_OF, "calls", count)
        compared = [one for one in runs if _known(one, usual)]
        if not compared:
            most_known = max((_runs(one, usual) for one in runs), default=0)
            said = f"Of no agent enough runs are known: {most_known} of {KNOWN_RUNS} within a day."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, count=len(runs))
        said = f"None of {len(compared)} runs goes beyond what its agent does."
        if len(compared) < len(runs):
            said += f" {len(runs) - len(compared)} are of agents of which too few runs are known."
        return Finding(self.name, Status.OK, "runs_usual", said, count=len(compared))

    def _breach(self, out: Sequence[Run], runs: int, usual: Usual, going: bool, detail: Detail) -> Finding:
        worst = out[0]
        said = _said(worst, usual, detail, going)
        if len(out) > 1:
            others = ", ".join(one.name for one in out[1 : NAMED + 1])
            said += f" {len(out) - 1} more {'runs do' if len(out) > 2 else 'run does'}: {others}."
        evidence = {
            "agent": worst.agent,
            "trace" if worst.is_trace else "transaction": worst.name,
            "cost_nano": worst.cost_nano,
            "runs": len(out),
        }
        status, reason = (Status.BREACH, "runs_away") if going else (Status.WARNING, "ran_away")
        line = max(TIMES * usual.calls, LEAST_CALLS)
        return Finding(self.name, status, reason, said, worst.calls, line, "calls", runs, evidence)


def _runs(run: Run, usual: Usuals) -> int:
    found = usual.get(run.kind)
    return found.runs if found else 0


def _known(run: Run, usual: Usuals) -> bool:
    return _runs(run, usual) >= KNOWN_RUNS


def _whose(run: Run) -> str:
    return f"agent {run.agent}" if run.agent else "an agent that is not told"


def _said(run: Run, usual: Usual, detail: Detail, going: bool) -> str:
    minutes = max(1, round((run.last_ns - run.first_ns) / 60e9))
    what = "Trace" if run.is_trace else "Transaction"
    said = f"{what} {run.name} of {_whose(run)} made {run.calls:,} model calls in {minutes} min"
    said += " and goes on; " if going else " and has ended; "
    said += f"99 of 100 of its runs make {usual.calls:,} at most. It cost ${run.cost_nano / NANO:,.2f}"
    said += f" (${usual.cost_nano / NANO:,.4f} at most)."
    if detail.first_input and detail.last_input and detail.last_input > 2 * detail.first_input:
        said += f" Its input grew from {detail.first_input:,} to {detail.last_input:,} tokens a call."
    return said


@dataclass(frozen=True)
class Loops:
    name: str = "agents.loop"
    title: str = "Agents in a loop"
    explanation: str = "A run calls the same tool with the same arguments ten times or more, as other runs do not."
    severity: str = "P2"

    def find(self, loops: Sequence[Loop], runs: int, untold: int, going_since_ns: int) -> Finding:
        """`runs`: those that called a tool with arguments that are told; `untold`: tool calls that tell none."""
        if not runs:
            said = f"{untold} tool calls tell no arguments (gen_ai.tool.call.arguments)." if untold else "No tool ran."
            return Finding(self.name, Status.NOT_ASSESSED, "no_arguments" if untold else "no_tools", said)
        mine = [one for one in loops if one.times >= REPEATS and (one.share <= USUAL_SHARE or not one.sure)]
        if not mine:
            said = f"None of {runs} runs called a tool {REPEATS} times with the same arguments, as other runs do not."
            return Finding(self.name, Status.OK, "no_loop", said, count=runs)
        going = [one for one in mine if one.last_ns >= going_since_ns]
        worst = max(going or mine, key=lambda one: (one.sure, one.times, one.run))
        said = f"A run of agent {worst.agent or '(not told)'} called {worst.tool} {worst.times} times with the same"
        said += f" arguments{' and goes on' if going else ''}: trace {worst.run}."
        if len(mine) > 1:
            said += f" {len(mine) - 1} more such {'loops' if len(mine) > 2 else 'loop'}."
        evidence = {"trace": worst.run, "agent": worst.agent, "tool": worst.tool, "loops": len(mine)}
        status = Status.BREACH if going and worst.sure else Status.WARNING
        if not worst.sure:
            said += f" Only {worst.runs} runs called it lately: perhaps that is what it is for."
        return Finding(self.name, status, "loop", said, worst.times, REPEATS, "calls", runs, evidence)


RUNAWAY, LOOPS = Runaway(), Loops()
JUDGES = (RUNAWAY, LOOPS)
