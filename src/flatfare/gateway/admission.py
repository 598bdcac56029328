"""Who may call what: a request with its key, its place and its labels, or the reason why it goes nowhere.

Nothing is sent for a request that is refused, and a refused call of a known key is a
row like any other.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Protocol

import msgspec

from flatfare.config import Settings
from flatfare.dialects.reading import Asked
from flatfare.gateway import ownership, upgrades
from flatfare.gateway.attribution import Attribution, foreign_baggage, of_request
from flatfare.gateway.batching.steps import Step, step_of, sum_of
from flatfare.gateway.credentials import BARE, client_secret, without_key
from flatfare.gateway.keyring import UNKNOWN, KeyRing, Refused
from flatfare.gateway.limiter import Limiter
from flatfare.gateway.policies import STREAM_USAGE, with_usage_asked
from flatfare.gateway.reaching import Reach
from flatfare.gateway.routes import Nowhere, Place, Routes, Upstream, is_allowed
from flatfare.gateway.tap import asked_of
from flatfare.gateway.traits import traits_of
from flatfare.gateway.upgrades import is_websocket, why_no_session
from flatfare.gateway.wire import Headers, Request, head, passed_on
from flatfare.service.access.keys import MARK
from flatfare.store.keys import Key
from flatfare.store.text_terms import TextTerms

_NO_CHANGES: tuple[str, ...] = ()
_ACCEPT_ENCODING = frozenset((b"accept-encoding",))
_PROXIED = frozenset((b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"))
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a request is refused; with a key that is known, the refusal is a row."""

    status: int
    reason: str
    dialect: str = "openai"
    retry_after_s: int | None = None
    upstream: Upstream | None = None
    endpoint: str = "unknown"
    key: Key | None = None
    asked: Asked | None = None
    attribution: Attribution | None = None
    is_recorded: bool = False
    may_be_new: bool = False  # its key may have been made since the book was last looked at


@dataclass(slots=True)
class Admitted:
    """A request that may go."""

    place: Place
    reach: Reach
    key: Key | None
    attribution: Attribution
    asked: Asked
    traits: str | None
    changed: tuple[str, ...]
    body: bytes
    things: list[str] = field(default_factory=list)  # at the provider, named by the request: the key's alone
    makes_things: bool = False
    refuses_unknown: bool = False  # things of which nobody here knows who made them
    is_session: bool = False  # over a websocket
    text_terms: TextTerms | None = None  # what its key asks to be stored of what is said
    batch: Step | None = None  # of a batch's life
    sum_of: str | None = None  # the batch, or file, whose answers it fetches to be read in one sum
    findings: Mapping[str, int] | None = None  # by guard: what it asks for beyond that guard's limit

    @property
    def key_id(self) -> str | None:
        """The id of its key."""
        return None if self.key is None else self.key.id

    def message(self, request: Request, at_us: int, body: bytes | None = None) -> bytes:
        """The request as the provider gets it; ``body`` in place of its own, where that was changed."""
        body = self.body if body is None else body
        upstream, dress = self.reach.upstream, self.reach.dress
        if dress.is_client_s and self.key is not None:
            dress = BARE
        path = self.place.path.encode("latin-1")
        query = request.target.partition(b"?")[2]
        dropped = dress.dropped
        if not dress.is_client_s:
            query = without_key(query)
        if STREAM_USAGE in self.changed:
            dropped = dropped | _ACCEPT_ENCODING
        headers: Headers = [(b"Host", upstream.host_header)]
        headers += passed_on(request.headers, request.fields.get(b"connection", b""), dropped)
        if self.is_session:
            headers = upgrades.asking(headers, keeps_key=dress.is_client_s)
        baggage = foreign_baggage(request.fields.get(b"baggage", b""))
        if baggage:
            headers.append((b"baggage", baggage))
        headers += dress.headers_for(request, path, query, upstream.host_header, body, at_us)
        if body or b"content-length" in request.fields or request.method in ("POST", "PUT", "PATCH"):
            headers.append((b"Content-Length", b"%d" % len(body)))
        target = path + b"?" + query if query else path
        return head(b"%b %b HTTP/1.1" % (request.method.encode("latin-1"), target), headers) + body


