"""The guide says what there is: every setting with its default, and every change that is made to a call."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from flatfare.config import Limits, Policies, Provider, Retries, Settings, Timeouts
from flatfare.gateway.policies import STREAM_USAGE

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "gateway.md"
ROW = re.compile(r"^\| `([\w.]+)` \| ([^|]+) \|", re.MULTILINE)
OWN = ("listen", "journal_sync", "on_journal_failure", "when_client_leaves", "log")


def said(value: object) -> str:
    """A default as the guide writes it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    assert isinstance(value, int | float)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("group", [Limits, Timeouts, Retries, Policies])
def test_each_setting_of_a_group_is_in_the_table_with_its_default(group: type) -> None:
    rows = dict(ROW.findall(GUIDE.read_text()))
    for one in fields(group):
        name = f"{group.__name__.lower()}.{one.name}"
        assert rows.get(name, "").strip() == said(one.default), name


def test_the_other_settings_are_in_the_table_with_their_defaults() -> None:
    rows = dict(ROW.findall(GUIDE.read_text()))
    for name in OWN:
        assert rows[name].strip() == said(getattr(Settings(), name)), name


def test_each_setting_of_a_provider_is_named() -> None:
    text = GUIDE.read_text()
    for one in fields(Provider):
        assert one.name == "name" or f"`{one.name}`" in text, one.name


def test_each_policy_is_named_with_how_to_turn_it_off() -> None:
    text = GUIDE.read_text()
    for name in (*(one.name for one in fields(Policies)), STREAM_USAGE):
        assert f"policies: {{{name}: false}}" in text, name
