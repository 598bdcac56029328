"""Which dialect speaks here: by host and path, by name, or by the look of a body.

The modules of this package are the register: each that has a ``DIALECT`` (or several
``DIALECTS``) is found, and nothing else has to be edited for a new one.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from urllib.parse import unquote

import msgspec

import flatfare.dialects
from flatfare.core.errors import BadUsage
from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.framing import Framing, JsonArray, JsonLines, ServerSentEvents
from flatfare.dialects.reading import NOTHING, Asked, Exchange


class Recognised(msgspec.Struct, frozen=True):
    """A dialect, the route in it, and what the address said."""

    dialect: Dialect
    route: Route
    named: Mapping[str, str] = NOTHING  # model, region, upstream: from the host and the path

    def exchange(
        self,
        request_body: bytes = b"",
        path: str = "",
        status: int = 200,
        headers: Mapping[str, str] = NOTHING,
        at_us: int | None = None,
    ) -> Exchange:
        """The exchange that the route's readers take; an unreadable request asked for nothing."""
        try:
            asked = self.dialect.read_request(request_body, path)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            asked = Asked()
        if self.named:
            asked = _with_address(asked, self.named)
        return Exchange(self.dialect.provider, self.route.endpoint, status, asked, headers, at_us)


@cache
def dialects() -> Mapping[str, Dialect]:
    """Every dialect by provider, in alphabetical order."""
    found = {}
    for module in pkgutil.iter_modules(flatfare.dialects.__path__):
        loaded = importlib.import_module(f"flatfare.dialects.{module.name}")
        for dialect in getattr(loaded, "DIALECTS", None) or (getattr(loaded, "DIALECT", None),):
            if isinstance(dialect, Dialect):
                found[dialect.provider] = dialect
    return dict(sorted(found.items()))


def dialect_of(provider: str) -> Dialect:
    """The dialect by its provider's name; ``BadUsage`` names those there are."""
    found = dialects().get(provider) or _by_other_names().get(_plainly(provider))
    if found is None:
        known = ", ".join(dialects())
        raise BadUsage(f"Found the provider {provider!r}; expected one of: {known}.")
    return found


@cache
def _by_other_names() -> Mapping[str, Dialect]:
    return {
        _plainly(name): dialect
        for dialect in dialects().values()
        for name in (dialect.provider, *dialect.also)
    }


