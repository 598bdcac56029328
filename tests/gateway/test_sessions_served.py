"""Realtime sessions through the processes that an operator starts: killed, and stopped in order."""

import json
import os
import signal
import socket
import struct
from contextlib import closing
from pathlib import Path

from tests.gateway.rig import Stall
from tests.gateway.rig_load import children
from tests.gateway.rig_pair import Pair, pair, until

UPGRADE = (
    "GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Authorization: Bearer {}\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
USAGE = {"input_tokens": 1000, "output_tokens": 100}
EVENTS = [
    {"type": "session.created", "session": {"model": "gpt-realtime"}},
    {"type": "response.done", "response": {"usage": USAGE}},
]
TURN_NANO = 1000 * 4_000 + 100 * 16_000


def said(count: int = 2) -> bytes:
    """What the provider says: so many messages, all but the first the end of an answer."""
    frames = b""
    for event in [EVENTS[0], *EVENTS[1:] * (count - 1)]:
        data = json.dumps(event).encode()
        frames += (
            b"\x81\x7e" + struct.pack("!H", len(data)) + data
            if len(data) > 125
            else (b"\x81" + bytes([len(data)]) + data)
        )
    return frames


def begun(both: Pair, heard: bytes | None = None) -> socket.socket:
    """A session in which the provider has said something and waits."""
    heard = said() if heard is None else heard
    both.provider.forget()
    both.provider.next((SWITCHED + heard, Stall()))
    line = socket.create_connection(("127.0.0.1", both.gateway.port), 5)
    try:
        line.sendall(UPGRADE.format(both.secret).encode())
        received = b""
        while not received.endswith(heard):
            piece = line.recv(65536)
            assert piece, received
            received += piece
    except BaseException:
        line.close()
        raise
    return line


def test_a_session_whose_worker_is_killed_is_one_row(tmp_path: Path) -> None:
    """Its intent was kept before it began; how it ended nobody saw."""
    with pair(tmp_path) as both, closing(begun(both, said(1))):
        os.kill(children(both.gateway)["worker"][0], signal.SIGKILL)
        (row,) = both.gateway.new_rows(1)
    assert (row["endpoint"], row["delivery"], row["model_asked"]) == ("realtime", "unproven", "gpt-realtime")
    assert row["cost_reason"]
    assert row["cost_nano"] is None


def test_a_graceful_stop_books_what_a_session_has_used(tmp_path: Path) -> None:
    with pair(tmp_path, timeouts={"stop": 0.5}) as both, closing(begun(both)):
        both.gateway.stop()
        (row,) = both.gateway.new_rows(1)
        assert (row["delivery"], row["cost_nano"]) == ("proven", TURN_NANO)


def test_a_session_that_its_client_ends_is_booked_while_others_go_on(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        with closing(begun(both)):
            with closing(begun(both)):
                pass
            (row,) = both.gateway.new_rows(1)
            assert row["cost_nano"] == TURN_NANO
            until(lambda: both.gateway.open_calls() == 1)
        both.gateway.new_rows(1)
