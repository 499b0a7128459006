"""Whatever comes to the port of OTLP over gRPC: a clear status, never a fault of ours, and the next one is served."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.intake import Door
from afterlaunch.telemetry.otlp_grpc import SERVICES
from afterlaunch.telemetry.tests.test_otlp_grpc import LIMIT, OPEN, Receiving, logs, metrics, receiving, traces

VALID = {name: made().SerializeToString() for name, made in (("traces", traces), ("metrics", metrics), ("logs", logs))}
TOO_LONG = b"\n" + b"\xff" * 9 + b"\x7f"
SIGNALS = st.sampled_from(sorted(SERVICES))
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED}
BAD = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    yield from receiving(tmp_path_factory.mktemp("fuzz"), OPEN)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    yield from receiving(tmp_path_factory.mktemp("closed"), Door(False))


@pytest.fixture(autouse=True)
def served_still(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the next sender is answered, and nothing of ours broke on the way."""
    yield
    if "there" in request.fixturenames:
        here: Receiving = request.getfixturevalue("there")
        assert all(outcome(here, signal, body) is grpc.StatusCode.OK for signal, body in VALID.items())
        assert stores.current().query("select why from dead_letter") == []


def outcome(here: Receiving, signal: str, body: bytes, **more: Any) -> grpc.StatusCode:
    """The status, which is never a fault of ours."""
    try:
        here.export(signal, body, **more)
    except grpc.RpcError as problem:
        code: grpc.StatusCode = problem.code()
        assert code not in FAULTS, (code, problem)
        assert problem.details(), "it says why"
        return code
    return grpc.StatusCode.OK


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, bytes]:
    """A valid request, cut, changed or with something between."""
    signal = draw(SIGNALS)
    body = bytearray(VALID[draw(SIGNALS) if draw(st.booleans()) else signal])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        how = draw(st.sampled_from(("flip", "cut", "between", "twice", "long")))
        if how == "flip" and body:
            body[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del body[at:]
        elif how == "between":
            body[at:at] = draw(st.binary(max_size=12))
        elif how == "twice":
            body += body[at:]
        else:
            body[at:at] = b"\xff" * 9 + b"\x7f"  # the longest varint: a length, a tag or a number beyond all
    return signal, bytes(body)


@pytest.mark.parametrize("signal", sorted(SERVICES))
def test_a_length_beyond_all_is_a_bad_body(there: Receiving, signal: str) -> None:
    """The decoder of traces gives up on it in a way that is no Exception; its worker never came back."""
    for _ in range(5):
        assert outcome(there, signal, TOO_LONG) is grpc.StatusCode.INVALID_ARGUMENT


@quick
@given(SIGNALS, st.binary(max_size=400))
def test_any_bytes(there: Receiving, signal: str, body: bytes) -> None:
    assert outcome(there, signal, body) in BAD


@quick
@given(broken())
def test_requests_that_are_nearly_right(there: Receiving, told: tuple[str, bytes]) -> None:
    assert outcome(there, *told) in BAD | {grpc.StatusCode.RESOURCE_EXHAUSTED}


@quick
@given(SIGNALS, st.binary(max_size=200), st.integers(0, 60), st.sampled_from(("cut", "other", "twice", "behind")))
def test_gzip_that_is_none(there: Receiving, signal: str, noise: bytes, at: int, how: str) -> None:
    whole = gzip.compress(VALID[signal])
    body = {
        "cut": whole[: 2 + at],
        "other": whole[:10] + noise + whole[10:],
        "twice": gzip.compress(whole),
        "behind": whole + b"\x1f\x8b" + noise,
    }[how]
    assert outcome(there, signal, body) in BAD


@pytest.mark.parametrize("signal", sorted(SERVICES))
def test_other_compressions_are_named_as_such(there: Receiving, signal: str) -> None:
    code = outcome(there, signal, VALID[signal], compression=grpc.Compression.Deflate)
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert outcome(there, signal, zlib.compress(VALID[signal])) is grpc.StatusCode.INVALID_ARGUMENT
    assert outcome(there, signal, VALID[signal], compression=grpc.Compression.Gzip) is grpc.StatusCode.OK


@quick
@given(SIGNALS, st.integers(-3, 3), st.booleans())
def test_around_the_limit(there: Receiving, signal: str, more: int, packed: bool) -> None:
    """Padded with a field that nobody knows."""
    valid = VALID[signal]
    size = LIMIT + more - len(valid)
    padding = b"\xfa\x3e" + _varint(size - 5) + b"\0" * (size - 5)  # field 1007, three bytes of length
    body = valid + padding
    assert len(body) == LIMIT + more
    code = outcome(there, signal, gzip.compress(body) if packed else body)
    assert code is (grpc.StatusCode.RESOURCE_EXHAUSTED if more > 0 else grpc.StatusCode.OK)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def test_a_small_body_that_grows_is_refused(there: Receiving) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    assert outcome(there, "traces", bomb) is grpc.StatusCode.INVALID_ARGUMENT, "a gzip in a gzip is no request"
    assert outcome(there, "traces", gzip.compress(b"\0" * 50_000_000)) is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("method", ["/a.Service/Export", f"/{SERVICES['traces']}/Import", "/", "//"])
def test_another_address_is_unimplemented(there: Receiving, method: str) -> None:
    call: Any = there.channel.unary_unary(method)
    with pytest.raises(grpc.RpcError) as caught:
        call(VALID["traces"], timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


_ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
_PADDED = st.builds(
    lambda scheme, token: f"{scheme} {token}", st.sampled_from(("Bearer", "Basic", "bearer", "")), _ASCII
)


@pytest.mark.django_db(transaction=True)
def test_without_a_good_token_nothing_is_taken(closed: Receiving) -> None:
    """One database for all of them."""

    @quick
    @given(SIGNALS, st.one_of(st.none(), _ASCII, _PADDED), st.binary(max_size=40), broken())
    def strangers(signal: str, header: str | None, raw: bytes, body: tuple[str, bytes]) -> None:
        closed.metadata = [("authorization", header)] if header is not None else []
        closed.metadata.append(("authorization-bin", raw))  # type: ignore[arg-type]
        for told in (VALID[signal], body[1]):
            assert outcome(closed, signal, told) is grpc.StatusCode.UNAUTHENTICATED

    strangers()
    assert stores.current().query("select count(*) as spans from spans") == [{"spans": 0}]
