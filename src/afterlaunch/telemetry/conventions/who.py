"""Who, where and why, put together from several fields: provider, endpoint, agent, workflow, tool, route."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions import words as w
from afterlaunch.telemetry.conventions.attributes import Reading, Words, plainly
from afterlaunch.telemetry.conventions.inside import parsed
from afterlaunch.telemetry.conventions.kinds import Kinds

RAW_KINDS = ("langfuse_type", "openinference_kind", "vercel_operation", "traceloop_kind", "request_type", "claude_type")
_KNOWN = {*w.HOSTS, *w.PROVIDERS.values()}
_ID = re.compile(r"\d+|[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]+)*|[\w-]*\d[\w-]{15,}")


def provider(word: str) -> str | None:
    """The provider in our words. The AI SDK writes "openai.chat": what stands before the first dot counts."""
    low = plainly(word)
    if low in w.NO_PROVIDER or not low:
        return None
    if low in w.PROVIDERS or low in _KNOWN:
        return w.PROVIDERS.get(low, low)
    if low.startswith("google.vertex"):
        return "gcp.vertex_ai"
    head = low.partition(".")[0]
    if head != low and (head in w.PROVIDERS or head in _KNOWN):
        return w.PROVIDERS.get(head, head)
    return low


def finish(word: str) -> str | None:
    """The first finish reason, in our words: told as a text, or as a list."""
    values = parsed(word) if word.startswith("[") else [word]
    if not isinstance(values, list):
        values = [word]
    low = plainly(str(values[0])) if values and values[0] else ""
    return w.FINISH.get(low, low) or None


def operation(words: Words) -> Words:
    """The sender's own word for the kind of span: of several the most trusted."""
    return words.first("operation", *(words.code(name) for name in RAW_KINDS if name in words.codes))


def implied(words: Words, claude: Bools) -> Words:
    """Claude Code names no provider: it asks one."""
    rows = claude & words.among("claude_type", "llm_request", "claude_code.llm_request") & (words.code("provider") < 0)
    if not rows.any():
        return words
    codes = np.where(rows, len(words.distinct), words.code("provider"))
    return Words({**words.codes, "provider": codes}, [*words.distinct, "anthropic"], words.count)


def named(words: Words, kinds: Kinds, names: Any) -> Words:
    """Agent, workflow, tool and route with what only the kind of the span gives a meaning. `names`: span names."""
    agents, tools = kinds.among("agent"), kinds.among("tool")

    def where(rows: Bools, field: str) -> Ints:
        return np.where(rows, words.code(field), -1)

    out = words
    if "entity" in words.codes or "trace_name" in words.codes:
        out = out.first("agent", where(agents, "entity"), where(agents, "trace_name"))
        out = out.first("tool", where(tools, "entity"))
        out = out.first("workflow", where(~agents, "trace_name"))
    if "route_path" in words.codes or "tags" in words.codes:
        out = out.each("route_path", template).each("tags", _route_tag)
        out = out.first("route", out.code("route_path"), out.code("tags"))
    typed = words.among("langfuse_type", "tool") & (out.code("tool") < 0)
    if typed.any():  # Langfuse: the tool's span has its name
        codes, distinct = out.code("tool").copy(), list(out.distinct)
        for row in np.flatnonzero(typed).tolist():
            codes[row] = len(distinct)
            distinct.append(names[row].as_py())
        out = Words({**out.codes, "tool": codes}, distinct, out.count)
    return out


def template(path: str) -> str | None:
    """A path without its query, with {id} for numbers and ids, so that few distinct routes remain."""
    plain = path.partition("?")[0].partition("#")[0]
    return "/".join("{id}" if _ID.fullmatch(part) else part for part in plain.split("/")) or None


def _route_tag(tags: str) -> str | None:
    found = parsed(tags)
    for tag in found if isinstance(found, list) else tags.split(","):
        if isinstance(tag, str) and tag.strip().startswith("route:"):
            return tag.strip().removeprefix("route:") or None
    return None


def endpoint(reading: Reading, words: Words) -> Words:
    """Adds the field `endpoint`: host and port, or the address without its query and credentials."""
    out = words.each("server_url", _host, out="endpoint")
    if "server_address" not in words.codes:
        return out
    ports, known = reading.integer("server_port")
    hosts = words.code("server_address")
    pair = np.where(known & (ports < 65_536) & (ports != 443), ports, 0) + hosts * 65_536
    distinct, of_row = np.unique(pair, return_inverse=True)
    texts = list(out.distinct)
    table = []
    for one in distinct.tolist():
        host, port = divmod(one, 65_536)
        table.append(-1 if host < 0 else len(texts))
        if host >= 0:
            texts.append(f"{words.distinct[host]}:{port}" if port else words.distinct[host])
    codes = np.array(table)[of_row]
    return Words({**out.codes, "endpoint": np.where(codes < 0, out.code("endpoint"), codes)}, texts, out.count)


def _host(url: str) -> str | None:
    try:
        found = urlsplit(url if "//" in url else f"//{url}")
        port = f":{found.port}" if found.port and found.port != 443 else ""
        return f"{found.hostname}{port}{found.path.rstrip('/')}" if found.hostname else None
    except ValueError:
        return None


def by_client_only(words: Words) -> Bools:
    """The client library names a provider, but another host answers."""
    out = np.zeros(words.count, bool)
    if "endpoint" not in words.codes or "provider" not in words.codes:
        return out
    pair = words.code("provider") * len(words.distinct) + words.code("endpoint")
    there = np.flatnonzero(words.known("provider") & words.known("endpoint"))
    for one in np.unique(pair[there]).tolist():
        maker, host = (words.distinct[code] for code in divmod(one, len(words.distinct)))
        own = w.HOSTS.get(maker)
        name = host.partition("/")[0].rpartition(":")[0] or host.partition("/")[0]
        if own and not any(name == end or name.endswith("." + end) for end in own):
            out[there[pair[there] == one]] = True
    return out
