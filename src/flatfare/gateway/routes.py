"""Where a request goes: to a configured provider and one of its dialect's endpoints, or nowhere.

Only what is configured can be reached, and only by paths that mean one thing: what
climbs, doubles or hides its slashes is refused. An endpoint that no dialect knows is
refused until the operator allows it, and is then recorded as unknown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from urllib.parse import unquote, urlsplit

from flatfare.config import Provider, Settings
from flatfare.core.errors import BadInput
from flatfare.dialects import recognition
from flatfare.dialects.dialect import Dialect, Route
from flatfare.gateway.ownership import PASSED

CACHED_MAX = 4096
_MOUNTS = {
    "v1": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex": "vertex",
    "bedrock": "bedrock",
}
_ACTIONS = "v1/actions/"  # beside the models of /v1, and no provider's: the API runs them
_VERSION = re.compile(r"(?:v\d\w*/?)?(?:projects/[^/]+/?)?")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A configured provider as calls reach it."""

    name: str
    provider: Provider
    dialect: Dialect
    is_tls: bool
    host: str
    port: int
    base_path: str  # without a slash at its end
    host_header: bytes
    priced_as: str  # the provider whose prices apply
    named: Mapping[str, str]  # region and the like, from the host and the settings
    is_public: bool = False  # a known provider's own host, which answers nobody without a credential


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    upstream: Upstream
    route: Route | None  # None for an endpoint that no dialect knows, and the operator allows
    endpoint: str
    named: Mapping[str, str]  # model, region and the like, from the address
    path: str  # at the provider, as it was written
    plain_path: str  # at the provider, without escapes


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Why a request goes nowhere."""

    status: int
    reason: str
    upstream: Upstream | None = None
    endpoint: str = "unknown"


class Routes:
    """The ways to all configured providers."""

    def __init__(self, settings: Settings) -> None:
        self.upstreams = {name: upstream_of(provider) for name, provider in settings.providers.items()}
        self._found: dict[tuple[str, str], Place | Nowhere] = {}

    def find(self, method: str, target: bytes) -> Place | Nowhere:
        """The place that a request's target means; the query does not matter."""
        path = target.partition(b"?")[0].decode("latin-1")
        key = (method, path)
        found = self._found.get(key)
        if found is None:
            found = self._find(method, path)
            if len(self._found) >= CACHED_MAX:
                self._found.clear()
            self._found[key] = found
        return found

    def is_mounted(self, target: bytes) -> bool:
        """Whether this path belongs to the gateway at all."""
        path = target.partition(b"?")[0].decode("latin-1").lstrip("/")
        if path.startswith(_ACTIONS):
            return False
        first = path.partition("/")[0]
        return first == "p" or first in _MOUNTS

    def _find(self, method: str, path: str) -> Place | Nowhere:
        reason = ambiguous(path)
        if reason is not None:
            return Nowhere(400, reason)
        first, _, rest = path[1:].partition("/")
        if first == "p":
            name, _, rest = rest.partition("/")
            upstream = self.upstreams.get(name)
            rest = f"/{rest}"
        else:
            name = _MOUNTS.get(first, "")
            upstream = self._mounted(name)
            rest = path if first == "v1" else f"/{rest}"
        if upstream is None:
            return Nowhere(404, self._not_configured(name))
        return within(upstream, method, rest)

    def _mounted(self, dialect: str) -> Upstream | None:
        """The provider of that name, else the first that speaks the dialect."""
        speakers = (one for one in self.upstreams.values() if one.dialect.provider == dialect)
        return self.upstreams.get(dialect) or next(speakers, None)

    def _not_configured(self, name: str) -> str:
        known = ", ".join(self.upstreams) or "none"
        return (
            f"Found no provider {name[:80]!r}; configured: {known}. Add it to flatfare.yaml: "
            f"providers: {{{name[:80] or 'NAME'}: {{base_url: …, api_key: …}}}}"
        )


def ambiguous(path: str) -> str | None:
    """Why a path could mean more than one thing; None where it means one."""
    if not path.startswith("/"):
        return "Expected a path that begins with a slash."
    plain = path
    for _ in range(3):
        plain, former = unquote(plain), plain
        if plain == former:
            break
    else:
        return "The path is escaped more than twice."
    if "//" in path or "\\" in plain or any(sign < " " or sign == "\x7f" for sign in plain):
        return "The path has an empty part or a sign that no path has."
    if any(part in (".", "..") for part in plain.split("/")):
        return "The path climbs: write it without '.' and '..'."
    return None


