"""What agents do: steps of a run, tools by how often and how well, their order, and loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.look import formats
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.views import reading
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.errors import WHOSE
from afterlaunch.telemetry.views.grids import COUNT, INSTANT, MS, NUMBER, SHARE, TEXT, Column, Grid
from afterlaunch.telemetry.views.newest import newest
from afterlaunch.telemetry.views.sheets import Section, Sheet, Tile, to_calls
from afterlaunch.telemetry.views.sums import Group, groups_of

NEWEST = 10_000
LOOP = 3
"""So many times the same tool with the same arguments in one run is a loop."""
MOST_ROWS, LONGEST = 50, 12
STEPS = ("inference", "tool", "retrieval", "rerank", "embedding", "memory", "plan", "guardrail")


@dataclass
class Run:
    """One trace that holds an agent or a tool."""

    client: str
    trace_id: str
    start_ns: int
    agents: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    tools: list[tuple[str, str | None]] = field(default_factory=list)  # name, digest of the arguments; in order
    failed: int = 0

    @property
    def steps(self) -> int:
        return sum(self.kinds[kind] for kind in STEPS)

    @property
    def agent(self) -> str | None:
        return self.agents.most_common(1)[0][0] if self.agents else None

    def loops(self) -> list[tuple[str, int]]:
        """Tools called at least LOOP times with the same arguments."""
        told = Counter(one for one in self.tools if one[1] is not None)
        return [(tool, times) for (tool, _), times in told.most_common() if times >= LOOP]


def runs_of(rows: Iterable[dict[str, Any]]) -> list[Run]:
    """Rows of spans in order of their start. Only traces with an agent or a tool are runs."""
    found: dict[tuple[str, bytes], Run] = {}
    for row in rows:
        key = (row["client"], row["trace_id"])
        run = found.get(key)
        if run is None:
            run = found[key] = Run(row["client"], row["trace_id"].hex(), row["start_ns"])
        run.kinds[row["op_kind"]] += 1
        run.failed += bool(row["failed"])
        if row["agent"]:
            run.agents[row["agent"]] += 1
        if row["op_kind"] == "tool":
            run.tools.append((row["tool"] or row["name"], reading.digest(row["arguments"])))
    return [run for run in found.values() if run.kinds["agent"] or run.tools or run.agents]


RUNS = (
    Column("agent", TEXT, "Agent"),
    Column("runs", COUNT, "Runs"),
    Column("steps_mean", NUMBER, "Steps, mean"),
    Column("steps_p50", COUNT, "p50"),
    Column("steps_p95", COUNT, "p95"),
    Column("steps_max", COUNT, "Most"),
    Column("model_calls_mean", NUMBER, "Model calls"),
    Column("tool_calls_mean", NUMBER, "Tool calls"),
    Column("runs_with_failures", COUNT, "With a failed step"),
    Column("runs_with_loops", COUNT, "With a loop"),
)
TOOLS = (
    Column("tool", TEXT, "Tool"),
    Column("calls", COUNT, "Calls"),
    Column("share", SHARE, "Of all tool calls"),
    Column("failed", COUNT, "Failed"),
    Column("failed_share", SHARE, "Failed"),
    Column("p50_ms", MS, "p50"),
    Column("p95_ms", MS, "p95"),
    Column("p99_ms", MS, "p99"),
    Column("why", TEXT, "Why, most often"),
)
PAIRS = (
    Column("tool", TEXT, "After"),
    Column("next", TEXT, "comes"),
    Column("times", COUNT, "Times"),
    Column("share", SHARE, "Of what follows it"),
)
SEQUENCES = (
    Column("sequence", TEXT, "Tools of a run, in order"),
    Column("runs", COUNT, "Runs"),
    Column("share", SHARE, "Of runs"),
    Column("failed_share", SHARE, "With a failed step"),
)
LOOPS = (
    Column("at", INSTANT, "When"),
    Column("agent", TEXT, "Agent"),
    Column("tool", TEXT, "Tool"),
    Column("times", COUNT, "Same arguments"),
    Column("steps", COUNT, "Steps of the run"),
    Column("trace_id", TEXT, "Trace"),
)
SEND = "afterlaunch.agent(…) and afterlaunch.tool(…) tell them; so do instrumentations of agent frameworks."


def sheet(ask: Asked) -> Sheet:
    rows = operations(ask)
    runs = runs_of(rows)
    tools = tool_rows(groups_of(ask, ["tool"], (profiles.LATENCY, profiles.ERROR), True, {"op_kind": "tool"}))
    cut = f"Of the newest {NEWEST:,} operations. " if len(rows) == NEWEST else ""
    untold = sum(digest is None for run in runs for _, digest in run.tools)
    arguments = f"{untold:,} tool calls tell no arguments: they are in no loop. " if untold else ""
    trace = {"trace_id": lambda row: f"/traces/{row['trace_id']}"}
    steps = "A step is a model call, a tool, a retrieval or the like in one trace. "
    return Sheet(
        [
            Section("runs", "Runs", Grid(RUNS, run_rows(runs), to_calls(ask, ["agent"], of="spans")), cut + steps,
                    "No agent is told", SEND),
            Section("tools", "Tools", Grid(TOOLS, tools, to_calls(_tools_only(ask), ["tool"], of="spans")), "",
                    "No tool is told", SEND),
            Section("pairs", "What follows what", Grid(PAIRS, pair_rows(runs)), cut, "No run called two tools", SEND),
            Section("sequences", "Sequences", Grid(SEQUENCES, sequence_rows(runs)), cut, "No tool is told", SEND),
            Section("loops", "Loops", Grid(LOOPS, loop_rows(runs), trace),
                    f"{cut}{arguments}The same tool with the same arguments {LOOP} times or more in one run.",
                    "No loops", f"No run called one tool with the same arguments {LOOP} times."
                    if not untold or any(d for run in runs for _, d in run.tools) else
                    "Nothing is known: no tool call tells its arguments (gen_ai.tool.call.arguments)."),
        ],
        _tiles(runs, tools),
    )  # fmt: skip


def _tools_only(ask: Asked) -> Asked:
    return replace(ask, search=ask.search.also("kind", "tool"))


def operations(ask: Asked) -> list[dict[str, Any]]:
    """The newest operations in the time, in order of their start."""
    arguments = "case when op_kind = 'tool' then input_text end as arguments"
    columns = f"client, trace_id, start_ns, op_kind, agent, tool, name, failed, {arguments}"
    return newest(ask, "op_kind <> 'other'", columns, NEWEST)[::-1]


def run_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    by: dict[str | None, list[Run]] = {}
    for run in runs:
        by.setdefault(run.agent, []).append(run)
    out = []
    for agent, some in by.items():
        steps = sorted(run.steps for run in some)
        out.append(
            {
                "agent": agent,
                "runs": len(some),
                "steps_mean": sum(steps) / len(steps),
                "steps_p50": _at(steps, 0.5),
                "steps_p95": _at(steps, 0.95),
                "steps_max": steps[-1],
                "model_calls_mean": sum(run.kinds["inference"] for run in some) / len(some),
                "tool_calls_mean": sum(len(run.tools) for run in some) / len(some),
                "runs_with_failures": sum(run.failed > 0 for run in some),
                "runs_with_loops": sum(bool(run.loops()) for run in some),
            }
        )
    return sorted(out, key=lambda row: -row["runs"])


def _at(ordered: Sequence[int], share: float) -> int:
    """Nearest rank."""
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]


def tool_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    whole = sum(one["calls"] for one in groups)
    out = []
    for one in groups:
        took = one.quantiles(profiles.LATENCY)
        why = max(one.spread.get(profiles.ERROR, ()), key=lambda found: found[1], default=None)
        out.append(
            {
                "tool": one.key["tool"],
                "calls": one["calls"],
                "share": one["calls"] / whole,
                "failed": one["failed"],
                "failed_share": one["failed"] / one["calls"] if one["calls"] else None,
                "p50_ms": took and took.p50,
                "p95_ms": took and took.p95,
                "p99_ms": took and took.p99,
                "why": _why(why[0]) if why else "",
            }
        )
    return sorted(out, key=lambda row: -row["calls"])


def _why(code: int) -> str:
    kind, _ = profiles.error_of(code)
    whose = WHOSE.get(kind, "unknown")
    return kind if whose in kind else f"{kind} ({whose})"


def pair_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    pairs = Counter(pair for run in runs for pair in pairwise(name for name, _ in run.tools))
    follows = Counter[str]()
    for (first, _), times in pairs.items():
        follows[first] += times
    return [
        {"tool": first, "next": then, "times": times, "share": times / follows[first]}
        for (first, then), times in pairs.most_common(MOST_ROWS)
    ]


def sequence(run: Run) -> str:
    """Repeats of one tool are counted, and a long sequence is cut."""
    parts: list[list[Any]] = []
    for name, _ in run.tools:
        if parts and parts[-1][0] == name:
            parts[-1][1] += 1
        else:
            parts.append([name, 1])
    said = [name if times == 1 else f"{name} x{times}" for name, times in parts[:LONGEST]]
    return " > ".join(said) + (" > …" if len(parts) > LONGEST else "")


def sequence_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    by: dict[str, list[Run]] = {}
    for run in runs:
        if run.tools:
            by.setdefault(sequence(run), []).append(run)
    whole = sum(len(some) for some in by.values())
    rows: list[dict[str, Any]] = [
        {
            "sequence": said,
            "runs": len(some),
            "share": len(some) / whole,
            "failed_share": sum(run.failed > 0 for run in some) / len(some),
        }
        for said, some in by.items()
    ]
    return sorted(rows, key=lambda row: -row["runs"])[:MOST_ROWS]


def loop_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "at": clock.from_ns(run.start_ns),
            "agent": run.agent,
            "tool": tool,
            "times": times,
            "steps": run.steps,
            "trace_id": run.trace_id,
        }
        for run in runs
        for tool, times in run.loops()
    ]
    return sorted(rows, key=lambda row: -row["times"])[:MOST_ROWS]


def _tiles(runs: Sequence[Run], tools: Sequence[dict[str, Any]]) -> list[Tile]:
    steps = sorted(run.steps for run in runs)
    calls, failed = sum(row["calls"] for row in tools), sum(row["failed"] for row in tools)
    looped = sum(bool(run.loops()) for run in runs)
    return [
        Tile("Runs", formats.compact(len(runs)), "traces with an agent or a tool"),
        Tile("Steps of a run, p50", formats.count(_at(steps, 0.5)) if steps else formats.UNKNOWN),
        Tile("Steps of a run, p95", formats.count(_at(steps, 0.95)) if steps else formats.UNKNOWN),
        Tile("Tool calls", formats.compact(calls)),
        Tile("Failed tool calls", formats.percent(failed, calls)),
        Tile("Runs with a loop", formats.count(looped) if any(run.tools for run in runs) else formats.UNKNOWN, "",
             "warning" if looped else ""),
    ]  # fmt: skip
