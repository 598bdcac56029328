"""What a hostile client, or a hostile provider, tries at the gateway, and does not get."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.gateway.rig import JSON, Line, Request, Seen, ask, asking, chunk, head, whole
from tests.gateway.rig_gateway import CREDENTIAL
from tests.gateway.rig_load import the
from tests.gateway.rig_pair import ASKED, CHAT, OPENAI, Pair, pair, until
from tests.gateway.rig_recorded import own

WHOLE = own("openai-chat").body


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    limits = {"header_s": 1.0, "body_s": 1.0, "idle_s": 2.0, "header_bytes": 16_384, "body_bytes": 1_000_000}
    hosts = (OPENAI, "api.anthropic.com", "generativelanguage.googleapis.com", "api.groq.com")
    with pair(tmp_path_factory.mktemp("security"), *hosts, limits=limits) as opened:
        yield opened


@pytest.fixture(autouse=True)
def fresh(both: Pair) -> Iterator[None]:
    """Whatever was tried, the next client is served as ever."""
    both.provider.forget()
    yield
    both.provider.forget()
    assert both.through(whole(WHOLE)).body == WHOLE


def raw(both: Pair, *lines: str, body: bytes = b"", first: str = f"POST {CHAT} HTTP/1.1") -> bytes:
    """A request with exactly these lines, and the key."""
    own_lines = [first, "host: 127.0.0.1", f"authorization: Bearer {both.secret}", *lines]
    return ("\r\n".join(own_lines) + "\r\n\r\n").encode("latin-1") + body


def remove_book(pair: Pair) -> None:
    """Take away a gateway's book, and its keys with it; what vouches for its chains stays."""
    for part in pair.gateway.folder.glob(f"{pair.gateway.book.name}*"):
        if part.is_file():
            part.unlink()


def tried(both: Pair, data: bytes, timeout_s: float = 3.0) -> tuple[Seen, bool]:
    """What came of these bytes: the first answer, and whether the connection was closed after it."""
    with both.opened(timeout_s) as line:
        with suppress(ConnectionError):
            line.send(data)
        seen = line.receive()
        return seen, line.is_closed(1.0)


SMUGGLED = b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx-smuggled: 1\r\n\r\n"
INSIDE = b"5\r\nhello\r\n0\r\n\r\n"