def within(upstream: Upstream, method: str, rest: str) -> Place | Nowhere:
    """The place at a provider that a path of its own means."""
    path = joined(upstream.base_path, rest)
    plain, base = unquote(path), unquote(upstream.base_path)
    for known in _known_as(plain, base):
        for route in (*upstream.dialect.routes, *PASSED.get(upstream.dialect.provider, ())):
            found = _pattern(route.path).fullmatch(known) if method in route.methods else None
            if found and _may_precede(base, found["before"] or ""):
                groups = {
                    name: value for name, value in found.groupdict().items() if value and name != "before"
                }
                return Place(upstream, route, route.endpoint, {**upstream.named, **groups}, path, plain)
    if is_allowed(upstream, method, path):
        return Place(upstream, None, "unknown", upstream.named, path, plain)
    return Nowhere(
        403,
        f"{method} {path[:200]} is not on the list of {upstream.dialect.provider}'s endpoints: nothing would "
        f"meter it. To let it through and record it as unknown, add to flatfare.yaml: providers: "
        f"{{{upstream.name}: {{allow: ['{method} {path[:200]}']}}}}",
        upstream,
    )


def _known_as(plain: str, base_path: str) -> tuple[str, ...]:
    """The paths under which a dialect may know this one: some hosts leave the version out.

    >>> _known_as("/api/v3/chat/completions", "/api/v3")
    ('/api/v3/chat/completions', '/v1/api/v3/chat/completions', '/api/v3/v1/chat/completions')
    """
    versioned = f"/v1{plain}"
    if not base_path or not plain.startswith(f"{base_path}/"):
        return plain, versioned
    return plain, versioned, f"{base_path}/v1{plain[len(base_path) :]}"


def is_allowed(upstream: Upstream, method: str, path: str) -> bool:
    """Whether the operator allows this endpoint beyond what is known or usually refused."""
    return any(_allows(pattern, method, path) for pattern in upstream.provider.allow)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(f"/(?:(?P<before>.*?)/)?{path}/?")


def _may_precede(base_path: str, before: str) -> bool:
    """Whether what stands before an endpoint's own path is the provider's base, and perhaps a version."""
    base = base_path.strip("/")
    while base:
        if before == base or (before.startswith(f"{base}/") and _VERSION.fullmatch(before[len(base) + 1 :])):
            return True
        base = base.rpartition("/")[0]
    return _VERSION.fullmatch(before) is not None


def _allows(pattern: str, method: str, path: str) -> bool:
    """Whether ``POST /v1/fine_tuning/*`` or ``/v1/fine_tuning/*`` is this request."""
    wanted, space, where = pattern.rpartition(" ")
    return fnmatchcase(path, where) and (not space or wanted.upper() == method)


def joined(base_path: str, rest: str) -> str:
    """The path at the provider; a version that both parts name stands once.

    >>> joined("/v1", "/v1/models"), joined("/api/v1", "/models"), joined("", "/v1/models")
    ('/v1/models', '/api/v1/models', '/v1/models')
    """
    last = base_path.rpartition("/")[2]
    if last and re.fullmatch(r"v\d\w*", last) and (rest == f"/{last}" or rest.startswith(f"/{last}/")):
        rest = rest[len(last) + 1 :]
    elif base_path and rest.startswith(f"{base_path}/"):
        rest = rest[len(base_path) :]
    return base_path + rest


def upstream_of(provider: Provider) -> Upstream:
    """A configured provider as calls reach it; ``BadInput`` says what is wrong with it."""
    try:
        parts = urlsplit(provider.base_url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise BadInput(
            f"Found the base_url {provider.base_url!r} of provider {provider.name!r}: expected one like "
            "https://api.openai.com/v1."
        )
    is_tls = parts.scheme == "https"
    dialect = recognition.dialect_of(provider.dialect)
    known = recognition.at_host(parts.netloc)
    named = _named_by_host(dialect, parts.netloc)
    if provider.region:
        named["region"] = provider.region
    is_known = provider.name == dialect.provider or known is dialect
    return Upstream(
        name=provider.name,
        provider=provider,
        dialect=dialect,
        is_tls=is_tls,
        host=parts.hostname,
        port=port or (443 if is_tls else 80),
        base_path=parts.path.rstrip("/"),
        host_header=parts.netloc.encode("ascii"),
        priced_as=provider.priced_as or (dialect.provider if is_known else provider.name),
        named=named,
        is_public=is_tls and known is not None,
    )


def _named_by_host(dialect: Dialect, host: str) -> dict[str, str]:
    for pattern in dialect.hosts:
        if found := re.fullmatch(pattern, host.lower().partition(":")[0]):
            return {name: value for name, value in found.groupdict().items() if value}
    return {}