class Gate(Protocol):
    """What admission asks of the worker."""

    settings: Settings
    routes: Routes
    reaches: dict[str, Reach]
    keyring: KeyRing
    limiter: Limiter
    is_loopback: bool


def admit(gate: Gate, request: Request) -> Admitted | Denied:
    """Let a request in, or say why not."""
    place = gate.routes.find(request.method, request.target)
    upstream = place.upstream
    dialect = "openai" if upstream is None else upstream.dialect.provider
    key = _key_of(gate, request, dialect)
    if isinstance(key, Denied):
        return key
    whose = of_request(
        request, None if key is None else key.project, "{}" if key is None else key.labels_text
    )
    if isinstance(place, Nowhere):
        is_recorded = place.upstream is not None
        return Denied(
            place.status, place.reason, dialect, None, upstream, place.endpoint, key, None, whose, is_recorded
        )
    asked = asked_of(place, request.body)
    if b"upgrade" in request.fields and is_websocket(request):
        query = request.target.partition(b"?")[2]
        asked = msgspec.structs.replace(asked, model=upgrades.model_in(query) or asked.model, is_stream=True)
    reason = _why_not(gate, request, place, key, asked)
    if reason is not None:
        status, text, wait_s = reason
        return Denied(status, text, dialect, wait_s, upstream, place.endpoint, key, asked, whose, True)
    return _admitted(gate, request, place, key, whose, asked)


def _admitted(
    gate: Gate, request: Request, place: Place, key: Key | None, whose: Attribution, asked: Asked
) -> Admitted:
    reach = gate.reaches[place.upstream.name]
    body, changed = request.body, _NO_CHANGES
    if asked.is_stream and gate.settings.policies.stream_usage and b"content-encoding" not in request.fields:
        altered = with_usage_asked(place.upstream.dialect.provider, place.endpoint, body)
        if altered is not None:
            body, changed = altered, (STREAM_USAGE,)
    admitted = Admitted(place, reach, key, whose, asked, traits_of(request.body), changed, body)
    admitted.is_session = b"upgrade" in request.fields and is_websocket(request)
    admitted.batch = step_of(request.method, place)
    admitted.sum_of = sum_of(request.method, place)
    if key is not None:
        has_text = place.route is not None and not place.route.free and not admitted.is_session
        if gate.keyring.texts and has_text:
            admitted.text_terms = gate.keyring.texts.get(key.id)
        things = ownership.named_things(place.plain_path, request.body)
        if admitted.is_session:
            joined = upgrades.joined_by(request.target.partition(b"?")[2])
            things = [*things, *joined]
        admitted.things = ownership.not_shared(things, place.upstream.provider.shared)
        refuses = place.upstream.provider.foreign_things == "refuse"
        admitted.refuses_unknown = refuses or ownership.is_kept_apart(place.plain_path) or admitted.is_session
        admitted.makes_things = ownership.makes(request.method, place.plain_path)
    if admitted.batch is not None:
        admitted.makes_things = admitted.batch is not Step.ANSWERS
    return admitted


