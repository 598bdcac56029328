"""The way of a model call into a batch: under the client that asks models, and nobody above sees it."""

import json
from typing import TYPE_CHECKING

import httpx2

from flatfare.core.money import decimal_text
from flatfare.runner.batching.asking import ENDING, REASON, Question, Reply
from flatfare.runner.batching.wires import asked_at

if TYPE_CHECKING:
    from flatfare.runner.batching.desk import Desk

_CARRIED = ("baggage", "anthropic-version", "anthropic-beta")


class Posting(httpx2.AsyncBaseTransport):
    """Puts calls that do the work into batches; what verifies it is asked at once."""

    def __init__(self, desk: "Desk", at_once: httpx2.AsyncBaseTransport) -> None:
        self._desk = desk
        self._at_once = at_once

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request, from its batch or at once."""
        place = asked_at(request.url.path)
        headers = request.headers
        task_id, attempt_id = headers.get("flatfare-task"), headers.get("flatfare-attempt")
        if place is None or headers.get("flatfare-purpose") != "work" or not task_id or not attempt_id:
            return await self._at_once.handle_async_request(request)
        body = await request.aread()
        carried = tuple((name, headers[name]) for name in _CARRIED if name in headers)
        model = str(json.loads(body).get("model"))
        reply = await self._desk.ask(Question(*place, model, body, carried, task_id, attempt_id))
        return httpx2.Response(reply.status, headers=_headers(reply), content=reply.body, request=request)

    async def aclose(self) -> None:
        """Close what asks at once."""
        await self._at_once.aclose()


def _headers(reply: Reply) -> dict[str, str]:
    said = {"content-type": "application/json"}
    if reply.call_id is not None:
        said["flatfare-call"] = reply.call_id
    if reply.cost_nano is not None:
        said["flatfare-cost"] = decimal_text(reply.cost_nano)
    if reply.refused is not None:
        said["flatfare-refused"] = reply.refused
    if reply.ending is not None:
        said |= {ENDING: str(reply.ending), REASON: reply.reason.encode("ascii", "replace").decode()}
    return said
