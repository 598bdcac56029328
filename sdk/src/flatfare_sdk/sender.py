"""Sending: batches of events to the server, again and later where it does not answer.

An event may arrive twice and is recorded once, by its id. What the server refuses for good is
set aside with its reason; an answer that is not Flatfare's own is no answer.
"""

import json
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from flatfare_sdk.answers import Refusal, Unsent
from flatfare_sdk.guarding import problem_text

EVENTS_PATH = "/api/events"
TIMEOUT_S = 30.0  # a book that is being sealed may take its time
_ANSWER_BYTES_MAX = 8 * 1024 * 1024
_UNACCEPTABLE = (400, 413, 422)  # this batch will never do; it may be one of its events


class Connection:
    """A kept connection to the server."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"found the address {url!r}, expected one like http://127.0.0.1:4180")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
        self._path = parts.path.rstrip("/") + EVENTS_PATH
        self._headers = {"content-type": "application/json", "user-agent": "flatfare-sdk"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"

    def reach(self) -> None:
        """Connect, if it can be done. Raises ``Unsent``."""
        try:
            self._connection.close()
            self._connection.connect()
        except OSError as problem:
            raise Unsent(problem_text(problem)) from problem

    def send(self, lines: list[bytes]) -> list[Refusal]:
        """Have the server record these events; the ones that it refuses for good.

        Raises ``Unsent`` where it cannot be known that they are recorded.
        """
        if not lines:
            return []
        status, answer, after_s = self._post((b'{"events":[', b",".join(lines), b"]}"))
        if status in _UNACCEPTABLE:
            if len(lines) == 1:
                return [Refusal(lines[0], _said(answer, status))]
            middle = len(lines) // 2
            return self.send(lines[:middle]) + self.send(lines[middle:])
        if status != 200 or not isinstance(answer, dict) or "recorded" not in answer:
            raise Unsent(_said(answer, status), after_s)
        return _refusals(lines, answer)

    def _post(self, body: tuple[bytes, ...]) -> tuple[int, object, float]:
        """The answer's status, its JSON if it is any, and how long it asks to wait."""
        was_kept = self._connection.sock is not None
        try:
            try:
                response = self._ask(body)
            except (OSError, HTTPException):
                self._connection.close()
                if not was_kept:
                    raise
                response = self._ask(body)  # a kept connection may have been closed long ago
            status, content = response.status, response.read(_ANSWER_BYTES_MAX)
        except (OSError, HTTPException) as problem:
            self._connection.close()
            raise Unsent(problem_text(problem)) from problem
        wait = response.getheader("retry-after") or ""
        try:
            return status, json.loads(content), float(wait) if wait.isdigit() else 0.0
        except ValueError:
            return status, None, float(wait) if wait.isdigit() else 0.0

    def _ask(self, body: tuple[bytes, ...]) -> HTTPResponse:
        length = {"content-length": str(sum(map(len, body)))}
        self._connection.request("POST", self._path, body, self._headers | length)
        return self._connection.getresponse()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _refusals(lines: list[bytes], answer: dict[str, object]) -> list[Refusal]:
    """The events that the answer refuses, found by their ids or, where it names none, their places."""
    refused = answer.get("refused")
    if not isinstance(refused, list) or not refused:
        return []
    by_id = {line.partition(b'"id":"')[2][:36].decode("latin-1"): line for line in lines}
    found = []
    for one in refused:
        said = one if isinstance(one, dict) else {}
        index, line = said.get("index"), by_id.get(str(said.get("id")))
        if line is None and isinstance(index, int) and 0 <= index < len(lines):
            line = lines[index]
        if line is not None:
            found.append(Refusal(line, str(said.get("reason"))))
    return found


def _said(answer: object, status: int) -> str:
    """Why, in the server's words as far as it has any."""
    words = answer.get("error", answer) if isinstance(answer, dict) else None
    if isinstance(words, dict):
        words = words.get("message") or words.get("reason")
    said = f": {words[:200]}" if isinstance(words, str) else ""
    if status in (401, 403):
        return f"the key is not accepted (HTTP {status}){said}; see FLATFARE_KEY"
    if status == 200 or status in (404, 405, 501):
        return f"it takes no events (HTTP {status}){said}; see FLATFARE_URL"
    return f"HTTP {status}{said}"