AMBIGUOUS = {
    "both lengths": (["content-length: 6", "transfer-encoding: chunked"], b"0\r\n\r\nG"),
    "both lengths, the other way round": (
        ["transfer-encoding: chunked", "content-length: 4"],
        INSIDE + SMUGGLED,
    ),
    "two lengths": (["content-length: 5", "content-length: 6"], b"hello" + SMUGGLED),
    "two lengths in one": (["content-length: 5, 6"], b"hello!"),
    "a length with a sign": (["content-length: +5"], b"hello"),
    "a length below nothing": (["content-length: -5"], b"hello"),
    "a length in hexadecimal": (["content-length: 0x5"], b"hello"),
    "a length with a space inside": (["content-length: 5 5"], b"hello"),
    "a length that is too large to count": (["content-length: 99999999999999999999999"], b"hello"),
    "a coding that is not chunked": (["transfer-encoding: identity"], INSIDE),
    "a coding that hides": (["transfer-encoding: xchunked"], INSIDE),
    "a coding behind chunked": (["transfer-encoding: chunked, identity"], INSIDE),
    "chunked twice": (["transfer-encoding: chunked", "transfer-encoding: chunked"], INSIDE),
    "chunked with a tab": (["transfer-encoding:\tchunked", "content-length: 3"], INSIDE),
    "a space before the colon": (["transfer-encoding : chunked", "content-length: 3"], INSIDE),
    "a folded line": (["transfer-encoding:", " chunked", "content-length: 3"], INSIDE),
    "a folded header": (["x-a: b", "\tcontent-length: 9", "content-length: 5"], b"hello"),
    "a line that begins with a space": ([" transfer-encoding: chunked", "content-length: 5"], b"hello"),
    "a name with a control sign": (["transfer\x0b-encoding: chunked", "content-length: 5"], b"hello"),
    "a value with a zero byte": (["x-a: b\x00c", "content-length: 5"], b"hello"),
    "no name": ([": b", "content-length: 5"], b"hello"),
    "no colon": (["just words", "content-length: 5"], b"hello"),
    "a chunk size with a sign": (["transfer-encoding: chunked"], b"+5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size in two bases": (["transfer-encoding: chunked"], b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that is none": (["transfer-encoding: chunked"], b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that overflows": (
        ["transfer-encoding: chunked"],
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ),
    "a chunk that is longer than it says": (
        ["transfer-encoding: chunked"],
        b"3\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
    ),
    "a chunk ended by LF": (["transfer-encoding: chunked"], b"5\r\nhello\n0\r\n\r\n" + SMUGGLED),
    "two hosts": (["host: other", "content-length: 5"], b"hello"),
}


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(both: Pair, how: str) -> None:
    """Nothing is sent, and nothing more is read from that connection: who knows where a request begins."""
    lines, body = AMBIGUOUS[how]
    seen, is_closed = tried(both, raw(both, *lines, body=body) + SMUGGLED)
    assert seen.status in (400, 413, 501) or seen.end in ("none", "reset"), (seen.status, seen.body)
    assert is_closed
    assert both.provider.log == []


def test_bare_line_feeds_are_no_way_round(both: Pair) -> None:
    """A server may take LF for a line's end; what matters is that no second request comes out of it."""
    data = raw(both, "content-length: 5", body=b"hello").replace(b"\r\n", b"\n")
    tried(both, data + SMUGGLED.replace(b"\r\n", b"\n"))
    assert [request for request in both.provider.log if request.header("x-smuggled")] == []
    for request in both.provider.log:
        assert b"\n" not in request.head.replace(b"\r\n", b"")


@pytest.mark.parametrize("pieces_of", [1, 2, 7])
def test_a_request_is_the_same_however_it_is_cut(both: Pair, pieces_of: int) -> None:
    data = raw(
        both, "transfer-encoding: chunked", body=chunk(ASKED[:9]) + chunk(ASKED[9:]) + b"0\r\nx: y\r\n\r\n"
    )
    with both.opened() as line:
        line.send(data, pieces_of)
        both.provider.next(whole(WHOLE))
        assert line.receive().status == 200
    assert [request.body for request in both.provider.log] == [ASKED]


INJECTED = ["a\rb: c", "a\nb: c", "a\r\n b", "\x00", "a\x7f", "\x1b[31m"]


@pytest.mark.parametrize("value", INJECTED)
def test_no_header_is_injected_by_a_value(both: Pair, value: str) -> None:
    """Neither towards the provider nor into the answer to the client."""
    both.provider.next(whole(WHOLE))
    data = raw(both, f"flatfare-labels: team={value}", f"x-own: {value}", "content-length: 0")
    seen, _ = tried(both, data)
    for request in both.provider.log:
        assert all(
            "\r" not in held and "\n" not in held and "\x00" not in held for _, held in request.headers
        )
        assert request.header("b") is None
    assert seen.header("b") is None


@pytest.mark.parametrize(
    "label",
    ["team=a%0d%0aset-cookie:%20x=1", "team=a%0Ab", "%0d%0ax-evil=1", "team=" + "é" * 10, "=a", "team=\xff"],
)
def test_what_is_said_of_labels_cannot_break_a_header(both: Pair, label: str) -> None:
    both.provider.next(whole(WHOLE))
    more = [
        ("flatfare-labels", label),
        ("baggage", label),
        ("flatfare-task", label),
        ("flatfare-purpose", label),
    ]
    seen = both.through(None, headers=more)
    assert (seen.status, seen.body) == (200, WHOLE)
    assert seen.header("set-cookie") is None
    assert seen.header("x-evil") is None
    assert all(sign.isprintable() for _, value in seen.headers for sign in value)


def test_a_provider_cannot_speak_in_our_name(both: Pair) -> None:
    """Headers of ours that a provider sends do not reach the client."""
    lies = [*JSON, ("flatfare-cost", "0.00"), ("Flatfare-Changed", "none"), ("flatfare-call", "fake")]
    seen = both.through(whole(WHOLE, headers=lies))
    assert len(seen.values("flatfare-call")) == 1
    assert seen.header("flatfare-call") != "fake"
    assert seen.header("flatfare-changed") is None
    assert "0.00" not in seen.values("flatfare-cost")


OVERSIZED = {
    "a header": (raw, ["x-long: " + "y" * 20_000], 431),
    "many headers": (raw, [f"x-{number}: {'z' * 40}" for number in range(600)], 431),
    "a header that never ends": (raw, ["x-long: " + "y" * 3_000_000], 431),
    "an address": (raw, ["x: y"], 431),
    "a body by its length": (raw, ["content-length: 1000001"], 413),
}


@pytest.mark.parametrize("what", OVERSIZED)
def test_what_is_too_large_is_refused_before_it_is_held(both: Pair, what: str) -> None:
    build, lines, status = OVERSIZED[what]
    first = f"POST {CHAT}?{'q' * 20_000} HTTP/1.1" if what == "an address" else f"POST {CHAT} HTTP/1.1"
    seen, is_closed = tried(both, build(both, *lines, first=first))
    assert seen.status == status or seen.end in ("reset", "none")
    assert is_closed
    assert both.provider.log == []


def test_a_body_in_chunks_is_too_large_as_well(both: Pair) -> None:
    with both.opened() as line:
        with suppress(ConnectionError):
            line.send(raw(both, "transfer-encoding: chunked"))
            for _ in range(200):
                line.send(chunk(b"x" * 10_000))
        seen = line.receive()
    assert seen.status == 413 or seen.end in ("reset", "none")
    assert both.provider.log == []


def test_a_client_that_is_slow_to_say_what_it_wants_is_let_go(both: Pair) -> None:
    """It may take a second and would take forty, a byte each fifth of a second: it never comes to its end."""
    data, said = raw(both, "content-length: 5", f"x-padding: {'x' * 100}"), 0
    with both.opened(4) as line:
        with suppress(ConnectionError):
            for byte in data[:-1]:
                line.send(bytes([byte]))
                said += 1
                time.sleep(0.2)
        assert said < len(data) // 2, "it was heard for most of a minute"
        seen = line.receive()
        assert seen.status == 408 or seen.end in ("reset", "none")
    assert both.provider.log == []


@pytest.mark.parametrize("sent", [b"", b"POST ", b"whole head"], ids=["nothing", "half a line", "no body"])
def test_a_client_that_says_nothing_more_is_let_go(both: Pair, sent: bytes) -> None:
    with both.opened(4) as line:
        line.send(raw(both, "content-length: 9") if sent == b"whole head" else sent)
        seen = line.receive()
        assert seen.status in (0, 408)
        assert seen.end != "late"


def test_many_slow_clients_do_not_keep_others_waiting(tmp_path: Path) -> None:
    """Others are served while the slow ones are still heard, who may take a minute."""
    limits = {"header_s": 60.0, "body_s": 60.0}
    with pair(tmp_path, limits=limits) as patient, ExitStack() as stack:
        slow = [stack.enter_context(patient.opened()) for _ in range(300)]
        for line in slow:
            line.send(b"POST /v1/chat/comp")
        assert patient.through(whole(WHOLE), timeout_s=30).status == 200
        assert not any(line.is_closed(0.001) for line in slow[::50])


def test_a_client_that_does_not_read_is_not_read_for(both: Pair) -> None:
    """A large answer to a client that takes nothing does not pile up in the gateway."""
    from resource import getpagesize

    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()

    worker = the(both.gateway, "worker")
    before = resident(worker)
    size = 60_000_000
    both.provider.next(
        (head(200, [("content-type", "audio/mpeg"), ("content-length", str(size))]), b"x" * size)
    )
    body = b'{"model": "tts-1", "input": "x", "voice": "alloy"}'
    with Line(both.gateway.port, 20) as line:
        line.send(both.request(both.secret, body, target="/v1/audio/speech"))
        line.receive(until=lambda got: len(got) > 0)
        time.sleep(0.7)
        assert resident(worker) - before < 30_000_000
    until(lambda: resident(worker) - before < 30_000_000, 5)


PATHS = [
    "/p/openai/../../etc/passwd",
    "/p/openai/%2e%2e/%2e%2e/etc/passwd",
    "/p/openai/..%2f..%2fetc/passwd",
    "/p/openai/%252e%252e/admin",
    "/p/..%2fgroq/v1/chat/completions",
    "/p//openai/v1/chat/completions",
    "/p/openai//evil.example/v1/chat/completions",
    "/p/openai/\\..\\v1/chat/completions",
    "/p/openai@evil.example/v1/chat/completions",
    "/p/openai:443@evil.example/v1/chat/completions",
    "/p/http:%2f%2fevil.example/v1/chat/completions",
    "/p/evil.example/v1/chat/completions",
    "/v1/../admin/keys",
    "/v1/chat/completions/../../organization/api_keys",
    "/v1/chat/completions/..;/x",
    "/v1/./chat/completions",
    "/v1//chat/completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions%0d%0aHost:%20evil",
    "/v1/chat%2fcompletions/../files",
    "/gemini/v1beta/models/..%2f..%2ffiles:generateContent",
    "//evil.example/v1/chat/completions",
    "/p/",
    "/p",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_elsewhere(both: Pair, path: str) -> None:
    seen = both.gateway.ask(both.secret, "POST", path, ASKED)
    assert seen.status in (400, 403, 404), (seen.status, seen.body)
    assert both.provider.log == []


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/v1/chat/completions",
        "https://127.0.0.1/v1/chat/completions",
        "evil.example:443",
        "*",
        "v1/chat/completions",
        "/v1/chat/completions HTTP/1.1\r\nx: y\r\n\r\nGET /",
    ],
)
@pytest.mark.parametrize("method", ["POST", "CONNECT", "GET", "TRACE", "OPTIONS"])
def test_it_is_no_open_proxy(both: Pair, target: str, method: str) -> None:
    """Targets in absolute form, authority form and the star reach no provider and no other host."""
    seen, _ = tried(both, raw(both, "content-length: 0", first=f"{method} {target} HTTP/1.1"))
    assert seen.status in (400, 403, 404, 405, 501) or seen.end in ("none", "reset")
    assert both.provider.log == []


@pytest.mark.parametrize(
    "version",
    ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/9", "XTTP/1.1", ""],
)
def test_another_version_of_http_is_refused(both: Pair, version: str) -> None:
    seen, is_closed = tried(both, raw(both, "content-length: 0", first=f"POST {CHAT} {version}"))
    assert seen.status in (400, 426, 505) or seen.end in ("none", "reset")
    assert is_closed
    assert both.provider.log == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_our_credential(both: Pair, status: int) -> None:
    """It is handed to the client as it came; the place it names is never asked."""
    elsewhere = both.provider.url("elsewhere.example")
    seen = both.through(whole(b"", status, [("location", f"{elsewhere}/steal")]))
    assert seen.status == status
    assert [request.host for request in both.provider.log] == [OPENAI]


UNKNOWN = [
    ("POST", "/v1/fine_tuning/jobs"),
    ("GET", "/v1/organization/costs"),
    ("GET", "/v1/organization/admin_api_keys"),
    ("POST", "/v1/organization/admin_api_keys"),
    ("DELETE", "/v1/models/ft:gpt-4o:mine"),
    ("GET", "/v1/chat/completions"),
    ("PUT", "/v1/chat/completions"),
    ("POST", "/v1/unheard/of"),
    ("GET", "/anthropic/v1/organizations/api_keys"),
    ("POST", "/gemini/v1beta/tunedModels"),
    ("GET", "/v1/files"),
    ("GET", "/v1/batches"),
    ("GET", "/anthropic/v1/messages/batches"),
]


@pytest.mark.parametrize(("method", "target"), UNKNOWN)
def test_an_endpoint_that_nothing_meters_is_refused_and_says_how_to_allow_it(
    both: Pair, method: str, target: str
) -> None:
    seen = both.gateway.ask(both.secret, method, target, b"{}")
    assert seen.status in (403, 404, 405)
    assert both.provider.log == []
    said = json.dumps(seen.json())
    assert "allow" in said or "list" in said


def test_an_endpoint_that_the_operator_allows_is_recorded_unknown(tmp_path: Path) -> None:
    with pair(tmp_path) as alone:
        alone.gateway.settings["providers"]["openai"]["allow"] = ["POST /v1/fine_tuning/*"]
        alone.gateway.stop()
        alone.gateway.start()
        alone.provider.next(whole(b'{"id": "ftjob-1"}'))
        seen = alone.gateway.ask(alone.secret, "POST", "/v1/fine_tuning/jobs", b"{}")
        assert (seen.status, seen.body) == (200, b'{"id": "ftjob-1"}')
        row = alone.row(seen)
        assert (row["cost_nano"], row["cost_state"]) == (None, "unknown")
        assert row["cost_reason"]
        for method, target in (("GET", "/v1/fine_tuning/jobs"), ("POST", "/v1/organization/invites")):
            assert alone.gateway.ask(alone.secret, method, target, b"{}").status == 403


def made(number: int) -> object:
    def answering(request: Request) -> tuple[bytes, ...]:
        kinds = {"/v1/files": "file", "/v1/batches": "batch", "/v1/responses": "resp"}
        kind = kinds.get(request.path, "x")
        return whole(json.dumps({"id": f"{kind}-{number}", "object": kind, "model": "gpt-4o"}).encode())

    return answering


THINGS = {
    "a file": (
        "/v1/files",
        "file-7",
        ["GET /v1/files/file-7", "GET /v1/files/file-7/content", "DELETE /v1/files/file-7"],
    ),
    "a batch": ("/v1/batches", "batch-7", ["GET /v1/batches/batch-7", "POST /v1/batches/batch-7/cancel"]),
    "a kept answer": (
        "/v1/responses",
        "resp-7",
        ["GET /v1/responses/resp-7", "DELETE /v1/responses/resp-7", "GET /v1/responses/resp-7/input_items"],
    ),
}
NAMED_IN_BODIES = [
    ("/v1/responses", {"model": "gpt-4o", "input": "x", "previous_response_id": "resp-7"}),
    ("/v1/batches", {"input_file_id": "file-7", "endpoint": "/v1/responses", "completion_window": "24h"}),
    (
        "/v1/responses",
        {
            "model": "gpt-4o",
            "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-7"}]}],
        },
    ),
    (
        "/v1/chat/completions",
        {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-7"}}]}],
        },
    ),
    (
        "/v1/chat/completions",
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"f\\u0069le_id": "file-7"}}]}
            ],
        },
    ),
]


