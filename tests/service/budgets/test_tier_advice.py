"""Advice on the tier of what names none: only where every answer agrees, and enough did."""

from pathlib import Path

import pytest

from flatfare.service import doctoring
from flatfare.service.budgets.tier_advice import CALLS_MIN, advice
from flatfare.store import sealing
from tests.store.rows import NOON_US, call, place, write

UNSAID = '{"messages":1,"tier":"unsaid"}'


def advised(folder: Path, *tiers: str | None, **columns: object) -> list[doctoring.Finding]:
    """What is advised after so many calls that named no tier, each served at one of these."""
    book, lake = place(folder)
    rows = [
        call(number, **{"service_tier": tier, "traits": UNSAID, "status": "ok", **columns})  # type: ignore[arg-type]
        for number, tier in enumerate(tiers)
    ]
    write(book, rows[::2])
    sealing.seal_calls(book, lake, NOON_US * 2, now_us=1)
    write(book, rows[1::2])
    return list(advice(book, lake, {"openai": "ours"}))


def test_it_is_advised_where_all_were_served_at_standard_rates(tmp_path: Path) -> None:
    (found,) = advised(tmp_path, *["default"] * CALLS_MIN, None)
    assert (found.severity, found.check) == ("note", "budgets")
    assert found.what.startswith(f"all {CALLS_MIN + 1} calls to openai under a hard budget")
    assert "{ours: {…, default_tier: standard}}" in found.todo


@pytest.mark.parametrize(
    ("tiers", "columns"),
    [
        (["default"] * CALLS_MIN + ["priority"], {}),
        (["default"] * (CALLS_MIN - 1), {}),
        ([None] * CALLS_MIN, {}),  # nobody said at which
        (["default"] * CALLS_MIN, {"traits": '{"messages":1}'}),  # they named it themselves
        (["default"] * CALLS_MIN, {"provider": "azure"}),  # of which the settings say something, or nothing
        (["default"] * CALLS_MIN, {"status": "failed"}),
        ([], {}),
    ],
)
def test_else_nothing_is(tmp_path: Path, tiers: list[str | None], columns: dict[str, object]) -> None:
    assert advised(tmp_path, *tiers, **columns) == []
