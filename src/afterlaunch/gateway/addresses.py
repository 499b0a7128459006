"""From an upstream's name to a connected socket, to no other address than the one that was judged.

Upstreams are named by an administrator and may stand on the own network. What no model provider answers at is refused
unless `AFTERLAUNCH_OUTBOUND_ALLOW` lists it: link-local addresses and the metadata services of clouds, which hand out
credentials, multicast and unspecified ones. A name that leads to one of them is refused whole.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import aiohappyeyeballs

from afterlaunch.ground.outbound import Address, allowed_networks, embedded

CACHE_SECONDS = 60.0
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)


class AddressRefused(OSError):
    """The name leads to where no provider is."""


def refusal_of(address: Address, allowed: bool) -> str | None:
    """Why nothing is sent there; None when something may be."""
    inner = embedded(address)
    if allowed:
        return None
    if inner.is_link_local or inner in _METADATA:
        return "link-local or a metadata service"
    if inner.is_multicast or inner.is_unspecified or (inner.version == 4 and inner.is_reserved):
        return "no address of a host"
    return None


class Resolver:
    """Names are asked for again after a minute, and judged every time that a connection is made."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[aiohappyeyeballs.AddrInfoType]]] = {}

    async def connect(self, host: str, port: int) -> socket.socket:
        """Tries the addresses in turn, both families. Raises OSError, AddressRefused."""
        return await aiohappyeyeballs.start_connection(
            await self._judged(host, port), happy_eyeballs_delay=0.25, interleave=1
        )

    async def _judged(self, host: str, port: int) -> list[aiohappyeyeballs.AddrInfoType]:
        loop = asyncio.get_running_loop()
        until, found = self._known.get((host, port), (0.0, []))
        if until < loop.time():
            found = list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            self._known[host, port] = loop.time() + CACHE_SECONDS, found
        networks = allowed_networks()
        for info in found:
            address = ipaddress.ip_address(str(info[4][0]).split("%", 1)[0])
            why = refusal_of(address, any(address in one for one in networks if one.version == address.version))
            if why:
                raise AddressRefused(f"{host} leads to {address}: {why}")
        return found