def test_what_one_key_made_no_other_key_reads(tmp_path: Path) -> None:
    """Files, batches and kept answers of one owner are not to be had with another key, in path or body."""
    with pair(tmp_path) as alone:
        other = alone.gateway.issue("other", project="other")
        alone.gateway.wait_for_key(other.secret)
        with alone.provider.answers(made(7)):  # type: ignore[arg-type]
            for target, _, _ in THINGS.values():
                assert alone.gateway.ask(alone.secret, "POST", target, b'{"model": "gpt-4o"}').status == 200
        with alone.provider.answers(lambda _: whole(WHOLE)):
            for _, _, uses in THINGS.values():
                for use in uses:
                    method, _, target = use.partition(" ")
                    alone.provider.forget()
                    seen = alone.gateway.ask(other.secret, method, target)
                    assert (seen.status in (403, 404), alone.provider.log) == (True, []), use
            for target, body in NAMED_IN_BODIES:
                data = json.dumps(body).replace("\\\\u0069", "\\u0069").encode()
                alone.provider.forget()
                seen = alone.gateway.ask(other.secret, "POST", target, data)
                assert (seen.status in (403, 404), alone.provider.log) == (True, []), body
                seen = alone.gateway.ask(alone.secret, "POST", target, data)
                assert seen.status == 200, (body, seen.body)
            for _, _, uses in THINGS.values():
                method, _, own_target = uses[0].partition(" ")
                assert alone.gateway.ask(alone.secret, method, own_target).status == 200, "its maker has it"


