"""Providers' credentials kept sealed in the book: set, removed, and filled in where the gateway starts.

What the configuration or the environment gives comes first. A credential is never shown
again; each change is on record with who made it, without the credential.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace

from flatfare.config import Provider, Secret, Settings
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.moments import iso
from flatfare.service.access.secret_box import KEY_VARIABLE, SecretBox, found_box
from flatfare.store import chains, credentials
from flatfare.store.book import Book
from flatfare.store.credentials import SealedCredential

FIELDS = ("api_key", "access_key", "secret_key", "session_token")
SECRET_LENGTH_MAX = 16 * 1024


def set_credential(
    book: Book, box: SecretBox, provider: str, field: str, secret: str, *, at_us: int, by_whom: str
) -> None:
    """Keep a provider's secret in place of the one it had; ``BadInput`` for what is none."""
    if field not in FIELDS:
        raise BadInput(f"Found the field {field!r}: expected one of {', '.join(FIELDS)}.")
    if not secret or len(secret) > SECRET_LENGTH_MAX or not secret.isascii() or not secret.isprintable():
        # It becomes a header: a line break within it would be another header.
        raise BadInput("Found no credential: expected one line of plain text.")
    sealed = base64.b64encode(box.seal(secret.encode(), _place(provider, field))).decode()
    with book.writing():
        credentials.put(book, SealedCredential(provider, field, sealed, at_us, by_whom))
        chains.record_change(book, "credential.set", provider, {"field": field}, at_us=at_us, by_whom=by_whom)


def remove_credential(book: Book, provider: str, *, at_us: int, by_whom: str) -> int:
    """Forget a provider's secrets; how many there were. ``NotFound`` if there was none."""
    with book.writing():
        count = credentials.remove(book, provider)
        if not count:
            raise NotFound(f"No credential of {provider!r} is kept here: flatfare providers list")
        chains.record_change(
            book, "credential.removed", provider, {"secrets": count}, at_us=at_us, by_whom=by_whom
        )
    return count


def with_sealed_credentials(settings: Settings, book: Book, environment: Mapping[str, str]) -> Settings:
    """The settings with what the book keeps, for providers to which nothing else gives a credential.

    Raises ``BadInput`` where one is needed and does not open.
    """
    kept: dict[str, list[SealedCredential]] = {}
    for one in credentials.all_of(book):
        kept.setdefault(one.provider, []).append(one)
    needed = {
        name: kept[name]
        for name, provider in settings.providers.items()
        if name in kept and not has_credential(provider)
    }
    if not needed:
        return settings
    box = found_box(environment)
    if box is None:
        raise BadInput(
            f"The credential of {', '.join(needed)} is kept sealed, and the key to it is not here: "
            f"set {KEY_VARIABLE}."
        )
    providers = dict(settings.providers)
    for name, secrets in needed.items():
        opened = {one.field: Secret(_opened(box, one)) for one in secrets}
        providers[name] = replace(providers[name], **opened)  # type: ignore[arg-type]
    return replace(settings, providers=providers)


def has_credential(provider: Provider) -> bool:
    """Whether the configuration gives this provider a credential."""
    return bool(provider.api_key or provider.access_key)


def listed(settings: Settings, book: Book) -> list[dict[str, object]]:
    """Every provider that is configured or has a credential here, as a document; never a credential."""
    kept: dict[str, list[SealedCredential]] = {}
    for one in credentials.all_of(book):
        kept.setdefault(one.provider, []).append(one)
    names = [*settings.providers, *(name for name in kept if name not in settings.providers)]
    return [_document(name, settings.providers.get(name), kept.get(name, [])) for name in names]


def _document(name: str, provider: Provider | None, kept: list[SealedCredential]) -> dict[str, object]:
    if provider is not None and has_credential(provider):
        source = "configuration or environment"
    elif kept:
        source = "sealed"
    else:
        source = "none: the client's own goes through"
    return {
        "provider": name,
        "dialect": None if provider is None else provider.dialect,
        "base_url": None if provider is None else provider.base_url,
        "credential": source,
        "sealed": [one.field for one in kept],
        "set": iso(max(one.set_at_us for one in kept)) if kept else None,
    }


def _opened(box: SecretBox, one: SealedCredential) -> str:
    return box.open(base64.b64decode(one.sealed), _place(one.provider, one.field)).decode()


def _place(provider: str, field: str) -> str:
    return f"credential {provider} {field}"
