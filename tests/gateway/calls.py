"""Intents and results for tests: small, plain, valid; and journals written with them."""

import asyncio
import uuid
from collections.abc import Iterable
from pathlib import Path

from flatfare.gateway.journal import Journal
from flatfare.gateway.records import Figures, Intent, Record, Result

NOON_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z


def call_id(number: int) -> str:
    """A time-ordered id, a millisecond after the one before."""
    milliseconds = NOON_US // 1000 + number
    return str(uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62) | number))


def intent(number: int, **fields: object) -> Intent:
    """A call that costs 1,000 nano-dollars at most."""
    return Intent(
        call_id(number),
        NOON_US + number * 1000,
        "openai",
        "chat.completions",
        **{"model_asked": "gpt-5", "labels": '{"team":"search"}', "bound_nano": 1000, **fields},  # type: ignore[arg-type]
    )


def figures(number: int) -> Figures:
    """A cost of ten times the number plus one nano-dollar."""
    cost = 10 * number + 1
    return Figures(
        {"input": number + 1, "output": 2}, "measured", cost, "measured", None, "computed", cost, "measured"
    )


def result(number: int, **fields: object) -> Result:
    """The end of that call, half a second later."""
    given = {"http_status": 200, "duration_ms": 500, "model": "gpt-5-2025-08-07", "figures": figures(number)}
    ended_at_us = NOON_US + number * 1000 + 500_000
    return Result(call_id(number), ended_at_us, **{**given, **fields})  # type: ignore[arg-type]


def write_journal(folder: Path, records: Iterable[Record], **settings: int) -> str:
    """A worker that writes these records and ends; returns its id."""

    async def run() -> str:
        journal = Journal(folder, **settings)  # type: ignore[arg-type]
        for record in records:
            await journal.append(record)
        await journal.close()
        return journal.worker_id

    return asyncio.run(run())
