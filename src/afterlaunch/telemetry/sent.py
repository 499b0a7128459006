"""What a sender sent and nothing could read, as a dead letter keeps it: an Arrow stream of one row. Pure."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

SENT = pa.schema(
    [
        ("sent_signal", pa.string()),  # "spans", "data points", "log records", "samples"
        ("sent_client", pa.string()),  # of the credential; NULL: the resource names it
        ("sent_at_ns", pa.int64()),  # arrival
        ("sent_body", pa.binary()),  # the protocol's own request, as protobuf
    ]
)


def as_sent(signal: str, body: bytes, client: str | None, received_ns: int) -> bytes:
    row = {"sent_signal": signal, "sent_client": client, "sent_at_ns": received_ns, "sent_body": body}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SENT) as writer:
        writer.write_table(pa.Table.from_pylist([row], SENT))
    return bytes(sink.getvalue().to_pybytes())


def is_sent(rows: Any) -> bool:
    return bool(rows.schema.names == SENT.names)
