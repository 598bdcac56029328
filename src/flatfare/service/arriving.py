"""Calls as they come, as documents: what the command line and the API show of each."""

import json
from collections.abc import Mapping

from flatfare.core.moments import iso
from flatfare.core.money import decimal_text

NOT_RECORDED = "not recorded"
"""What is shown of a call that was computed before its prices were written down with it."""


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
        "cost_basis": row["cost_basis"],
        "price_version": row["price_version"],
        "duration_ms": row["duration_ms"],
        "labels": json.loads(str(row["labels"])),
        "key": row["key_id"],
    }


def prices_of(call: Mapping[str, object]) -> str | None:
    """By which prices a call was costed, in words; None where its cost was not computed from any.

    >>> prices_of({"price_version": None, "cost_basis": "computed", "cost": {"reason": None}})
    'not recorded'
    """
    if call["price_version"] is not None:
        return str(call["price_version"])
    cost = call["cost"]
    assert isinstance(cost, Mapping)
    is_old = call["cost_basis"] == "computed" and cost["reason"] is None
    return NOT_RECORDED if is_old else None
