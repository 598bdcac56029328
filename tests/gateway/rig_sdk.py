"""The two sides that an SDK is held against: the provider itself, and the provider behind the gateway."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.gateway.rig import Answer, Provider, Request, end_to_end
from tests.gateway.rig_gateway import CREDENTIAL, Gateway, Row, check_booked, serving
from tests.gateway.rig_recorded import MOUNTS, NAMES, Recorded

T = TypeVar("T")

CREDENTIALS = frozenset(("authorization", "x-api-key", "x-goog-api-key", "api-key"))
PER_CALL = frozenset(
    ("host", "amz-sdk-invocation-id", "x-amz-date", "x-amz-security-token", "idempotency-key")
)
"""Headers that a client writes anew for each call or each host, so that they cannot be compared."""


@dataclass(frozen=True)
class Side:
    """Where a client asks, and with which credential."""

    root: str  # of the provider, without a version
    key: str

    def openai(self) -> dict[str, str]:
        """What OpenAI's client is told."""
        return {"base_url": f"{self.root}/v1", "api_key": self.key}


class Sides:
    """A provider, alone and behind a gateway."""

    def __init__(self, provider: Provider, gateway: Gateway, secret: str) -> None:
        self.provider = provider
        self.gateway = gateway
        self.secret = secret

    def direct(self, host: str) -> Side:
        """The provider itself."""
        return Side(self.provider.url(host), CREDENTIAL)

    def through(self, host: str) -> Side:
        """The gateway, where it stands for this provider."""
        mount = MOUNTS.get(NAMES[host], f"/p/{NAMES[host]}")
        return Side(f"http://127.0.0.1:{self.gateway.port}{mount}", self.secret)

    def compare(self, call: Callable[[Side], T], *recordings: Recorded, answers: Iterable[Answer] = ()) -> T:
        """Make a call on either side, the provider giving these answers in turn.

        Asserts that the client got the same, that the provider was asked the same, and that
        each answer is booked at what the meter says of it. Returns what the client got.
        """
        got, asked = self._ask_both(call, recordings, list(answers))
        self._check_rows(list(zip(recordings, asked, strict=True)))
        return got

    def compare_all(self, calls: Iterable[tuple[Callable[[Side], object], Recorded]]) -> int:
        """The same for many calls, one after the other; rows are looked at in the end. Returns how many."""
        made = []
        for call, recorded in calls:
            _, asked = self._ask_both(call, (recorded,), [])
            made.append((recorded, asked[0]))
        self._check_rows(made)
        return len(made)

    def _ask_both(
        self, call: Callable[[Side], T], recordings: Sequence[Recorded], answers: list[Answer]
    ) -> tuple[T, list[Request]]:
        host = recordings[0].host
        given = answers or [recorded.answer() for recorded in recordings]
        got, asked = [], []
        for side in (self.direct(host), self.through(host)):
            self.provider.forget()
            self.provider.next(*given)
            got.append(call(side))
            asked.append(list(self.provider.log))
        names = [recorded.name for recorded in recordings]
        assert got[1] == got[0], names
        assert (len(asked[0]), len(asked[1])) == (len(names), len(names)), names
        for direct, through in zip(*asked, strict=True):
            same_to_the_provider(direct, through, self.secret)
        return got[0], asked[1]

    def _check_rows(self, made: Sequence[tuple[Recorded, Request]]) -> None:
        rows = self.gateway.new_rows(len(made), within_s=20)
        for row, (recorded, request) in zip(rows, made, strict=True):
            self._check(row, recorded, request)

    def compare_async(self, call: Callable[[Side], Coroutine[Any, Any, T]], *recordings: Recorded) -> T:
        """The same for a coroutine, in an event loop of its own on either side."""
        return self.compare(lambda side: asyncio.run(call(side)), *recordings)

    def _check(self, row: Row, recorded: Recorded, request: Request) -> None:
        assert row["provider"] == recorded.provider
        assert row["delivery"] == "proven"
        status = "ok" if recorded.status < 400 else "failed"
        assert row["status"] == status, (recorded.name, row["http_status"], row["cost_reason"])
        check_booked(row, recorded, request.body)


def same_to_the_provider(direct: Request, through: Request, secret: str) -> None:
    """Asserts that the provider was asked the same, with its own credential in place of the client's."""
    assert (through.method, through.target) == (direct.method, direct.target)
    assert _without_policy(through.body) == _without_policy(direct.body)
    if b"include_usage" in direct.body or b'"stream": true' not in _spaced(direct.body):
        assert through.body == direct.body
    but_for = CREDENTIALS | PER_CALL | {"content-length"}
    ours = sorted(pair for pair in end_to_end(through.headers) if pair[0] not in but_for)
    theirs = sorted(pair for pair in end_to_end(direct.headers) if pair[0] not in but_for)
    assert ours == theirs
    assert secret.encode() not in through.head + through.body
    assert CREDENTIAL in through.head.decode("latin-1")


def _spaced(body: bytes) -> bytes:
    return body.replace(b'"stream":true', b'"stream": true')


def _without_policy(body: bytes) -> object:
    """The request without what the policy ``stream_usage`` adds."""
    try:
        asked = json.loads(body)
    except ValueError:
        return body
    if isinstance(asked, dict) and (asked.get("stream_options") or {}).get("include_usage"):
        del asked["stream_options"]["include_usage"]
        if not asked["stream_options"]:
            del asked["stream_options"]
    return asked


@contextmanager
def sides(folder: Path, *hosts: str, **settings: object) -> Iterator[Sides]:
    """A provider with these hosts, and a gateway before it with a key."""
    with Provider() as provider, serving(folder, provider, hosts, **settings) as gateway:
        yield Sides(provider, gateway, gateway.secret)
