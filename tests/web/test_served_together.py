"""Real processes: a signed message through the gateway turns a task, and old reviews end by themselves."""

import base64
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flatfare.core import webhook
from flatfare.core.checks.submission import Submission
from flatfare.core.identity import task_id
from flatfare.service.access.secret_box import SecretBox
from flatfare.service.judging import reviewing, signalling
from flatfare.service.judging.reviewing import Wanted
from flatfare.store.book import open_book
from tests.web.test_serving import served

MAPPING = {"task": "ticket", "signals": [{"signal": "reopened", "when": {"type": "reopened"}}]}
BODY = b'{"type": "reopened", "ticket": "17"}'


def post(url: str, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    asked = urllib.request.Request(url, BODY, {"Host": "hooks.example.org", **headers})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, json.loads(problem.read())


def test_a_message_comes_through_the_gateway_and_an_old_review_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="needs the sealed extra")
    monkeypatch.setenv("FLATFARE_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    now_us = time.time_ns() // 1000
    with open_book(f"sqlite:///{tmp_path}/book.db") as book:
        secret = signalling.create(book, SecretBox(bytes(32)), "desk", MAPPING, at_us=now_us, by_whom="test")
        old = Wanted(str(task_id(None, "18")), Submission("x"), keep_us=1)
        review, _ = reviewing.enqueue(book, old, at_us=now_us, asked_by="test")
        with served(tmp_path) as (_, line):
            url = f"{line.split()[3]}/api/signals/desk"
            headers = webhook.signed("msg_1", int(time.time()), BODY, [secret])
            assert post(url, {**headers, webhook.SIGNATURE: "v1,AAAA"})[0] == 401
            for status in ("recorded", "known"):
                assert post(url, headers) == (200, {"message": "msg_1", "status": status, "signals": 1})
            deadline = time.monotonic() + 30
            while reviewing.found(book, review.id).state == "open":
                assert time.monotonic() < deadline, "the bookkeeper has not ended it"
                time.sleep(0.1)
        assert reviewing.found(book, review.id).content is None
        rows = book.rows("SELECT verifier FROM verdicts WHERE task_id = ?", (str(task_id(None, "17")),))
    assert rows == [("signal:reopened",)]