def test_one_keys_task_is_not_anothers(tmp_path: Path) -> None:
    """The same task name in two projects is two tasks."""
    with pair(tmp_path) as alone:
        a, b = (alone.gateway.issue(name, project=name) for name in ("a", "b"))
        for issued in (a, b):
            alone.gateway.wait_for_key(issued.secret)
        alone.gateway.forget_rows()
        for issued in (a, b, a):
            alone.provider.next(whole(WHOLE))
            alone.gateway.ask(issued.secret, "POST", CHAT, ASKED, [("flatfare-task", "ticket-7")])
        first, second, third = (row["task_id"] for row in alone.gateway.new_rows(3))
        assert first == third != second


@pytest.mark.parametrize("how", ["revoke", "disable", "rotate", "expire"])
def test_a_key_taken_back_is_refused_within_a_second_by_every_worker(tmp_path: Path, how: str) -> None:
    from flatfare.service.access import keys as issuing
    from flatfare.store.book import open_book

    with pair(tmp_path, workers=3) as alone, alone.provider.answers(lambda _: whole(WHOLE)):
        now_us = time.time_ns() // 1000
        issued = alone.gateway.issue("going", expires_at_us=now_us + 3_000_000 if how == "expire" else None)
        alone.gateway.wait_for_key(issued.secret)
        lines = [alone.opened() for _ in range(12)]  # kept alive, on several workers
        for line in lines:
            line.send(alone.request(issued.secret))
            assert line.receive().status == 200
        with open_book(str(alone.gateway.book)) as book:
            stamp = {"at_us": time.time_ns() // 1000, "by_whom": "test"}
            if how == "rotate":
                issuing.rotate(book, "going", overlap_us=0, **stamp)
            elif how != "expire":
                getattr(issuing, how)(book, "going", **stamp)
        time.sleep(
            max(0.0, (now_us + 3_000_000 - time.time_ns() // 1000) / 1e6) + 0.1 if how == "expire" else 1.0
        )
        alone.provider.forget()
        for line in lines:
            line.send(alone.request(issued.secret))
            assert line.receive().status == 401
            line.close()
        assert alone.provider.log == []


CREDENTIALS = [
    [],
    [("authorization", "Bearer")],
    [("authorization", "Bearer ")],
    [("authorization", f"Bearer {CREDENTIAL}")],
    [("authorization", "Bearer ff_")],
    [("authorization", "Bearer " + "A" * 5000)],
    [("authorization", "Basic ZmY6eA==")],
    [("x-api-key", "ff_" + "0" * 43)],
    [("x-goog-api-key", "\xff\xfe")],
]


@pytest.mark.parametrize("headers", CREDENTIALS)
@pytest.mark.parametrize(
    "target", [CHAT, "/anthropic/v1/messages", "/gemini/v1beta/models/g:generateContent", "/v1/models"]
)
def test_without_a_key_nothing_is_sent(both: Pair, headers: list[tuple[str, str]], target: str) -> None:
    method = "GET" if target == "/v1/models" else "POST"
    seen = ask(both.gateway.port, asking(method, target, ASKED if method == "POST" else b"", headers))
    assert seen.status == 401
    assert both.provider.log == []


def test_the_key_is_asked_for_before_anything_is_told(both: Pair) -> None:
    """Who has no key does not learn which providers and endpoints there are."""
    bodies = set()
    for target in (CHAT, "/v1/unheard/of", "/p/nowhere/x", "/p/groq/openai/v1/chat/completions"):
        seen = ask(both.gateway.port, asking("POST", target, ASKED))
        assert seen.status == 401, target
        bodies.add(seen.status)
    assert bodies == {401}


def test_a_key_in_two_places_travels_in_neither(both: Pair) -> None:
    both.provider.next(whole(WHOLE))
    doubled = [("x-api-key", both.secret), ("x-goog-api-key", both.secret), ("api-key", both.secret)]
    both.gateway.ask(both.secret, "POST", f"{CHAT}?key={both.secret}&x=1", ASKED, doubled)
    for request in both.provider.log:
        assert both.secret.encode() not in request.head
        assert CREDENTIAL in (request.header("authorization") or "")


def test_one_providers_credential_is_not_sent_to_another(tmp_path: Path) -> None:
    with pair(tmp_path, OPENAI, "api.anthropic.com") as alone:
        alone.gateway.settings["providers"]["anthropic"]["api_key"] = "sk-ant-only"
        alone.gateway.stop()
        alone.gateway.start()
        for host, target in ((OPENAI, CHAT), ("api.anthropic.com", "/v1/messages")):
            alone.through(whole(WHOLE), host=host, target=target)
        first, second = alone.provider.log
        assert b"sk-ant-only" not in first.head
        assert CREDENTIAL.encode() not in second.head
        assert second.header("x-api-key") == "sk-ant-only"


def test_without_keys_a_web_page_is_not_let_in(tmp_path: Path) -> None:
    """On loopback no key is needed; a page that a browser shows must not make use of that."""
    with pair(tmp_path) as alone:
        alone.gateway.stop()
        remove_book(alone)
        alone.gateway.start()
        port = alone.gateway.port
        alone.provider.forget()
        for headers, host in (
            ([("origin", "https://evil.example")], f"127.0.0.1:{port}"),
            ([("origin", "null")], f"127.0.0.1:{port}"),
            ([("origin", "http://localhost.evil.example")], f"localhost:{port}"),
            ([], f"evil.example:{port}"),
            ([], "localhost.evil.example"),
        ):
            kind = [("content-type", "text/plain"), *headers]
            seen = ask(port, asking("POST", CHAT, ASKED, kind, host))
            assert (seen.status, alone.provider.log) == (403, []), (headers, host)
        alone.provider.next(whole(WHOLE))
        assert ask(port, asking("POST", CHAT, ASKED, (), f"localhost:{port}")).status == 200


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_without_keys_nobody_is_let_in_through_a_proxy(tmp_path: Path, name: str) -> None:
    """A reverse proxy on this machine speaks for others, whatever host it names."""
    with pair(tmp_path) as alone:
        alone.gateway.stop()
        remove_book(alone)
        alone.gateway.start()
        passed = [(name, "203.0.113.7")]
        for method, target in (("POST", CHAT), ("GET", "/metrics")):
            seen = ask(alone.gateway.port, asking(method, target, ASKED, passed, "localhost"))
            assert (seen.status, alone.provider.log) == (403, [])


def test_without_keys_a_page_of_another_site_is_not_let_in_without_an_origin_either(tmp_path: Path) -> None:
    with pair(tmp_path) as alone:
        alone.gateway.stop()
        remove_book(alone)
        alone.gateway.start()
        cross = [("sec-fetch-site", "cross-site")]
        seen = ask(alone.gateway.port, asking("GET", "/v1/models", b"", cross, "localhost"))
        assert (seen.status, alone.provider.log) == (403, [])
