"""The same request, byte for byte, to the provider and to the gateway before it, and what came back."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.gateway.rig import Answer, Line, Provider, Seen, ask, asking, same_to_a_client
from tests.gateway.rig_gateway import CREDENTIAL, Gateway, Row, serving
from tests.gateway.rig_recorded import MOUNTS, NAMES, Recorded

OPENAI = "api.openai.com"
CHAT = "/v1/chat/completions"
ASKED = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "How many legs?"}]}'
STREAMED = (
    b'{"model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true}, '
    b'"messages": [{"role": "user", "content": "How many legs?"}]}'
)
UNASKED = b'{"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "How many legs?"}]}'

Pairs = Iterable[tuple[str, str]]


@dataclass
class Pair:
    """A provider, and a gateway before it with a key."""

    provider: Provider
    gateway: Gateway
    secret: str

    def request(
        self,
        secret: str,
        body: bytes = ASKED,
        headers: Pairs = (),
        target: str = CHAT,
        method: str = "POST",
    ) -> bytes:
        """The bytes of a request with this credential."""
        return asking(method, target, body, [("authorization", f"Bearer {secret}"), *headers])

    def direct(
        self,
        answer: Answer,
        body: bytes = ASKED,
        headers: Pairs = (),
        timeout_s: float = 5.0,
        host: str = OPENAI,
        target: str = CHAT,
        method: str = "POST",
    ) -> Seen:
        """What a client of the provider sees."""
        self.provider.next(answer)
        request = self.request(CREDENTIAL, body, headers, target, method)
        return ask(self.provider.port(host), request, timeout_s)

    def direct_now(self, body: bytes = ASKED, headers: Pairs = ()) -> Seen:
        """What a client of the provider sees, if it answers as it does now."""
        return ask(self.provider.port(OPENAI), self.request(CREDENTIAL, body, headers))

    def through(
        self,
        answer: Answer | None,
        body: bytes = ASKED,
        headers: Pairs = (),
        timeout_s: float = 5.0,
        host: str = OPENAI,
        target: str = CHAT,
        method: str = "POST",
    ) -> Seen:
        """What a client of the gateway sees."""
        if answer is not None:
            self.provider.next(answer)
        name = NAMES[host]
        request = self.request(self.secret, body, headers, MOUNTS.get(name, f"/p/{name}") + target, method)
        return ask(self.gateway.port, request, timeout_s)

    def same(
        self,
        answer: Answer,
        body: bytes = ASKED,
        headers: Pairs = (),
        timeout_s: float = 5.0,
        host: str = OPENAI,
        target: str = CHAT,
        method: str = "POST",
        but_for: frozenset[str] = frozenset(),
    ) -> tuple[Seen, Row]:
        """Ask both; asserts that they saw the same, and that it is on record. Returns what, and the row."""
        self.provider.forget()
        direct = self.direct(answer, body, headers, timeout_s, host, target, method)
        through = self.through(answer, body, headers, timeout_s, host, target, method)
        same_to_a_client(direct, through, but_for=but_for)
        asked = self.provider.log
        assert len(asked) == 2, "the gateway asked the provider once"
        assert asked[1].body == asked[0].body
        return through, self.row(through)

    def replay(self, one: Recorded) -> Seen:
        """Ask both for a recorded exchange; asserts that they saw the same."""
        kind = [("content-type", "application/json")]
        where = (one.host, one.target, one.method)
        direct = self.direct(one.answer(), one.request_body, kind, 10, *where)
        through = self.through(one.answer(), one.request_body, kind, 10, *where)
        assert through.status == direct.status, (one.name, through.status, through.body[:300])
        same_to_a_client(direct, through)
        return through

    def row(self, seen: Seen, within_s: float = 10.0) -> Row:
        """The row of what was seen."""
        call_id = seen.header("flatfare-call")
        assert call_id is not None, (seen.status, seen.headers, seen.body[:300])
        return self.gateway.row(call_id, within_s)

    def ready(self) -> int:
        """The status of ``/readyz``."""
        return ask(self.gateway.port, asking("GET", "/readyz")).status

    def status_document(self) -> dict[str, object]:
        """What ``/readyz`` says."""
        return dict(ask(self.gateway.port, asking("GET", "/readyz")).json())

    def wait_until_noticed(self) -> None:
        """Wait until every worker knows what has been agreed: it takes that in before a newer key."""
        self.gateway.wait_for_key(self.gateway.issue(f"notice {time.monotonic_ns()}").secret)

    def opened(self, timeout_s: float = 5.0) -> Line:
        """A connection to the gateway."""
        return Line(self.gateway.port, timeout_s)


@contextmanager
def pair(
    folder: Path, *hosts: str, workers: int = 1, prelude: str = "", **settings: object
) -> Iterator[Pair]:
    """A provider with these hosts, and a gateway before it with a key that may do all."""
    with (
        Provider() as provider,
        serving(folder, provider, hosts or (OPENAI,), workers, prelude, **settings) as gateway,
    ):
        yield Pair(provider, gateway, gateway.secret)


def until(is_so: Callable[[], bool], within_s: float = 5.0, otherwise: str = "it did not happen") -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)
