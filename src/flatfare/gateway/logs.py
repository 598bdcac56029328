"""The gateway's log: one JSON object a line on stderr, with the call's id, and never a secret or a text."""

import json
import logging
import sys
import traceback

from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.gateway.records import Result

_log = logging.getLogger("flatfare.gateway.calls")


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": iso(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "said": record.getMessage(),
        }
        call = getattr(record, "call", None)
        if call is not None:
            fields["call"] = call
        fields.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = type(record.exc_info[1]).__name__
            # Where it happened, without the message: that may hold a client's text.
            frames = traceback.extract_tb(record.exc_info[2])
            fields["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
        return json.dumps(fields, ensure_ascii=False)


def log_to_stderr() -> None:
    """Begin to log, once for a process and its children."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("flatfare")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def log_call(provider: str, endpoint: str, key_id: str | None, result: Result) -> None:
    """A line for a call that ended: what it was and cost, and nothing of what was said in it."""
    figures = result.figures
    fields = {
        "provider": provider,
        "endpoint": endpoint,
        "model": result.model,
        "status": result.status,
        "http_status": result.http_status,
        "cost": decimal_text(figures.cost_nano),
        "cost_state": figures.cost_state,
        "duration_ms": result.duration_ms,
        "key": key_id,
    }
    _log.info("call", extra={"call": result.call_id, "fields": fields})
