"""Which new rows of `calls` may tell of a call that something else tells of too. Pure but for what it remembers.

Key A: the same response id. Key B: another scope in the same trace, where one side has no response id. Stream keys.
Key C: the same process and requested model under two scopes. What then belongs together decides `calls.group`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from afterlaunch.telemetry.remembered import Keys, Remembered, of_ids, of_texts, salted

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
MOST_SCOPES = 32
RESPONSE, ANY, LACKS = 0x1D, 0x51, 0x52
NEIGHBOURS = ("response_id", "trace_id", "stream_key")
"""Columns in which a stored row must equal a new one to be looked at; or it ran in the same process (`_PROCESS`)."""
_PROCESS = ("client", "instance", "model_requested")


class Processes:
    """Which scopes each process (client, instance) has told calls of a model under. Forgetting some only costs a merge
    by likeness."""

    MOST, LONGEST = 50_000, 1_000

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str, str], set[str]] = {}

    def note(self, told: Iterable[tuple[str, str, str, str]]) -> None:
        """(client, instance, model, scope)."""
        if len(self._scopes) > self.MOST:
            self._scopes.clear()
        for client, instance, model, scope in told:
            if len(instance) + len(model) <= self.LONGEST:
                scopes = self._scopes.setdefault((client, instance, model), set())
                if len(scopes) < 2:  # more than one is all that is asked
                    scopes.add(scope)

    def mixed(self) -> set[tuple[str, str, str]]:
        return {process for process, scopes in self._scopes.items() if len(scopes) > 1}


class Suspects:
    """`among` and `ask` before the commit, `remember` after it. `always`: other processes write to the store as well,
    so nothing that is remembered rules anything out."""

    def __init__(self, always: bool) -> None:
        self._always = always
        self._calls = Remembered()
        self._scopes: set[str] = set()
        self._last: tuple[Any, _Told] | None = None
        self.processes = Processes()

    def _told(self, rows: Any) -> _Told:
        """Read once for all that is asked of the same rows."""
        if self._last is None or self._last[0] is not rows:
            self._last = rows, _Told(rows)
        return self._last[1]

    def unread(self, lowest: int, highest: int, scopes: Iterable[str]) -> None:
        """The store holds calls with starts in this stretch, under these scopes, that nobody remembers."""
        self._calls.unread(lowest, highest)
        self._scopes |= set(scopes)

    def among(self, rows: Any) -> Bools:
        """`rows`: schema CALLS. Which of them share a key with each other, or can only be judged with others."""
        told = self._told(rows)
        out = told.streams | self.in_mixed_processes(rows)
        out[np.flatnonzero(told.has_id)] |= _repeated(told.responses)
        return out | told.across_scopes() if len(told.scopes) > 1 else out

    def in_mixed_processes(self, rows: Any) -> Bools:
        """Those of a process that has told calls of the model under two scopes."""
        processes, process = self._told(rows).processes
        self.processes.note(one for one in processes if None not in one)
        mixed = self.processes.mixed()
        if not mixed:
            return np.zeros(len(process), bool)
        return np.array([one[:3] in mixed for one in processes], bool)[process]

    def ask(self, rows: Any, apart_ns: int) -> Bools:
        """Which rows may share a key with a stored one."""
        told = self._told(rows)
        if self._always:
            return np.ones(told.count, bool)
        out = told.streams | self.in_mixed_processes(rows)
        places = np.flatnonzero(told.has_id)
        starts = told.starts[places]
        out[places] |= self._calls.may_hold(starts - apart_ns, starts + apart_ns, told.responses)
        return out | self._other_scopes(told, apart_ns)

    def _other_scopes(self, told: _Told, apart_ns: int) -> Bools:
        out = np.zeros(told.count, bool)
        if len(self._scopes) > MOST_SCOPES:
            return np.ones(told.count, bool)
        for scope in self._scopes:
            others = np.array([one != scope for one in told.scopes])[told.scope]
            for salt, meant in ((ANY, others & ~told.has_id), (LACKS, others & told.has_id)):
                places = np.flatnonzero(meant)
                starts = told.starts[places]
                keys = salted(told.traces[places], hash(scope) ^ salt)
                out[places] |= self._calls.may_hold(starts - apart_ns, starts + apart_ns, keys)
        return out

    def remember(self, rows: Any) -> None:
        """After their commit: rows as they were told, one per span."""
        told, self._last = self._told(rows), None
        if len(self._scopes) <= MOST_SCOPES:  # of more, every row is asked for
            self._scopes |= set(told.scopes[: MOST_SCOPES + 1])
        marks = np.array([hash(scope) for scope in told.scopes], np.int64).view(np.uint64)[told.scope]
        keys = [told.responses, salted(told.traces ^ marks, ANY), salted((told.traces ^ marks)[~told.has_id], LACKS)]
        self._calls.add(told.starts, np.unique(np.concatenate(keys)))


class _Told:
    """The columns of rows that matter here, as arrays."""

    def __init__(self, rows: Any) -> None:
        self.count = rows.num_rows
        self.starts: Ints = rows["start_ns"].to_numpy()
        self.has_id: Bools = rows["response_id"].is_valid().to_numpy().astype(bool)
        self.responses: Keys = salted(of_texts(rows["response_id"].drop_null().to_pylist()), RESPONSE)
        self.traces: Keys = of_ids(rows["trace_id"])
        scope = rows["scope"].combine_chunks().fill_null("").dictionary_encode()
        self.scopes: list[str] = scope.dictionary.to_pylist()
        self.scope: Ints = scope.indices.to_numpy()
        self.streams: Bools = rows["stream_key"].is_valid().to_numpy().astype(bool)
        self._rows = rows

    @cached_property
    def processes(self) -> tuple[list[tuple[Any, ...]], Ints]:
        """(the distinct processes with their scope, each row's place among them)."""
        return _distinct([self._rows[name] for name in (*_PROCESS, "scope")])

    def across_scopes(self) -> Bools:
        """Rows in whose trace another scope tells something, where one of both has no response id."""
        traces, trace = np.unique(self.traces, return_inverse=True)
        pair = trace * len(self.scopes) + self.scope
        lacking = np.unique(pair[~self.has_id])
        scopes_of, lacking_of = (
            np.bincount(pairs // len(self.scopes), minlength=len(traces)) for pairs in (np.unique(pair), lacking)
        )
        others_lack = lacking_of[trace] - np.isin(pair, lacking) > 0
        found: Bools = np.where(self.has_id, others_lack, scopes_of[trace] > 1)
        return found


def sharing(rows: Any, near: list[dict[str, Any]]) -> Bools:
    """Which rows equal one of the stored rows in a column of NEIGHBOURS."""
    out = np.zeros(rows.num_rows, bool)
    for name in NEIGHBOURS:
        held = {row[name] for row in near} - {None}
        if held:
            out |= np.array([value in held for value in rows[name].to_pylist()])
    beside: dict[tuple[Any, ...], set[str]] = {}
    for row in near:
        if row["instance"] is not None and row["model_requested"] is not None:
            beside.setdefault(tuple(row[name] for name in _PROCESS), set()).update(row["scopes"])
    if beside:
        processes = zip(*(rows[name].to_pylist() for name in _PROCESS), strict=True)
        scopes = [scope or "" for scope in rows["scope"].to_pylist()]
        pairs = zip(processes, scopes, strict=True)
        out |= np.array([bool(beside.get(process, set()) - {scope}) for process, scope in pairs])
    return out


def _distinct(columns: list[Any]) -> tuple[list[tuple[Any, ...]], Ints]:
    """(the distinct combinations of text columns, each row's place among them)."""
    place = np.zeros(len(columns[0]), np.int64)
    values, codes = [], []
    for column in columns:
        encoded = column.combine_chunks().dictionary_encode()
        known = [*encoded.dictionary.to_pylist(), None]
        code = encoded.indices.fill_null(len(known) - 1).to_numpy()
        values.append(known)
        codes.append(code)
        if len(known) > 1 + (encoded.null_count == 0):  # else it tells nothing apart
            place = np.unique(place * len(known) + code, return_inverse=True)[1]
    _, first, place = np.unique(place, return_index=True, return_inverse=True)
    told = [[known[one] for one in code[first].tolist()] for known, code in zip(values, codes, strict=True)]
    return list(zip(*told, strict=True)), place


def _repeated(keys: Keys) -> Bools:
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(counts[place] > 1)
