"""Many OTLP AnyValues as one column: what kind each is, and the wanted ones as text or numbers.

A value stays the bytes it was sent as. Its first byte tells the member that is set; strings are read in place (no
copy before somebody takes them), numbers by arithmetic on columns. What is not encoded in the usual way (unknown
fields, a member sent twice) is read by opentelemetry-proto and encoded anew. Source: protobuf encoding, common.proto.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

from afterlaunch.ground.errors import Invalid

NOTHING, STRING, BOOL, INT, DOUBLE, ARRAY, KVLIST, BYTES = 0, 0x0A, 0x10, 0x18, 0x21, 0x2A, 0x32, 0x3A
"""The first byte of each member: field number and wire type."""
_SIZED = np.isin(np.arange(256), (STRING, ARRAY, KVLIST, BYTES))
SCALARS = ("string_value", "bool_value", "int_value", "double_value")
NESTED = ("array_value", "kvlist_value", "bytes_value")
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[Any]


class Values:
    """`kind[n]` is one of the constants above; `length[n]` the bytes of a string, array, list or bytes value."""

    def __init__(self, blobs: Any) -> None:
        self._read(blobs)
        odd = np.flatnonzero(~self._usual())
        if len(odd):
            values = blobs.to_pylist()
            for place in odd.tolist():
                values[place] = _encoded_anew(values[place])
            self._read(pa.array(values, pa.binary()))
            self._usual()

    def __len__(self) -> int:
        return len(self.kind)

    def _read(self, blobs: Any) -> None:
        count = len(blobs)
        self._blobs = blobs
        _, offsets, data = blobs.buffers()
        self._buffer = data if data is not None else pa.py_buffer(b"")
        self._data = np.frombuffer(self._buffer, np.uint8)
        ends = np.frombuffer(offsets, np.int32)[blobs.offset : blobs.offset + count + 1] if count else np.zeros(1, "i4")
        self._start, self._total = ends[:-1], np.diff(ends)
        self.kind = np.zeros(count, np.uint8)
        there = self._total > 0
        self.kind[there] = self._data[self._start[there]]
        header = np.full(count, 2, np.int32)
        for limit in (129, 16_386, 2_097_155, 268_435_460):  # the longest value with a length of 1, 2, 3, 4 bytes
            header += self._total > limit
        self._header = np.where(there, header, 0).astype(np.int32)
        self.length = self._total - self._header
        content = np.empty(2 * count + 1, np.int32)  # odd places: contents; even ones: headers, never taken
        content[0::2], content[1::2] = ends, self._start + self._header
        buffers = [None, pa.py_buffer(content), self._buffer]
        self._texts = pa.Array.from_buffers(pa.string(), 2 * count, buffers)
        self._bytes = pa.Array.from_buffers(pa.binary(), 2 * count, buffers)
        self.ints = np.zeros(count, np.int64)

    def _usual(self) -> Any:
        """Which values are encoded as expected; reads the whole numbers on the way."""
        second = self._data[np.minimum(self._start + 1, len(self._data) - 1)] if len(self._data) else self.kind
        sized, total = _SIZED[self.kind], self._total
        fine = (total == 0) | (sized & (total >= 2) & (self._header == 2) & (second == self.length))
        fine |= (self.kind == DOUBLE) & (total == 9)
        small = (total == 2) & (((self.kind == INT) & (second < 0x80)) | ((self.kind == BOOL) & (second < 2)))
        self.ints[small] = second[small]
        fine |= small
        long = np.flatnonzero(sized & (self._header > 2))
        if len(long):
            value, ended = self._varint(long, self._header[long] - 1)
            fine[long] = ended & (value == self.length[long].astype(np.uint64))
        whole = np.flatnonzero((self.kind == INT) & (total > 2) & (total <= 11))
        if len(whole):
            value, fine[whole] = self._varint(whole, total[whole] - 1)
            self.ints[whole] = value.view(np.int64)
        return fine

    def _varint(self, places: Ints, size: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.uint64], Bools]:
        """(value, whether it is exactly `size` bytes long, two at least) of the varints behind the first byte."""
        value, ended = np.zeros(len(places), np.uint64), np.ones(len(places), bool)
        begins = self._start[places] + 1
        for step in range(int(size.max(initial=0))):
            has = np.flatnonzero(size > step) if step > 1 else slice(None)  # shorter than two bytes is none of them
            byte = self._data[begins[has] + step]
            value[has] |= (byte & 0x7F).astype(np.uint64) << np.uint64(7 * step)
            ended[has] &= (byte >= 0x80) == (size[has] > step + 1)
        return value, ended

    def doubles(self, places: Ints) -> npt.NDArray[np.float64]:
        """The values at these places, all of them doubles."""
        if not len(places):
            return np.zeros(0, np.float64)
        unaligned = np.ndarray((len(self._data) - 7,), "<f8", self._buffer, 0, (1,))
        return unaligned[self._start[places] + 1]

    def starts_with(self, places: Ints, eight: bytes) -> Bools:
        """Which strings, all of them longer than that, begin with these eight bytes."""
        if not len(places):
            return np.zeros(0, bool)
        unaligned = np.ndarray((len(self._data) - 7,), "<u8", self._buffer, 0, (1,))
        found: Bools = unaligned[self._start[places] + self._header[places]] == np.frombuffer(eight, "<u8")[0]
        return found

    def blobs(self, places: Ints) -> Any:
        """A binary column: the values as they are encoded."""
        return self._blobs.take(pa.array(places))

    def contents(self, places: Ints) -> Any:
        """A binary column: the bytes of strings, arrays, lists and bytes values."""
        return self._bytes.take(pa.array(2 * places + 1))

    def distinct(self, places: Ints) -> tuple[Ints, list[Any]]:
        """(per place the number of its value, -1 where none is; the distinct values): for values that repeat."""
        coded = self._blobs.take(pa.array(places, mask=places < 0)).dictionary_encode()
        values = [plain(_value(blob)) for blob in coded.dictionary.to_pylist()]
        codes = np.frombuffer(coded.indices.buffers()[1], np.int32)[: len(places)]
        there = np.array([value is not None for value in values] + [False])
        return np.where((places >= 0) & there[codes], codes, -1), values

    def words(self, places: Ints) -> tuple[Ints, list[str]]:
        """As `distinct`, as texts."""
        codes, values = self.distinct(places)
        return codes, ["" if value is None else text_of(value) for value in values]

    def texts(self, places: Ints) -> Any:
        """A string column of the values at these places (negative: NULL); numbers as text, nested values as JSON.
        Raises Invalid for what is no UTF-8."""
        absent = places < 0
        kind = np.where(absent, STRING, self.kind[places])
        other = kind != STRING
        out = self._texts.take(pa.array(np.where(absent, 0, 2 * places + 1), mask=absent | other))
        try:
            out.validate(full=True)
        except pa.ArrowInvalid:
            raise Invalid("A text of the body is no UTF-8.") from None
        if other.any():
            out = pc.replace_with_mask(out, pa.array(other), self._rendered(places[other], kind[other]))
        return out

    def _rendered(self, places: Ints, kind: Any) -> Any:
        """Values that are no strings, as texts."""
        out = np.full(len(places), None, object)
        for of in np.unique(kind).tolist():
            rows = np.flatnonzero(kind == of)
            if of == INT:
                found = pc.cast(pa.array(self.ints[places[rows]]), pa.string())
            elif of == DOUBLE:
                found = pc.cast(pa.array(self.doubles(places[rows])), pa.string())
            elif of == BOOL:
                found = pa.array(["false", "true"]).take(pa.array(self.ints[places[rows]]))
            elif of == NOTHING:
                continue
            else:
                found = _nested_texts(of, self.contents(places[rows]))
            if len(rows) == len(places):
                return found
            out[rows] = found.to_numpy(zero_copy_only=False)
        return pa.array(out, pa.string())


def _nested_texts(kind: int, contents: Any) -> Any:
    """Nested values as texts, by distinct value."""
    coded = contents.dictionary_encode()
    texts = [_nested(kind, content) for content in coded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(coded.indices)


def _nested(kind: int, content: bytes) -> str:
    """JSON of an array or a list; hex of bytes."""
    if kind == BYTES:
        return content.hex()
    try:
        if kind == ARRAY:
            found: Any = [plain(one) for one in ArrayValue.FromString(content).values]
        else:
            found = {one.key: plain(one.value) for one in KeyValueList.FromString(content).values}
    except DecodeError as problem:
        raise Invalid(f"An attribute's value does not decode: {problem}") from None
    return orjson.dumps(found).decode()


def plain(value: AnyValue) -> Any:
    """One AnyValue as JSON would have it; bytes in hex."""
    member = value.WhichOneof("value")
    if member == "array_value":
        return [plain(one) for one in value.array_value.values]
    if member == "kvlist_value":
        return {one.key: plain(one.value) for one in value.kvlist_value.values}
    if member == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, member) if member in SCALARS else None


def as_text(value: AnyValue) -> str | None:
    """The same text that `Values.texts` gives; None for nothing."""
    found = plain(value)
    return None if found is None else text_of(found)


def text_of(found: Any) -> str:
    """A plain value as text: numbers as Arrow writes them, nested values as JSON."""
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, (int, float)):
        return str(pc.cast(pa.scalar(found), pa.string()))
    return orjson.dumps(found).decode()


def _value(blob: bytes) -> AnyValue:
    try:
        return AnyValue.FromString(blob)
    except DecodeError as problem:
        raise Invalid(f"An attribute's value does not decode: {problem}") from None


def _encoded_anew(blob: bytes) -> bytes:
    """The value as opentelemetry-proto reads it, in the usual encoding. Raises Invalid."""
    value = _value(blob)
    value.DiscardUnknownFields()
    return value.SerializeToString() if value.WhichOneof("value") in (*SCALARS, *NESTED) else b""
