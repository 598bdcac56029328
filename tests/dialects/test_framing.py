"""Streams are cut into the same events, however their bytes were cut on the way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.dialects import framing
from flatfare.dialects.framing import JsonArray, JsonLines, ServerSentEvents


def events(frame: framing.Framing, *chunks: bytes) -> list[tuple[str, bytes]]:
    found = [event for chunk in chunks for event in frame.feed(chunk)]
    return found + frame.finish()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b': ping\n\nevent: done\nid: 7\ndata:{"x":1}\n\n', [("done", b'{"x":1}')]),
        (b"data: one\ndata: two\n\n", [("", b"one\ntwo")]),
        (b"data: a\n\ndata: no blank line at the end", [("", b"a"), ("", b"no blank line at the end")]),
        (b"data\n\n", [("", b"")]),
        (b"event: nothing\n\ndata: a\n\n", [("", b"a")]),
        (b"retry: 5\nnonsense\ndata:  two spaces\n\n", [("", b" two spaces")]),
    ],
)
def test_server_sent_events_are_the_same_at_every_cut(
    stream: bytes, expected: list[tuple[str, bytes]]
) -> None:
    assert events(ServerSentEvents(), stream) == expected
    assert events(ServerSentEvents(), *(stream[i : i + 1] for i in range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert events(ServerSentEvents(), stream[:cut], stream[cut:]) == expected


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=8) | st.lists(st.integers())), max_size=4),
    st.data(),
)
def test_json_arrays_and_lines_are_the_same_at_every_cut(
    values: list[dict[str, object]], data: st.DataObject
) -> None:
    array = json.dumps(values, indent=1).encode()
    lines = "".join(json.dumps(value) + "\n" for value in values).encode()
    for frame, stream in ((JsonArray, array), (JsonArray, lines), (JsonLines, lines)):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert [json.loads(found) for _, found in events(frame(), *pieces)] == values


def test_escaped_quotes_and_brackets_in_strings_do_not_end_an_element() -> None:
    stream = rb'[{"a":"\\\"}]{[","b":[{"c":1},[2]]},{"d":"\\"}]'
    whole = events(JsonArray(), stream)
    assert len(whole) == 2
    assert events(JsonArray(), *(stream[i : i + 1] for i in range(len(stream)))) == whole


def test_an_event_above_the_limit_is_dropped_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "EVENT_BYTES_MAX", 100)
    huge = b"data: " + b"x" * 1000 + b"\n\n"
    frame = ServerSentEvents()
    assert events(frame, *(huge[i : i + 10] for i in range(0, len(huge), 10)), b"data: a\n\n") == [("", b"a")]
    assert frame.dropped == 1
    array = JsonArray()
    assert events(array, b'[{"a":"', b"x" * 1000, b'"},', b'{"b":1}]') == [("", b'{"b":1}')]
    assert array.dropped == 1
