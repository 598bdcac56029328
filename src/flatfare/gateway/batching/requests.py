"""What the requests of a batch cost at most, each bounded by itself at the batch tier."""

import re
from collections.abc import Iterator
from functools import cache

import msgspec

from flatfare.core.batch_names import named_in
from flatfare.core.errors import BadInput
from flatfare.gateway.routes import Nowhere, Place, Upstream, within
from flatfare.gateway.tap import asked_of
from flatfare.service.budgets.bounding import Bounds
from flatfare.store.batches import Requests

_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)', re.IGNORECASE)
_PURPOSE = re.compile(rb'name="?purpose"?\s*\r?\n\r?\n\s*batch\s*$', re.IGNORECASE)
_FILE = re.compile(rb'name="?file"?[;\r\n]', re.IGNORECASE)
_MESSAGES = "/v1/messages"


class _Line(msgspec.Struct):
    custom_id: str = ""
    url: str = ""
    body: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    custom_id: str = ""
    params: msgspec.Raw = msgspec.Raw()


class _Requests(msgspec.Struct):
    requests: list[_Request] = []


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_requests = msgspec.json.Decoder(_Requests).decode
_One = tuple[str, str, bytes]
"""The name of a request, the path it asks for, and its body."""


def of_upload(
    upstream: Upstream, content_type: str, body: bytes, bounds: Bounds, at_us: int
) -> Requests | None:
    """What the requests in an uploaded file come to; None where it is a file of another purpose."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return None
    parts = [part.strip(b"\r\n") for part in body.split(b"--" + found[1].encode())]
    if not any(_PURPOSE.search(part) for part in parts):
        return None
    file = next((part for part in parts if _FILE.search(part[:1000])), b"")
    content = file.partition(b"\r\n\r\n")[2]
    return _summed(upstream, _in_lines(content), bounds, at_us)


def of_body(upstream: Upstream, body: bytes, bounds: Bounds, at_us: int) -> Requests:
    """What the requests within the request that makes a batch come to (Anthropic's)."""

    def each() -> Iterator[_One]:
        for one in _decode_requests(body).requests:
            yield one.custom_id, _MESSAGES, bytes(one.params)

    return _summed(upstream, each(), bounds, at_us)


def _in_lines(content: bytes) -> Iterator[_One]:
    for line in content.splitlines():
        if line.strip():
            read = _decode_line(line)
            yield read.custom_id, read.url, bytes(read.body)


def _summed(upstream: Upstream, requests: Iterator[_One], bounds: Bounds, at_us: int) -> Requests:
    """The sum of all bounds; not known where one is not."""

    @cache
    def place_of(url: str) -> Place | Nowhere:
        return within(upstream, "POST", url)

    most_nano: int | None = 0
    reason: str | None = None
    names_tasks, count = False, 0
    try:
        for name, url, body in requests:
            count += 1
            names_tasks = names_tasks or named_in(name) is not None
            if most_nano is None:
                continue
            own_nano, why_not = _most(place_of(url), upstream, body, bounds, at_us)
            if own_nano is None:
                most_nano, reason = None, f"its request {count}: {why_not}"
            else:
                most_nano += own_nano
    except (msgspec.MsgspecError, BadInput, UnicodeDecodeError) as problem:
        return Requests(None, f"its request {count + 1} cannot be read: {problem}", names_tasks)
    return Requests(most_nano, reason or f"the most that each of its {count} requests costs", names_tasks)


def _most(
    place: Place | Nowhere, upstream: Upstream, body: bytes, bounds: Bounds, at_us: int
) -> tuple[int | None, str | None]:
    if isinstance(place, Nowhere):
        return None, place.reason
    asked = msgspec.structs.replace(asked_of(place, body), service_tier="batch")
    bound = bounds.of(upstream.priced_as, place.endpoint, asked, body, at_us)
    return bound.most_nano, bound.reason
