"""Signing in by OpenID Connect: the issuer says who somebody is, and our settings say what they may.

The code flow with PKCE (RFC 7636). What the issuer signs is believed only with the keys that it
publishes, for our client, for this one sign-in, and while it lasts. A name that stands here
already with a password is never taken over.
"""

import base64
import hashlib
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from flatfare.config import Issuer
from flatfare.core.errors import BadInput, BadUsage, Conflict, StoreFailure
from flatfare.service.access import users as people
from flatfare.service.access.users import SignInRefused
from flatfare.store import users
from flatfare.store.book import Book
from flatfare.store.users import User

ANSWER_BYTES_MAX = 1024 * 1024
TIMEOUT_S = 10.0
ALGORITHMS = ("RS256", "PS256", "ES256", "RS384", "ES384", "RS512", "ES512", "EdDSA")
"""Signatures by a key that the issuer publishes; never one by a secret that we hold too, and never none."""

LEEWAY_S = 60
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: what the browser keeps until it comes back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the issuer is asked what."""

    authorization: str
    token: str
    keys: str


def begin() -> Begun:
    """Random values for one sign-in."""
    return Begun(*(secrets.token_urlsafe(32) for _ in range(3)))


def address_of(issuer: Issuer, begun: Begun, redirect: str) -> str:
    """Where the browser is sent."""
    found = discover(issuer)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=")
    query = urlencode(
        {
            "response_type": "code",
            "client_id": issuer.client_id,
            "redirect_uri": redirect,
            "scope": "openid profile email",
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
    )
    return f"{found.authorization}{'&' if '?' in found.authorization else '?'}{query}"


def discover(issuer: Issuer) -> Endpoints:
    """The issuer's endpoints, from its own document; it must name itself as our settings do."""
    said = _asked(f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
    if said.get("issuer") != issuer.issuer:
        raise StoreFailure(
            f"The issuer {issuer.name!r} calls itself {said.get('issuer')!r}, not {issuer.issuer!r}: "
            "write sign_in's issuer as it does."
        )
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    for name in names:
        if not isinstance(said.get(name), str):
            raise StoreFailure(f"The issuer {issuer.name!r} names no {name}.")
    return Endpoints(*(str(said[name]) for name in names))


def claims_of(issuer: Issuer, begun: Begun, code: str, redirect: str, *, now_s: int) -> Mapping[str, object]:
    """What the issuer says of who came back with this code; ``SignInRefused`` where it cannot be believed."""
    found = discover(issuer)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": begun.verifier,
    }
    pair = f"{quote(issuer.client_id, safe='')}:{quote(issuer.client_secret, safe='')}"
    basic = base64.b64encode(pair.encode()).decode()
    said = _asked(found.token, urlencode(form).encode(), {"Authorization": f"Basic {basic}"})
    token = said.get("id_token")
    if not isinstance(token, str):
        raise SignInRefused(f"The issuer {issuer.name!r} gave no token. Try again.")
    return _believed(issuer, begun, token, _asked(found.keys), now_s)


def user_of(book: Book, issuer: Issuer, claims: Mapping[str, object], *, at_us: int) -> User:
    """Whom these claims are of, made at the first sign-in; the role follows the issuer each time."""
    subject = f"{issuer.issuer}|{claims['sub']}"
    role = role_of(issuer, claims)
    if role is None:
        raise SignInRefused(
            f"{issuer.name} says who you are, and our settings give you no role: ask an administrator."
        )
    by_whom = f"sign_in {issuer.name}"
    user = users.of_subject(book, subject)
    if user is None:
        return _made(book, claims, subject, role, at_us, by_whom)
    if user.disabled_at_us is not None:
        raise SignInRefused("You may not sign in here: ask an administrator.")
    if user.role != role:
        user = people.change(book, user.id, role=role, at_us=at_us, by_whom=by_whom)
    return user


def role_of(issuer: Issuer, claims: Mapping[str, object]) -> str | None:
    """The role that the settings give to the first of these claims that they name; ``*`` is anybody."""
    said = claims.get(issuer.claim)
    values = [str(one) for one in said] if isinstance(said, list) else [str(said)] if said else []
    for value, role in issuer.roles.items():
        if value == "*" or value in values:
            return role
    return None


def _made(
    book: Book, claims: Mapping[str, object], subject: str, role: str, at_us: int, by_whom: str
) -> User:
    mail = claims.get("email") if claims.get("email_verified") is True else None
    name = str(mail or claims.get("preferred_username") or claims["sub"])[:100]
    try:
        return people.create(
            book, name, role=role, password=None, subject=subject, at_us=at_us, by_whom=by_whom
        )
    except Conflict:
        raise SignInRefused(
            f"There is a user {name!r} here who signs in otherwise: ask an administrator."
        ) from None


def _believed(
    issuer: Issuer, begun: Begun, token: str, keys: Mapping[str, object], now_s: int
) -> Mapping[str, object]:
    try:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet
    except ImportError as problem:
        raise BadUsage("Signing in needs the web extra: pip install 'flatfare[web]'.") from problem
    registry = jwt.JWTClaimsRegistry(
        now_s,
        LEEWAY_S,
        iss={"essential": True, "value": issuer.issuer},
        aud={"essential": True, "value": issuer.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": begun.nonce},
    )
    try:
        decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]
        registry.validate(decoded.claims)
    except (JoseError, ValueError, KeyError, TypeError) as problem:
        raise SignInRefused(f"What {issuer.name} said cannot be believed: {problem}. Try again.") from None
    claims: Mapping[str, object] = decoded.claims
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != issuer.client_id:
        raise SignInRefused(f"What {issuer.name} said is meant for somebody else. Try again.")
    return claims


def _asked(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Mapping[str, object]:
    """A JSON document of the issuer's, over TLS, or from this machine alone."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise BadInput(f"Found the address {url[:80]!r} of an issuer: it has to begin with https://.")
    request = urllib.request.Request(url, body, {"Accept": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            said = json.loads(answer.read(ANSWER_BYTES_MAX))
    except (OSError, ValueError, urllib.error.URLError) as problem:
        raise StoreFailure(f"The issuer at {parts.hostname} cannot be asked: {problem}. Try again.") from None
    if not isinstance(said, dict):
        raise StoreFailure(f"The issuer at {parts.hostname} answered with no document. Try again.")
    return said
