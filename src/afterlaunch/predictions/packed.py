"""The profiles of several columns as bytes, and the layouts of a reference."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import orjson

from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.layouts import Layout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.packing import Profile, Unreadable, layout_document, layout_of, parse, serialise

HEAD = struct.Struct("<HI")  # bytes of the name, bytes of the profile
Layouts = Mapping[str, Layout]
Profiles = dict[str, Profile]


def pack(profiles: Mapping[str, Profile]) -> bytes:
    parts = []
    for name, profile in profiles.items():
        told, body = name.encode("utf-8", "surrogatepass"), serialise(profile)
        parts += [HEAD.pack(len(told), len(body)), told, body]
    return zlib.compress(b"".join(parts), 1)


def unpack(body: bytes, layouts: Layouts) -> Profiles:
    """Raises `Unreadable`."""
    try:
        plain = zlib.decompress(body)
    except zlib.error as problem:
        raise Unreadable("The profiles can't be unpacked.") from problem
    found: Profiles = {}
    at = 0
    while at < len(plain):
        named, long = HEAD.unpack_from(plain, at)
        at += HEAD.size
        name = plain[at : at + named].decode("utf-8", "surrogatepass")
        at += named
        found[name] = parse(plain[at : at + long], layouts[name])
        at += long
    return found


def merge(one: Profiles, other: Profiles) -> Profiles:
    """Of the same columns."""
    return {name: profile.merge(other[name]) for name, profile in one.items()}  # type: ignore[arg-type]


def empty(layouts: Layouts) -> Profiles:
    return {name: empty_of(layout) for name, layout in layouts.items()}


def empty_of(layout: Layout) -> Profile:
    from afterlaunch.profiles.layouts import NumericLayout

    return NumericProfile.empty(layout) if isinstance(layout, NumericLayout) else CategoryProfile.empty(layout)


def pack_layouts(layouts: Layouts) -> bytes:
    return zlib.compress(orjson.dumps({name: layout_document(one) for name, one in layouts.items()}), 6)


def unpack_layouts(body: bytes) -> dict[str, Layout]:
    return {name: layout_of(one) for name, one in orjson.loads(zlib.decompress(body)).items()}
