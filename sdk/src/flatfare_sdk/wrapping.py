"""Headers that tell the gateway whose work a call is, and clients that send them by themselves.

They go to the gateway only: a client that talks to a provider directly sends none of them,
since labels name customers.
"""

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from flatfare_sdk.guarding import harmless, warn_once
from flatfare_sdk.recorder import process
from flatfare_sdk.task import work_here

C = TypeVar("C")

HEADERS_BYTES_MAX = 16 * 1024
_PLAIN = re.compile(r"[\x21-\x2b\x2d-\x7e]([\x20-\x2b\x2d-\x7e]*[\x21-\x2b\x2d-\x7e])?")  # no comma
_TAKEN = ("task", "attempt", "session", "purpose", "labels")  # words of the baggage that are no labels
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_HTTP_CLIENTS = (
    # where a provider's client keeps its httpx client; looked up in openai 3.52, anthropic 2.11,
    # google-genai 3.4, mistralai 3.7 and cohere 7.3 on 2026-11-21
    "_client",
    "_api_client._httpx_client",
    "_api_client._async_httpx_client",
    "sdk_configuration.client",
    "sdk_configuration.async_client",
    "_client_wrapper.httpx_client.httpx_client",
)


def _no_headers() -> dict[str, str]:
    return {}


@harmless(_no_headers)
def headers() -> dict[str, str]:
    """The headers of a request for the task that is current here; none where there is no task.

    What a header cannot hold, such as a comma or a letter outside ASCII, goes as W3C baggage.
    """
    task, attempt, is_judged = work_here()
    if task is None or not task.id:
        return {}
    told: dict[str, str] = {}
    baggage: list[str] = []
    _tell("task", task.id, told, baggage)
    _tell("attempt", attempt.id if attempt else None, told, baggage)
    _tell("session", task.session, told, baggage)
    _tell("purpose", "verification" if is_judged else None, told, baggage)
    _tell_labels(task.labels, told, baggage)
    if baggage:
        told["baggage"] = ",".join(baggage)
    if sum(map(len, told.values())) > HEADERS_BYTES_MAX:
        warn_once("headers", "flatfare: calls go without labels: they are too long for headers")
        return {name: value for name, value in told.items() if name not in ("flatfare-labels", "baggage")}
    return told


def _tell(what: str, value: str | None, told: dict[str, str], baggage: list[str]) -> None:
    if not value:
        return
    if _PLAIN.fullmatch(value):
        told[f"flatfare-{what}"] = value
    else:
        baggage.append(f"flatfare.{what}={quote(value, safe='')}")


def _tell_labels(labels: Mapping[str, str], told: dict[str, str], baggage: list[str]) -> None:
    plain = []
    for key, value in labels.items():
        if _PLAIN.fullmatch(value):
            plain.append(f"{key}={value}")
        elif value and key not in _TAKEN:
            baggage.append(f"flatfare.{key}={quote(value, safe='')}")
    if plain:
        told["flatfare-labels"] = ",".join(plain)


def wrap(client: C, *, gateway: str | None = None) -> C:
    """The same client, whose calls through the gateway say which task they are for.

    Takes clients of openai, anthropic, google-genai, mistralai, cohere and boto3, and httpx's own.
    ``gateway`` is its address, if that is not where events go (``FLATFARE_URL``).
    """
    _wrap(client, gateway)
    return client


def _unwrapped() -> None:
    return None


@harmless(_unwrapped)
def _wrap(client: object, gateway: str | None) -> None:
    is_ours = _addressed(gateway)
    is_done = False
    api_client = getattr(client, "_api_client", None)
    if callable(getattr(api_client, "_build_request", None)):  # google-genai, whichever way it sends
        is_done = _wrap_builder(api_client, is_ours)
    else:
        for http_client in _http_clients(client):
            is_done = _hook(http_client, is_ours) or is_done
    events: Any = getattr(getattr(client, "meta", None), "events", None)
    if callable(
        getattr(events, "register", None)
    ):  # boto3; before-send, since its signature needs not hold ours
        events.register("before-send.*", _Sending(is_ours), unique_id="flatfare")
        is_done = True
    if not is_done:
        kind = f"{type(client).__module__}.{type(client).__name__}"
        warn_once(f"wrap {kind}", f"flatfare: {kind} cannot be wrapped; pass headers() with its requests")


def _http_clients(client: object) -> Iterator[object]:
    """The httpx clients of a client, itself included."""
    if _is_httpx(client):
        yield client
    for path in _HTTP_CLIENTS:
        found: Any = client
        for name in path.split("."):
            found = getattr(found, name, None)
        if _is_httpx(found):
            yield found


def _is_httpx(client: object) -> bool:
    return isinstance(getattr(client, "event_hooks", None), dict) and callable(getattr(client, "send", None))


def _hook(client: Any, is_ours: Callable[[object], bool]) -> bool:
    hooks = client.event_hooks
    asked = hooks.setdefault("request", [])
    if any(getattr(hook, "flatfare", None) for hook in asked):
        return True

    def hook(request: Any) -> None:
        _add(request.headers, request.url, is_ours)

    async def async_hook(request: Any) -> None:
        _add(request.headers, request.url, is_ours)

    chosen: Any = async_hook if hasattr(client, "aclose") else hook
    chosen.flatfare = True
    client.event_hooks = {**hooks, "request": [*asked, chosen]}
    return True


def _wrap_builder(api_client: Any, is_ours: Callable[[object], bool]) -> bool:
    build = api_client._build_request
    if getattr(build, "flatfare", None):
        return True

    def build_request(*args: Any, **kwargs: Any) -> Any:
        request = build(*args, **kwargs)
        _add(request.headers, request.url, is_ours)
        return request

    build_request.flatfare = True  # type: ignore[attr-defined]
    api_client._build_request = build_request
    return True


class _Sending:
    """What boto3 calls before a request goes out."""

    def __init__(self, is_ours: Callable[[object], bool]) -> None:
        self._is_ours = is_ours

    def __call__(self, request: Any, **_: object) -> None:
        _add(request.headers, request.url, self._is_ours)


@harmless(_unwrapped)
def _add(fields: MutableMapping[str, str], url: object, is_ours: Callable[[object], bool]) -> None:
    """Add what is to be said to a request's headers; what the caller set himself stands."""
    told = headers()
    if not told:
        return
    if not is_ours(url):
        warn_once(
            "elsewhere",
            "flatfare: a wrapped client does not send to the gateway, and its calls are not metered: "
            "set its base URL, or FLATFARE_URL if the gateway is there",
        )
        return
    for name, value in told.items():
        if name == "baggage" and fields.get("baggage"):
            fields["baggage"] = f"{fields['baggage']},{value}"
        elif name not in fields:
            fields[name] = value


def _addressed(gateway: str | None) -> Callable[[object], bool]:
    """Whether a request's address is the gateway's."""

    def is_ours(url: object) -> bool:
        return _place(str(url)) == _place(gateway or process.recorder().settings.url)

    return is_ours


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = (parts.hostname or "").lower()
    return "localhost" if host in _LOOPBACK else host, parts.port or (443 if parts.scheme == "https" else 80)