def _plainly(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


@lru_cache(maxsize=1024)
def by_address(host: str, path: str, method: str | None = None) -> Recognised | None:
    """The dialect and route that serve this host and path; None where no dialect knows them."""
    for dialect, named in _at(host):
        recognised = by_path(dialect, path, method)
        if recognised is not None:
            return _named(recognised, named)
    return None


def at_host(host: str) -> Dialect | None:
    """The dialect that this host speaks, whatever the path; None where the host is not known."""
    return next((dialect for dialect, _ in _at(host)), None)


def _at(host: str) -> Iterator[tuple[Dialect, Mapping[str, str | None]]]:
    host = host.lower()
    bare = host.partition(":")[0]
    for dialect in dialects().values():
        for pattern in dialect.hosts:
            if found := _compiled(pattern).fullmatch(host if ":" in pattern.replace("(?:", "") else bare):
                yield dialect, found.groupdict()


def by_path(dialect: Dialect, path: str, method: str | None = None) -> Recognised | None:
    """The dialect's route for this path; None where it is not on its list."""
    path = unquote(path.partition("?")[0])
    for route in dialect.routes:
        if method is None or method in route.methods:
            found = _compiled(f"(?:.*?/)?{route.path}/?").fullmatch(path)
            if found:
                return _named(Recognised(dialect, route), found.groupdict())
    return None


def by_name(provider: str, endpoint: str | None = None) -> Recognised:
    """The route by its names; without an endpoint the provider's first. ``BadUsage`` says which there are.

    An endpoint that is named with more words than the route's own, such as
    ``realtime.websocket``, is the route with the most of them.
    """
    dialect = dialect_of(provider)
    for route in dialect.routes:
        if endpoint is None or route.endpoint == endpoint:
            return Recognised(dialect, route)
    words = set((endpoint or "").lower().split("."))
    near = [route for route in dialect.routes if set(route.endpoint.lower().split(".")) <= words]
    if near:
        return Recognised(dialect, max(near, key=lambda route: route.endpoint.count(".")))
    known = ", ".join(dict.fromkeys(route.endpoint for route in dialect.routes))
    raise BadUsage(f"Found the endpoint {endpoint!r} for {provider}; expected one of: {known}.")


def by_look(
    keys: Mapping[str, object], is_stream: bool = False, provider: str | None = None
) -> Recognised | None:
    """The route whose marks a body (or a stream's first event) bears, most marks first.

    Between equals the one whose provider stands first wins, ``openai`` before all:
    its shape is the one that others copy.
    """
    best: tuple[int, Recognised] | None = None
    candidates = [dialect_of(provider)] if provider else sorted(dialects().values(), key=_copied_last)
    for dialect in candidates:
        for route in dialect.routes:
            marks = route.stream_marks if is_stream else route.marks
            if marks and _bears(keys, marks) and (best is None or len(marks) > best[0]):
                best = (len(marks), Recognised(dialect, route))
    return best[1] if best else None


LOOKED_AT_MAX = 64
"""Events at the start of a stream that are looked at: some begin with comments, pings and filters."""


def by_body(body: bytes, provider: str | None = None) -> tuple[Recognised, bool] | None:
    """The route that a bare body looks like, and whether it is a stream; None where nothing fits."""
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"{":
        keys = _object(body)
        if keys is not None and (recognised := by_look(keys, False, provider)):
            return recognised, False
        first = [keys] if keys is not None else _first_objects(JsonLines(), body)
        return _first_look(first, provider)
    if start[:1] == b"[":
        return _first_look(_first_objects(JsonArray(), body), provider)
    return _first_look(_first_objects(ServerSentEvents(), body), provider)


def _first_look(objects: list[Mapping[str, object]], provider: str | None) -> tuple[Recognised, bool] | None:
    for keys in objects:
        if recognised := by_look(keys, True, provider):
            return recognised, True
    return None


def _first_objects(framing: Framing, body: bytes) -> list[Mapping[str, object]]:
    objects = []
    for position in range(0, len(body), 1 << 16):
        for _, data in framing.feed(body[position : position + (1 << 16)]):
            if (keys := _object(data)) is not None:
                objects.append(keys)
        if len(objects) >= LOOKED_AT_MAX:
            return objects[:LOOKED_AT_MAX]
    objects += [keys for _, data in framing.finish() if (keys := _object(data)) is not None]
    return objects


def _object(data: bytes) -> Mapping[str, object] | None:
    try:
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _copied_last(dialect: Dialect) -> tuple[bool, str]:
    return dialect.provider != "openai", dialect.provider


def _bears(keys: Mapping[str, object], marks: Mapping[str, str | None]) -> bool:
    """Whether every mark is there; a dotted mark looks inside."""
    for mark, beginning in marks.items():
        value: object = keys
        for key in mark.split("."):
            if not isinstance(value, Mapping) or key not in value:
                return False
            value = value[key]
        if beginning is not None and not str(value).startswith(beginning):
            return False
    return True


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _named(recognised: Recognised, groups: Mapping[str, str | None]) -> Recognised:
    named = {**recognised.named, **{name: value for name, value in groups.items() if value}}
    return msgspec.structs.replace(recognised, named=named)


def _with_address(asked: Asked, named: Mapping[str, str]) -> Asked:
    details = {name: value for name, value in named.items() if name not in ("model", "region")}
    return msgspec.structs.replace(
        asked,
        model=named.get("model") or asked.model,
        region=named.get("region") or asked.region,
        details={**asked.details, **details} if details else asked.details,
    )
