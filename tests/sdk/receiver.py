"""A server of our own that takes events as the real one does: read by the same code, known by their ids."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flatfare.core.errors import BadInput
from flatfare.service.tasks import events as task_events

Answer = tuple[int, bytes]


class Receiver:
    """What has been told, in the order in which it came; it misbehaves as it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.requests = 0
        self.known = 0  # events that came again
        self.keys: list[str | None] = []
        self.refused: list[str] = []
        self.delay_s = 0.0
        self.answer: Callable[[list[Any]], Answer | None] = lambda events: None  # instead of the usual one
        self._contents: dict[str, str] = {}
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self.url = ""

    def names(self) -> list[str]:
        """The kinds of the events, in order."""
        return [event["event"] for event in self.events]

    def take(self, body: bytes) -> Answer:
        """Answer a request."""
        self.requests += 1
        time.sleep(self.delay_s)
        try:
            given = json.loads(body)["events"]
        except ValueError:
            return 400, b'{"error": {"message": "no JSON"}}'
        if (other := self.answer(given)) is not None:
            return other
        with self._lock:
            return 200, json.dumps(self._record(given)).encode()

    def _record(self, given: list[dict[str, Any]]) -> dict[str, Any]:
        done: dict[str, Any] = {"recorded": 0, "known": 0, "refused": []}
        for index, event in enumerate(given):
            try:
                content = task_events.content_of(task_events.read(event))
            except BadInput as problem:
                self.refused.append(str(problem))
                done["refused"].append({"index": index, "id": event.get("id"), "reason": str(problem)})
                continue
            if self._contents.setdefault(event["id"], content) != content:
                done["refused"].append({"index": -1, "id": event["id"], "reason": "it said something else"})
            elif event["id"] in self._ids:
                done["known"] += 1
                self.known += 1
            else:
                self._ids.add(event["id"])
                self.events.append(event)
                done["recorded"] += 1
        return done


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        self.receiver.keys.append(self.headers.get("authorization"))
        body = self.rfile.read(int(self.headers["content-length"]))
        status, answer = self.receiver.take(body) if self.path == "/api/events" else (404, b"{}")
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self.open: list[Any] = []
        super().__init__(*args)

    def process_request(self, request: Any, address: Any) -> None:
        self.open.append(request)
        super().process_request(request, address)

    def hang_up(self) -> None:
        """End what is still open, as a server that ends does."""
        for request in self.open:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Clients are killed here."""


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that answers on this machine."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = _Server(("127.0.0.1", port), handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        server.hang_up()
        thread.join()


def until(is_so: Callable[[], object], seconds: float = 30.0) -> bool:
    """Wait for something that happens in the background; whether it did."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
