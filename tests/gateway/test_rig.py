"""The rig itself: a client at the bare provider sees what the provider was told to do."""

import time
from collections.abc import Iterator

import pytest

from tests.gateway.rig import (
    EVENTS,
    Close,
    Line,
    Pause,
    Provider,
    Reset,
    Seen,
    Stall,
    ask,
    asking,
    bytewise,
    chunk,
    chunked,
    head,
    same_to_a_client,
    until_close,
    whole,
)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


@pytest.mark.parametrize(
    ("answer", "body", "end"),
    [
        (whole(b"hello"), b"hello", "whole"),
        (chunked([b"he", b"llo"]), b"hello", "whole"),
        (chunked(bytewise(b"hello")), b"hello", "whole"),
        (until_close([b"he", Pause(0.01), b"llo"]), b"hello", "whole"),
        (chunked([b"he", Pause(0.02), Reset()]), b"he", "reset"),
        (chunked([b"he", Close()]), b"he", "cut"),
        ((head(200, [("content-length", "9")]) + b"hello", Close()), b"hello", "cut"),
        (chunked([b"he", Stall()]), b"he", "late"),
        ((Close(),), b"", "none"),
        ((b"HELLO WORLD\r\n\r\n", Close()), b"", "broken"),
        ((head(103, [("link", "x")]), *whole(b"hello")), b"hello", "whole"),
    ],
)
def test_a_client_sees_what_the_provider_does(
    provider: Provider, answer: tuple[bytes], body: bytes, end: str
) -> None:
    provider.next(answer)
    seen = ask(provider.port("a"), asking("GET", "/"), timeout_s=0.3)
    assert (seen.body, seen.end) == (body, end)


def test_the_log_holds_each_request_as_it_came(provider: Provider) -> None:
    provider.forget()
    body = chunk(b"he") + chunk(b"llo") + b"0\r\n\r\n"
    raw = (
        b"POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    with Line(provider.port("a")) as line:
        line.send(raw, pieces_of=3)
        line.receive()
        line.send(asking("POST", "/v1/y", b"again"))
        line.receive()
    first, second = provider.log
    assert (first.method, first.target, first.path, first.body) == ("POST", "/v1/x?y=1", "/v1/x", b"hello")
    assert first.values("x-a") == ["1", "2"]
    assert (second.number, second.body, second.connection) == (2, b"again", first.connection)


def test_a_request_that_was_cut_is_no_request(provider: Provider) -> None:
    provider.forget()
    with Line(provider.port("a")) as line:
        line.send(asking("POST", "/", b"hello")[:-1])
    deadline = time.monotonic() + 2
    while not provider.broken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (len(provider.broken), provider.log) == (1, [])


def test_a_client_that_leaves_is_noticed() -> None:
    with Provider(lambda _: chunked([b"he", Stall()])) as provider:
        with Line(provider.port("a")) as line:
            line.send(asking("GET", "/"))
            assert line.receive(until=lambda body: body == b"he").end == "enough"
        deadline = time.monotonic() + 2
        while not provider.hung_up and time.monotonic() < deadline:
            time.sleep(0.01)
        assert provider.hung_up == [1]


def test_trailers_and_times_are_seen(provider: Provider) -> None:
    provider.next(chunked([b"he", Pause(0.1), b"llo"], trailers=[("x-sum", "1")]))
    seen = ask(provider.port("a"), asking("GET", "/"))
    assert seen.trailers == (("x-sum", "1"),)
    assert seen.arrivals[-1][0] - seen.arrivals[0][0] > 0.08


@pytest.mark.parametrize(
    "other",
    [
        Seen(200, "HTTP/1.1", "OK", EVENTS, b"hello!", end="whole"),
        Seen(201, "HTTP/1.1", "OK", EVENTS, b"hello", end="whole"),
        Seen(200, "HTTP/1.1", "OK", EVENTS, b"hello", end="cut"),
        Seen(200, "HTTP/1.1", "OK", (), b"hello", end="whole"),
        Seen(200, "HTTP/1.1", "OK", (*EVENTS, ("server", "us")), b"hello", end="whole"),
        Seen(200, "HTTP/1.1", "OK", EVENTS, b"hello", trailers=(("a", "b"),), end="whole"),
    ],
)
def test_the_comparison_can_fail(other: Seen) -> None:
    direct = Seen(200, "HTTP/1.1", "OK", EVENTS, b"hello", end="whole")
    same_to_a_client(direct, direct)
    with pytest.raises(AssertionError):
        same_to_a_client(direct, other)
