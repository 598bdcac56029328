"""P11: no prompt, answer or credential stands in logs, errors, figures, journal or book."""

import json
import os
import signal
import sqlite3
import struct
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from tests.gateway.rig import JSON, Answer, Close, Pause, Reset, ask, asking, chunked, sse, whole
from tests.gateway.rig_gateway import CREDENTIAL
from tests.gateway.rig_load import settled_rows, the
from tests.gateway.rig_pair import CHAT, Pair, pair, until
from tests.gateway.test_sessions_served import begun

ASKED_TEXT = "Prompt-zebra-4711"
SYSTEM_TEXT = "System-okapi-0815"
TOOL_TEXT = "Tool-quagga-1234"
SAID_TEXT = "Answer-tapir-2342"
ECHOED_TEXT = "Echo-gnu-9876"
TEXTS = (ASKED_TEXT, SYSTEM_TEXT, TOOL_TEXT, SAID_TEXT, ECHOED_TEXT)

ASKED = {
    "model": "gpt-4o",
    "user": "user-1",
    "messages": [
        {"role": "system", "content": f"You are {SYSTEM_TEXT}."},
        {"role": "user", "content": f"Say {ASKED_TEXT}!"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": TOOL_TEXT, "parameters": {}}}],
}
USAGE = {"prompt_tokens": 30, "completion_tokens": 5}
WHOLE = {"id": "x1", "model": "gpt-4o", "choices": [{"message": {"content": SAID_TEXT}}], "usage": USAGE}
EVENTS = [
    sse({"id": "x2", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": SAID_TEXT}}]}),
    sse({"id": "x2", "model": "gpt-4o", "choices": [], "usage": USAGE}),
    b"data: [DONE]\n\n",
]
BODY = json.dumps(WHOLE).encode()
ECHO = json.dumps({"error": {"message": f"Your prompt {ECHOED_TEXT} {ASKED_TEXT} is not allowed."}}).encode()

ANSWERS: dict[str, tuple[Answer, bool]] = {
    "whole": (whole(BODY), False),
    "stream": (chunked(EVENTS), True),
    "stream without usage": (chunked([EVENTS[0], EVENTS[2]]), True),
    "error that repeats the prompt": (whole(ECHO, 400), False),
    "error that repeats the prompt, to a stream": (whole(ECHO, 500), True),
    "body that cannot be read": (whole(SAID_TEXT.encode()), False),
    "usage that cannot be": (whole(BODY.replace(b"30", f'"{SAID_TEXT}"'.encode())), False),
    "event that cannot be read": (chunked([b"data: {" + SAID_TEXT.encode() + b"\n\n"]), True),
    "header that cannot be": ((b"HTTP/1.1 200 OK\r\n" + SAID_TEXT.encode() + b"\r\n\r\n", Close()), False),
    "status line that is none": ((SAID_TEXT.encode() + b"\r\n\r\n", Close()), False),
    "cut": (chunked([EVENTS[0], Pause(0.02), Reset()]), True),
    "no answer": ((Close(),), False),
    "compressed, and is not": (whole(BODY, headers=(*JSON, ("content-encoding", "gzip"))), False),
}


def exercised(both: Pair) -> bytes:
    """Make calls of every kind; returns what the gateway itself said to its clients."""
    said = b""
    for answer, is_stream in ANSWERS.values():
        body = json.dumps({**ASKED, "stream": is_stream}).encode()
        seen = both.through(answer, body, [("x-note", ASKED_TEXT)])
        if seen.header("flatfare-refused") is not None:
            said += seen.body
        said += repr([pair_ for pair_ in seen.headers if pair_[0].startswith("flatfare-")]).encode()
    wrong = json.dumps(ASKED).encode()[:-5]
    both.through(whole(ECHO, 400), wrong)
    for headers in (
        [("authorization", f"Bearer {both.secret}x")],
        [("x-api-key", both.secret[:-1])],
        [("authorization", f"Basic {both.secret}")],
        [],
    ):
        said += ask(both.gateway.port, asking("POST", CHAT, wrong, headers)).body
    query = urllib.parse.urlencode({"key": both.secret})
    both.provider.next(whole(BODY))
    said += _own_words(
        ask(both.gateway.port, asking("POST", f"{CHAT}?{query}", json.dumps(ASKED).encode())).body
    )
    for target in ("/v1/unknown", f"/p/{both.secret}/x", "/v1/../x"):
        both.gateway.ask(both.secret, "POST", target, json.dumps(ASKED).encode())
    with both.opened() as line:  # a client that leaves
        both.provider.next(chunked([EVENTS[0], Pause(0.2), *EVENTS[1:]]))
        line.send(both.request(both.secret, json.dumps({**ASKED, "stream": True}).encode()))
        line.receive(until=lambda body: len(body) > 0)
    for path in ("/metrics", "/readyz", "/healthz", "/v1/models"):
        said += ask(both.gateway.port, asking("GET", path)).body
    return said


def _own_words(body: bytes) -> bytes:
    return b"" if SAID_TEXT.encode() in body else body


def everything_kept(folder: Path) -> dict[str, bytes]:
    """All files of a gateway but the settings, which the operator wrote."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.name not in ("flatfare.yaml", "sitecustomize.py")
        and ".pyc" not in file.name
    }


def secrets_and_texts(both: Pair) -> list[bytes]:
    """What must be nowhere, also in the ways in which it may be written."""
    wanted = [*TEXTS, both.secret, CREDENTIAL]
    return [text.encode() for text in wanted] + [text.encode("utf-16-le") for text in wanted]


def check_nowhere(both: Pair, where: dict[str, bytes]) -> None:
    """Asserts that no file and no word of the gateway holds a secret or a text."""
    for what in secrets_and_texts(both):
        found = [name for name, content in where.items() if what in content]
        assert not found, f"{what!r} stands in {found}: {_around(where[found[0]], what)!r}"


def _around(content: bytes, what: bytes) -> bytes:
    at = content.find(what)
    return content[max(0, at - 200) : at + 100]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("p11"), log="calls") as opened:
        yield opened


def test_nothing_is_kept_but_counts_and_names(both: Pair) -> None:
    """The journal is looked at while the bookkeeper stands still, the book when it has been booked."""
    bookkeeper = the(both.gateway, "bookkeeper")
    os.kill(bookkeeper, signal.SIGSTOP)
    try:
        said = exercised(both)
        journal = everything_kept(both.gateway.folder / "journal")
        assert sum(map(len, journal.values())) > 2000, "the journal holds what was not booked yet"
        check_nowhere(both, journal)
    finally:
        os.kill(bookkeeper, signal.SIGCONT)
    assert len(settled_rows(both.gateway)) > len(ANSWERS)
    kept = everything_kept(both.gateway.folder)
    assert {"flatfare.db", "serve.log"} <= set(kept)
    check_nowhere(both, {**kept, "said to clients": said})


def test_the_hash_of_a_key_is_kept_and_not_the_key(both: Pair) -> None:
    with closing(sqlite3.connect(both.gateway.book)) as book:
        kept = [str(row) for row in book.execute("SELECT * FROM key_secrets")]
    assert kept
    assert all(both.secret not in row for row in kept)


def test_what_a_system_prompt_was_is_a_hash(both: Pair) -> None:
    """The same prompt gives the same hash, so that a change of it can be found without it."""
    for body in (ASKED, ASKED, {**ASKED, "messages": ASKED["messages"][1:]}):  # type: ignore[index]
        both.through(whole(BODY), json.dumps(body).encode())
    traits = [json.loads(row["traits"] or "{}") for row in settled_rows(both.gateway)[-3:]]
    assert traits[0]["system_hash"] == traits[1]["system_hash"]
    assert "system_hash" not in traits[2]


BROKEN = {
    "reading a stream": ("flatfare.dialects.meter", "Stream.feed"),
    "reading a whole answer": ("flatfare.dialects.meter", "read_whole"),
    "forwarding a piece": ("flatfare.gateway.forwarding.call", "Call.on_piece"),
    "forwarding a head": ("flatfare.gateway.forwarding.call", "Call.on_head"),
    "admitting": ("flatfare.gateway.admission", "admit"),
    "keeping": ("flatfare.gateway.journal", "Journal.write"),
}
FAULT = """
import os
import {module} as module
_whole = module.{name}
def broken(*held, **more):
    if os.path.exists("broken"):
        said = [(getattr(one, "headers", ""), getattr(one, "body", "")) for one in held]
        raise ValueError(said, held, more)
    return _whole(*held, **more)
module.{name} = broken
"""


@pytest.mark.parametrize("what", BROKEN)
def test_a_failure_inside_does_not_print_what_it_held(tmp_path: Path, what: str) -> None:
    """A bug of ours raises with a client's text and credential in its hands; the log says where, not what."""
    module, name = BROKEN[what]
    fault = FAULT.format(module=module, name=name)
    with pair(tmp_path, prelude=fault) as broken:
        (tmp_path / "broken").touch()
        for is_stream in (False, True):
            broken.provider.forget()
            broken.provider.next(chunked(EVENTS) if is_stream else whole(BODY))
            asked = json.dumps({**ASKED, "stream": is_stream}).encode()
            seen = broken.through(None, asked, timeout_s=2)
            assert seen.end != "late", "the client is not left waiting"
        until(lambda: b'"level":' in broken.gateway.log, 3, "the failure is in the log")
        check_nowhere(broken, everything_kept(tmp_path))
        (tmp_path / "broken").unlink()
        broken.provider.forget()
        assert broken.through(whole(BODY)).body == BODY, "the next call is none the worse"


def test_the_check_can_find(both: Pair) -> None:
    with pytest.raises(AssertionError, match="stands in"):
        check_nowhere(both, {"log": f"x {ASKED_TEXT} y".encode()})
    with pytest.raises(AssertionError, match="stands in"):
        check_nowhere(both, {"core": CREDENTIAL.encode("utf-16-le")})


def session_frames(*events: dict[str, object]) -> bytes:
    """Messages of a provider, each in a frame of its own."""
    datas = [json.dumps(event).encode() for event in events]
    return b"".join(b"\x81\x7e" + struct.pack("!H", len(data)) + data for data in datas)


def test_what_is_said_in_a_session_is_not_kept(both: Pair) -> None:
    """Neither while it goes on, when what it used is in the journal, nor when it has ended."""
    answer = {"id": "r1", "usage": {"input_tokens": 10, "output_tokens": 5}, "output": [{"text": SAID_TEXT}]}
    heard = session_frames(
        {"type": "session.created", "session": {"model": "gpt-realtime", "instructions": SYSTEM_TEXT * 9}},
        {"type": "response.done", "response": answer, "padding": "x" * 200},
    )
    before = len(settled_rows(both.gateway))
    with closing(begun(both, heard)) as line:
        said = json.dumps({"type": "response.create", "text": ASKED_TEXT, "padding": "x" * 200}).encode()
        line.sendall(b"\x81\xfe" + struct.pack("!H", len(said)) + bytes(4) + said)
        until(lambda: both.gateway.open_calls() == 1)
        check_nowhere(both, everything_kept(both.gateway.folder))
    until(lambda: len(both.gateway.rows()) == before + 1)
    check_nowhere(both, everything_kept(both.gateway.folder))


READING = (
    *(("keys", "list"), ("providers", "list"), ("budgets",), ("guards",), ("users",), ("signals",)),
    *(("summary",), ("report",), ("tasks",), ("doctor",), ("audit", "verify")),
)


@pytest.mark.parametrize("shape", [(), ("--json",)])
def test_no_command_prints_a_credential(both: Pair, shape: tuple[str, ...]) -> None:
    config = str(both.gateway.folder / "flatfare.yaml")
    for words in READING:
        done = CliRunner().invoke(root, [*words, *shape, "--config", config])
        assert done.exit_code in (0, 1), (words, done.output)
        check_nowhere(both, {" ".join(words): done.output.encode()})


def test_no_page_of_figures_holds_a_credential(both: Pair) -> None:
    for path in ("/openapi.json", "/metrics", "/readyz", "/healthz"):
        seen = ask(both.gateway.port, asking("GET", path))
        assert seen.status == 200, (path, seen.status)
        check_nowhere(both, {path: seen.body})
