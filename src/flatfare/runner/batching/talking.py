"""Talking to a provider about its batches, through the gateway.

Each answer is handed on as it came; where none did, that is said and not raised.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from flatfare.core.action import Ending
from flatfare.runner.batching.asking import Question, Reply, unanswered
from flatfare.runner.batching.wires import Wire
from flatfare.runner.gate import Gate

if TYPE_CHECKING:
    import httpx2

CHUNK = 500
"""Lines of answers that are taken together."""

TRIES = 4
GONE = (403, 404, 410)
"""Where something is not known at the provider any more, or not to be seen."""


class Talk:
    """The way to the providers. ``begin`` it in the event loop that talks."""

    def __init__(self, gate: Gate, retry_s: float) -> None:
        self._gate = gate
        self._retry_s = retry_s
        self._client: httpx2.AsyncClient | None = None

    def begin(self, client: "httpx2.AsyncClient") -> None:
        """Talk with this client."""
        self._client = client

    async def get(self, path: str, wire: Wire) -> tuple[int, Mapping[str, Any] | None]:
        """Status and document; 0 where no answer came."""
        import httpx2

        try:
            response = await self._at_provider().get(self._gate.url + path, headers=self._headers_of(wire))
            return response.status_code, response.json() if response.status_code == 200 else None
        except (httpx2.HTTPError, ValueError):
            return 0, None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply | None:
        """The answer as it came; None where none did."""
        import httpx2

        try:
            response = await self._at_provider().post(
                self._gate.url + path, content=body, headers={**headers, **self._credential()}
            )
        except httpx2.HTTPError:
            return None
        return Reply(
            response.status_code,
            response.content,
            response.headers.get("flatfare-call"),
            0,
            response.headers.get("flatfare-refused"),
        )

    async def upload(self, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Upload a file; that may be done twice: a file costs nothing."""
        boundary = secrets.token_hex(16)
        part = f"--{boundary}\r\nContent-Disposition: form-data; name="
        body = (
            (
                f'{part}"purpose"\r\n\r\nbatch\r\n{part}"file"; filename="requests.jsonl"\r\n'
                "Content-Type: application/jsonl\r\n\r\n"
            ).encode()
            + content
            + f"\r\n--{boundary}--\r\n".encode()
        )
        said = {**headers, "content-type": f"multipart/form-data; boundary={boundary}"}
        for number in range(TRIES):
            reply = await self.post(path, body, said)
            if reply is not None and reply.status < 500:
                return reply
            await asyncio.sleep(self._retry_s * 2**number)
        return reply or unanswered(Ending.ERROR, "The file of the batch could not be sent.")

    @asynccontextmanager
    async def lines(self, path: str, wire: Wire) -> AsyncIterator[tuple[int, AsyncIterator[list[bytes]]]]:
        """Status and lines of a file, so many at a time; ``httpx2.HTTPError`` where it breaks off."""
        async with self._at_provider().stream(
            "GET", self._gate.url + path, headers=self._headers_of(wire)
        ) as response:
            yield response.status_code, _chunks(response.aiter_bytes())

    def _at_provider(self) -> "httpx2.AsyncClient":
        assert self._client is not None, "the desk is open"
        return self._client

    def _headers_of(self, wire: Wire) -> dict[str, str]:
        return {**wire.headers, **self._credential()}

    def _credential(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._gate.key or 'none'}"}


def headers_of_batch(question: Question, own_id: str) -> dict[str, str]:
    """What a batch carries: the labels of its questions, and its own id as one more."""
    headers = dict(question.headers)
    mark = f"flatfare.batch={own_id}"
    headers["baggage"] = f"{headers['baggage']},{mark}" if headers.get("baggage") else mark
    return headers


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Lines, so many at a time; only a line feed ends one, whatever else stands in its texts."""
    rest, held = b"", list[bytes]()
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        held += [line for line in whole if line.strip()]
        if len(held) >= CHUNK:
            yield held
            held = []
    held += [rest] if rest.strip() else []
    if held:
        yield held
