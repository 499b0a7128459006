"""What an operator tells of a sampler that does not tell it itself: the share of traces that senders let through.

Spans whose own sampler tells its share are left as they are; so are reports of gateways, which see every call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.conventions.sampling import MILLI
from afterlaunch.telemetry.keeping.rules import Rules

NAME = "adjusted_count_milli"


def rated(table: Any, rules: Rules) -> Any:
    """The spans (schema SPANS) with what holds for their client and system."""
    if not rules.sampling or not table.num_rows:
        return table
    told = table[NAME].combine_chunks()
    open_rows = told.is_null().to_numpy(zero_copy_only=False) & ~table["gateway"].fill_null(False).to_numpy()
    if not open_rows.any():
        return table
    clients, systems = (table[name].combine_chunks().dictionary_encode() for name in ("client", "system"))
    places = [[*column.dictionary.to_pylist(), None] for column in (clients, systems)]
    codes = [
        column.indices.fill_null(len(values) - 1).to_numpy()
        for column, values in zip((clients, systems), places, strict=True)
    ]
    kinds, of_row = np.unique(codes[0] * len(places[1]) + codes[1], return_inverse=True)
    shares = [rules.share_of(places[0][one // len(places[1])], places[1][one % len(places[1])]) for one in kinds]
    milli = np.array([round(MILLI / share) if share else 0 for share in shares])[of_row]
    rows = open_rows & (milli > 0)
    values = np.where(rows, milli, told.fill_null(0).to_numpy())
    column = pa.array(values, pa.int64(), mask=~rows & told.is_null().to_numpy(zero_copy_only=False))
    return table.set_column(table.schema.get_field_index(NAME), table.schema.field(NAME), column)
