"""Calls as they come, as documents: what the command line and the API show of each."""

import json
from collections.abc import Mapping

from flatfare.core.moments import iso
from flatfare.core.money import decimal_text


def document_of(row: Mapping[str, str | int | None]) -> dict[str, object]:
    """One call of ``store.arrivals``; money as decimal text."""
    cost_nano = row["cost_nano"]
    return {
        "call": row["id"],
        "time": iso(int(row["at_us"] or 0)),
        "status": row["status"],
        "http_status": row["http_status"],
        "provider": row["provider"],
        "endpoint": row["endpoint"],
        "model": row["model"] or row["model_asked"],
        "stream": bool(row["is_stream"]),
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "cost": {
            "amount": None if cost_nano is None else decimal_text(int(cost_nano)),
            "currency": "USD",
            "state": row["cost_state"],
            "reason": row["cost_reason"],
        },
        "duration_ms": row["duration_ms"],
        "labels": json.loads(str(row["labels"])),
        "key": row["key_id"],
    }
