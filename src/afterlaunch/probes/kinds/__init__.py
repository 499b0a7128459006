"""The kinds of probes, by name. A kind is a file: what its configuration may hold, and one try."""

from __future__ import annotations

from afterlaunch.ground.errors import Invalid
from afterlaunch.probes.kinds.dns import Dns
from afterlaunch.probes.kinds.golden import Golden
from afterlaunch.probes.kinds.http import Http
from afterlaunch.probes.kinds.kind import Context, Kind
from afterlaunch.probes.kinds.tcp import Tcp
from afterlaunch.probes.kinds.tls import Tls

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Http(), Tcp(), Tls(), Dns(), Golden())}


def kind_named(name: str) -> Kind:
    if name not in KINDS:
        raise Invalid(f"There is no kind of probe {name!r}.", "Kinds: " + ", ".join(KINDS))
    return KINDS[name]


__all__ = ["KINDS", "Context", "Kind", "kind_named"]
