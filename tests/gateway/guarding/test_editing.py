"""One value of a request is changed, and every other byte stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.gateway.guarding.editing import value_at, with_value

LEAVES = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)
OBJECTS = st.dictionaries(
    st.sampled_from(["model", "a", "max_tokens", 'qu"ote', "[{"]) | st.text(max_size=5), VALUES
)
WRITTEN = st.sampled_from(
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"separators": (" , ", " :\n")}]
)


@given(OBJECTS, WRITTEN, st.sampled_from([("model",), ("a", "b"), ("a", "b", "c"), ('qu"ote',)]))
def test_the_value_is_set_and_all_else_says_what_it_said(
    whole: dict[str, Any], written: dict[str, Any], path: tuple[str, ...]
) -> None:
    body = json.dumps(whole, **written).encode()
    changed = with_value(body, path, b'"new"')
    expected = json.loads(body)
    within = expected
    for name in path[:-1]:
        if not isinstance(within.get(name), dict):
            within[name] = {}
        within = within[name]
    within[path[-1]] = "new"
    assert json.loads(changed) == expected
    assert value_at(changed, path) == "new"


@given(OBJECTS, WRITTEN)
def test_what_stands_before_and_behind_the_value_stays_byte_for_byte(
    whole: dict[str, Any], written: dict[str, Any]
) -> None:
    body = json.dumps({**whole, "model": "gpt-4o", "z": 1.0}, **written).encode()
    changed = with_value(body, ["model"], b'"gpt-4o-mini"')
    at = next(n for n in range(len(body)) if body[n : n + 1] != changed[n : n + 1])
    assert changed[at:].startswith(b"-mini")
    assert body == changed[:at] + changed[at + 5 :]


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (b'{"model":"a","model":"b"}', b'{"model":"x","model":"x"}'),
        (b'{"m\\u006fdel":"a"}', b'{"m\\u006fdel":"x"}'),
        (b'{"messages":[{"model":"a"}],"model":"a"}', b'{"messages":[{"model":"a"}],"model":"x"}'),
        (b'{"t":"\\"model\\":\\"a\\"","model":"a"}', b'{"t":"\\"model\\":\\"a\\"","model":"x"}'),
        (b"{}", b'{"model":"x"}'),
        (b' \n{ "n" : 1.50 }', b' \n{"model":"x", "n" : 1.50 }'),
    ],
)
def test_only_the_member_itself_is_meant(body: bytes, changed: bytes) -> None:
    assert with_value(body, ["model"], b'"x"') == changed