def _why_not(
    gate: Gate, request: Request, place: Place, key: Key | None, asked: Asked
) -> tuple[int, str, int | None] | None:
    """Status, reason and perhaps seconds to wait, for a request that may not go."""
    reach = gate.reaches[place.upstream.name]
    if reach.dress.is_client_s and key is not None and place.upstream.is_public:
        name = place.upstream.name
        return (
            500,
            f"There is no credential for {name!r} here. Keep one: flatfare providers set {name}",
            None,
        )
    if b"upgrade" in request.fields and is_websocket(request):
        said = why_no_session(place, request)
        if said is not None:
            return 400, said, None
    wait_s = reach.circuit.wait_s(time.monotonic())
    if wait_s is not None:
        return (
            503,
            f"The provider {place.upstream.name!r} cannot be reached at present.",
            max(1, round(wait_s)),
        )
    if key is None:
        return None
    if ownership.is_list(request.method, place.plain_path) and not is_allowed(
        place.upstream, request.method, place.path
    ):
        return 403, "A list would show what every key has made here: ask for your own by their ids.", None
    reason = key.why_not(place.upstream.name, asked.model)
    if reason is not None:
        return 403, reason, None
    limited = gate.limiter.admit(key)
    return None if limited is None else (429, *limited)


def _key_of(gate: Gate, request: Request, dialect: str) -> Key | Denied | None:
    """The key of a request; None where none is needed: on loopback, as long as there are no keys."""
    if not len(gate.keyring):
        if gate.is_loopback:
            return of_this_machine(request, dialect) or _why_foreign(request, dialect)
        return Denied(401, "There are no keys yet. Create one: flatfare keys create --name NAME", dialect)
    secret = client_secret(request)
    if secret is None:
        return Denied(401, "Found no key. Send a Flatfare key where the provider's API key goes.", dialect)
    found = gate.keyring.find(secret, time.time_ns() // 1000)
    if not isinstance(found, Refused):
        return found
    return Denied(401, found.reason, dialect, may_be_new=found is UNKNOWN and secret.startswith(MARK))


def _why_foreign(request: Request, dialect: str) -> Denied | None:
    """Refuses a Flatfare key where there are none: it is of another book, and no provider's to see."""
    if not (client_secret(request) or "").startswith(MARK):
        return None
    said = "Found a Flatfare key, but this gateway has none yet. Create one: flatfare keys create --name NAME"
    return Denied(401, f"{said}, or send the provider's own.", dialect, may_be_new=True)


def why_hidden(gate: Gate, request: Request) -> Denied | None:
    """Why a request may not see the gateway's own figures; None where it may."""
    shown = gate.settings.metrics or ("open" if gate.is_loopback else "key")
    if shown == "open":
        return of_this_machine(request, "openai") if gate.is_loopback else None
    secret, token = client_secret(request), gate.settings.metrics_token
    if secret is None:
        return Denied(401, "Figures are shown to who sends a Flatfare key or metrics_token as bearer.")
    if token is not None and compare_digest(secret.encode(), token.encode()):
        return None
    found = gate.keyring.find(secret, time.time_ns() // 1000)
    return Denied(401, found.reason) if isinstance(found, Refused) else None


def of_this_machine(request: Request, dialect: str) -> Denied | None:
    """Refuses what a web page could send: a name that was made to point here, or a foreign origin."""
    host = request.fields.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    origin = (request.text(b"origin") or "").partition("://")[2]
    if name not in _LOOPBACK_HOSTS:
        return Denied(
            403,
            f"Found the host {host[:80]!r}: without keys only this machine is served, as localhost.",
            dialect,
        )
    if (
        request.text(b"origin")
        and origin.rpartition(":")[0] not in _LOOPBACK_HOSTS
        and origin not in _LOOPBACK_HOSTS
    ):
        return Denied(
            403, f"Found the origin {origin[:80]!r}: without keys web pages are not served.", dialect
        )
    if request.fields.get(b"sec-fetch-site", b"none").strip().lower() not in (b"none", b"same-origin"):
        # A picture, a script or a form's navigation is sent without an origin; browsers say this of it.
        return Denied(403, "A page of another site asks: without keys web pages are not served.", dialect)
    if not _PROXIED.isdisjoint(request.fields):
        said = "The request came through a proxy: without keys only this machine is served."
        return Denied(403, f"{said} Create one: flatfare keys create --name NAME", dialect)
    return None
